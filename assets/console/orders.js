// The customer's orders, which update themselves.

import { api, get, isDemo, withQuery } from './api.js';
import { date, el, every, money, newId, replace } from './dom.js';
import { fullName, live } from './live.js';
import { simulator } from './simulator.js';
import { ask, badge, button, empty, heading, items, notify, pages, row, table } from './ui.js';

const HEADINGS = ['Order', 'Placed', 'Items', 'Total', 'Status'];

/** Calls `refresh` every few seconds and after each change of stock, since orders change stock. */
export function follow(signal, refresh) {
  let isRunning = false;
  const quietly = async () => {
    if (isRunning) return;
    isRunning = true;
    try {
      await refresh();
    } catch { /* the next attempt may succeed */ } finally {
      isRunning = false;
    }
  };
  every(3, signal, quietly);
  live.addEventListener('update', quietly, { signal });
}

export async function orders({ query, signal }) {
  const path = withQuery('/orders', { page: query.get('page') ?? 1, limit: 10 });
  let list = await get(path);
  const body = el('tbody', {});
  const render = () => replace(body, list.data.map((order) => row(HEADINGS, [
    el('a', { class: 'number', href: `#/orders/${order.id}`, 'data-focus': order.id }, order.number),
    date(order.createdAt), items(order), money(order.totalAmount, order.currency), badge(order.status),
  ])));
  render();
  follow(signal, async () => { list = await get(path, { quiet: true }); render(); });
  return [
    heading('Orders'),
    list.data.length ? table('Your orders', HEADINGS, body) : empty('You have not ordered anything yet. ', el('a', { href: '#/' }, 'Find something'), '.'),
    pages(list, (page) => `#/orders?page=${page}`),
  ];
}

const STEPS = ['PENDING', 'PAID', 'SHIPPED', 'DELIVERED'];
const EXPLAINED = {
  PENDING: 'Waiting for the payment. An unpaid order is cancelled by itself, and its items go back into stock.',
  PAID: 'Paid. The shop has to ship it.',
  SHIPPED: 'On its way.',
  DELIVERED: 'Delivered.',
  CANCELLED: 'Cancelled. Its items are back in stock; money that arrives now is refunded by itself.',
  REFUNDED: 'Refunded in full.',
};

/** Returns where an order stands. */
export function progress({ status }) {
  const reached = STEPS.indexOf(status);
  const step = (name, at) => el('li', { 'data-done': String(at <= reached), 'aria-current': at === reached ? 'step' : undefined }, name);
  return el('div', { class: 'progress' },
    reached < 0 ? badge(status) : el('ol', { class: 'steps' }, STEPS.map(step)),
    el('p', { class: 'hint' }, EXPLAINED[status]));
}

const PAYMENT = { CREATED: 'not paid yet', FAILED: 'failed', CAPTURED: 'paid', REFUNDED: 'refunded' };
const REFUND = { PENDING: 'on its way', PROCESSED: 'done', FAILED: 'failed' };

/** Returns the lines and sums of an order. */
export function summary(order) {
  const { payment, currency } = order;
  const fact = (name, ...value) => [el('dt', {}, name), el('dd', {}, ...value)];
  return el('div', { class: 'order' },
    el('ul', { class: 'lines' }, order.items.map((item) => el('li', { class: 'line' },
      el('span', { class: 'line-text' }, fullName(item.name, item.title), el('span', { class: 'hint' }, ` ${item.quantity} × ${money(item.price, currency)}`)),
      el('span', { class: 'amount' }, money(item.lineTotal, currency)))),
    el('li', { class: 'line total' }, el('span', { class: 'line-text' }, 'Total'), el('span', { class: 'amount' }, money(order.totalAmount, currency)))),
    el('dl', { class: 'facts' },
      fact('Placed', date(order.createdAt)),
      fact('Payment', badge(payment.status, PAYMENT[payment.status]), payment.refundedAmount > 0 && ` ${money(payment.refundedAmount, currency)} refunded`),
      payment.transactionId && fact('Transaction', el('code', {}, payment.transactionId)),
      payment.providerOrderId && fact('Provider order', el('code', {}, payment.providerOrderId)),
      payment.refunds.map((refund) => fact('Refund', money(refund.amount, currency), ' ', badge(refund.status, REFUND[refund.status])))));
}

/** Asks whether to cancel an unpaid order. */
export const confirmsCancelling = ({ number, totalAmount, currency }) => ask({
  title: `Cancel order ${number}?`,
  text: `The order of ${money(totalAmount, currency)} is not paid. Its items go back into stock.`,
  confirm: 'Cancel the order', cancel: 'Keep it', danger: true,
});

export async function order({ params, signal }) {
  const path = `/orders/${encodeURIComponent(params.id)}`;
  let current = await get(path);
  const [state, details, actions] = [el('div', { 'aria-live': 'polite' }), el('div', {}), el('div', {})];
  const about = newId('order');
  // It stays where it is when the order changes, so that a choice is not lost.
  const pay = isDemo ? simulator(() => current, signal) : null;
  let shown = '';
  const render = () => {
    const text = JSON.stringify(current);
    if (text === shown) return;
    shown = text;
    replace(state, progress(current));
    replace(details, summary(current));
    pay?.update();
    const cancel = async () => {
      if (!await confirmsCancelling(current)) return;
      current = (await api('POST', `${path}/cancel`)).body;
      notify(`Order ${current.number} is cancelled.`);
      render();
    };
    replace(actions, current.status === 'PENDING' && button('Cancel order', cancel, { danger: true, about, focus: 'cancel' }));
  };
  render();
  follow(signal, async () => { current = await get(path, { quiet: true }); render(); });
  return [
    el('p', { class: 'eyebrow' }, el('a', { href: '#/orders' }, 'Orders')),
    el('div', { class: 'heading' }, el('h1', { tabIndex: -1, id: about }, `Order ${current.number}`), actions),
    state,
    el('div', { class: 'columns' }, details, pay?.node),
  ];
}
