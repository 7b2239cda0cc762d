// All orders, for admins: ship, deliver, cancel, refund.

import { api, get, invalid, isDemo, newKey, withQuery } from '../api.js';
import { date, el, money, newId, replace, toDecimal } from '../dom.js';
import { confirmsCancelling, follow, progress, summary } from '../orders.js';
import { amountIn, ask, badge, button, cursorList, field, form, heading, items, notify, row, showError, table } from '../ui.js';

const STATUSES = ['PENDING', 'PAID', 'SHIPPED', 'DELIVERED', 'CANCELLED', 'REFUNDED'];
const HEADINGS = ['Order', 'Placed', 'Items', 'Total', 'Status', ''];

/** The next status of an order, and the name of the button for it. */
const NEXT = { PAID: ['SHIPPED', 'Ship'], SHIPPED: ['DELIVERED', 'Deliver'] };
const MOVED = { SHIPPED: 'has shipped', DELIVERED: 'is delivered', CANCELLED: 'is cancelled' };

async function move(order, status) {
  const { body } = await api('PATCH', `/admin/orders/${order.id}`, { body: { status } });
  notify(`Order ${order.number} ${MOVED[status]}.`);
  return body;
}

/** Returns the button for the next status of an order, or `null`. */
function nextButton(order, about, changed) {
  const [status, text] = NEXT[order.status] ?? [];
  return text ? button(text, async () => changed(await move(order, status)), { about, focus: `next ${order.id}` }) : null;
}

export async function adminOrders({ query, signal }) {
  const status = query.get('status') ?? '';
  const page = (cursor, options) => get(withQuery('/admin/orders', { status, limit: 25 }) + `&cursor=${encodeURIComponent(cursor)}`, options);
  const body = el('tbody', {});
  const rowOf = (order) => {
    const about = newId('order');
    return row(HEADINGS, [
      el('a', { class: 'number', id: about, href: `#/admin/orders/${order.id}`, 'data-focus': order.id }, order.number),
      date(order.createdAt), items(order), money(order.totalAmount, order.currency), badge(order.status),
      nextButton(order, about, (moved) => list.put(moved)) ?? '',
    ]);
  };
  const list = await cursorList(body, page, rowOf, 'No orders here.');
  follow(signal, () => list.refresh({ quiet: true }));
  const chip = (text, value) => el('a', { href: withQuery('#/admin/orders', { status: value }), 'aria-current': status === value ? 'true' : undefined }, text);
  return [
    isDemo && el('p', { class: 'lead' },
      'This is the shop’s back office, on the same public API as the storefront. ',
      'Ship a paid order, refund one, change a price, and read in the mailbox what the customer was told.'),
    heading('Orders'),
    el('nav', { class: 'chips', 'aria-label': 'Status' }, chip('All', ''), STATUSES.map((name) => chip(name.toLowerCase(), name))),
    table('All orders', HEADINGS, body), list.below,
  ];
}

export async function adminOrder({ params, signal }) {
  const path = `/admin/orders/${encodeURIComponent(params.id)}`;
  let order = await get(path);
  const about = newId('order');
  const [state, details, actions, refund, customer] = [el('div', { 'aria-live': 'polite' }), el('div', {}), el('div', { class: 'actions' }), el('div', {}), el('p', { class: 'hint' })];
  let shown = '';
  const changed = (next) => { order = next; render(); };
  const cancel = async () => {
    if (await confirmsCancelling(order)) changed(await move(order, 'CANCELLED'));
  };
  function render() {
    const text = JSON.stringify(order);
    if (text === shown) return;
    shown = text;
    replace(state, progress(order));
    replace(details, summary(order));
    replace(actions, nextButton(order, about, changed),
      order.status === 'PENDING' && button('Cancel order', cancel, { danger: true, about, focus: 'cancel' }));
    replace(refund, refundForm(order, changed));
  }
  render();
  customer.append('Customer ', el('code', {}, order.userId));
  get(`/admin/users/${order.userId}`, { quiet: true }).then(({ name, email }) => {
    customer.replaceChildren(`Customer ${name}, `, el('a', { href: withQuery('#/admin/users', { email }) }, email));
  }).catch(showError);
  follow(signal, async () => { order = await get(path, { quiet: true }); render(); });
  return [
    el('p', { class: 'eyebrow' }, el('a', { href: '#/admin/orders' }, 'Orders')),
    el('div', { class: 'heading' }, el('h1', { tabIndex: -1, id: about }, `Order ${order.number}`), actions),
    state,
    el('div', { class: 'columns' }, el('div', { class: 'stack' }, details, customer), refund),
  ];
}

/** Returns the form that refunds an order, or `null` if nothing can be refunded. */
function refundForm({ id, number, payment, currency }, changed) {
  const rest = payment.amount - payment.refundedAmount;
  if (payment.status !== 'CAPTURED' || rest <= 0) return null;
  const key = newKey(); // one for this form, so that a retry refunds once
  const amount = el('input', { name: 'amount', inputMode: 'decimal', value: toDecimal(rest, currency), 'data-focus': 'amount' });
  const restock = el('input', { type: 'checkbox', name: 'restock', checked: true });
  const submit = async () => {
    const body = { amount: amountIn(amount, 'Amount', currency), restock: restock.checked };
    if (body.amount > rest) throw invalid('amount', `At most ${money(rest, currency)} can be refunded`);
    const total = money(body.amount, currency);
    const text = `${total} of order ${number} goes back to the customer${body.restock && body.amount === rest ? ', and the items go back into stock' : ''}.`;
    if (!await ask({ title: `Refund ${total}?`, text, confirm: `Refund ${total}`, danger: true })) return;
    changed((await api('POST', `/admin/orders/${id}/refund`, { body, key })).body);
    notify(`The refund of order ${number} is on its way.`);
  };
  return form({ class: 'panel stack', 'aria-labelledby': 'refund-title' }, submit,
    el('h2', { id: 'refund-title' }, 'Refund'),
    field(`Amount in ${currency}`, amount, `Up to ${money(rest, currency)}`),
    el('label', { class: 'check' }, restock, 'Put the items back into stock'),
    el('p', { class: 'actions' }, el('button', { class: 'danger' }, 'Refund')));
}
