// The payment provider, simulated. Only a demo has it: in a real shop the customer would see Razorpay's page here.

import { api } from './api.js';
import { el, money } from './dom.js';
import { form, notify } from './ui.js';

const OUTCOMES = [
  ['pay', 'It works', 'The provider reports the payment.', {}],
  ['fail', 'It fails', 'The order stays pending; you can pay again.', { fail: true }],
  ['twice', 'Reported twice', 'Each webhook arrives again. The order is paid once.', { duplicates: 1 }],
  ['late', 'Reported late', 'The webhooks arrive after 15 seconds. Cancel the order meanwhile, and the money is refunded.', { delaySeconds: 15 }],
  ['lost', 'Lost', 'No webhook arrives. `shop admin payments reconcile` finds the payment.', { lose: true }],
];

const EXPECTED = {
  pay: 'Paid. The order changes when the webhook arrives.',
  fail: 'The payment failed.',
  twice: 'Paid. The webhooks arrive twice.',
  late: 'Paid. The webhooks arrive in 15 seconds.',
  lost: 'Paid at the provider; the shop has not been told.',
};

/** Returns the simulator of an order: its node, and a function to call when the order has changed. */
export function simulator(current, signal) {
  const submit = el('button', { class: 'primary', 'data-focus': 'pay' }, 'Pay');
  const amount = el('span', { class: 'price' });
  const note = el('p', { class: 'hint' });
  const choice = ([value, title, text], at) => el('label', { class: 'choice' },
    el('input', { type: 'radio', name: 'outcome', value, checked: at === 0 }),
    el('span', {}, el('b', {}, title), el('span', { class: 'hint' }, text)));
  const pay = async (node) => {
    const outcome = new FormData(node).get('outcome');
    const { id, status } = current();
    const [, , , body] = OUTCOMES.find(([value]) => value === outcome);
    // This creates the order at the provider, if that has not happened yet. A storefront would open the provider's page.
    if (status === 'PENDING') await api('POST', `/orders/${id}/pay`);
    await api('POST', `/demo/orders/${id}/pay`, { body });
    if (!signal.aborted) notify(EXPECTED[outcome]);
  };
  const node = form({ class: 'simulator', 'aria-labelledby': 'simulator-title' }, pay,
    el('p', { class: 'eyebrow' }, 'Payment simulator'),
    el('h2', { id: 'simulator-title' }, 'Pay ', amount),
    el('fieldset', {}, el('legend', { class: 'visually-hidden' }, 'What happens to the payment'), OUTCOMES.map(choice)),
    submit, note);
  const update = () => {
    const order = current();
    amount.textContent = money(order.totalAmount, order.currency);
    const isPending = order.status === 'PENDING';
    node.classList.toggle('is-settled', !isPending);
    note.textContent = isPending ? '' : 'This order waits for no payment. Pay anyway to see the shop refund it by itself.';
  };
  return { node, update };
}
