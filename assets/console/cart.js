// The cart and the checkout.

import { api, newKey } from './api.js';
import { cart, change, loadCart } from './cart-state.js';
import { count, el, money, replace } from './dom.js';
import { button, empty, heading, notify, picture, showError } from './ui.js';

// The checkout that is in progress. If there is no response, the next attempt sends the same key and body, and the shop
// answers with the order that it may have placed already.
let attempt = null; // {key, body, isUnanswered}

async function checkOut() {
  attempt ??= { key: newKey() };
  if (!attempt.isUnanswered) attempt.body = { expectedTotal: cart.current.totalAmount };
  try {
    const { body: order } = await api('POST', '/orders', attempt);
    attempt = null;
    notify(`Order ${order.number} is placed.`);
    location.hash = `#/orders/${order.id}`;
  } catch (problem) {
    attempt.isUnanswered = problem.status === 0 || problem.status >= 500;
    throw problem;
  } finally {
    loadCart().catch(showError); // it is empty now, or a price or the stock has changed
  }
}

function line({ product, quantity, lineTotal }, currency) {
  const path = `/cart/items/${product.id}`;
  const input = el('input', { type: 'number', min: 1, max: 1000, value: quantity, 'aria-label': `Quantity of ${product.name}`, 'data-focus': `quantity ${product.id}` });
  // Without `run`, so that every click on the arrows counts.
  input.onchange = () => change('PATCH', path, { quantity: Number(input.value) }).catch((problem) => {
    input.value = quantity; // refused: show the quantity that the cart has
    showError(problem);
  });
  return el('li', { class: 'line' },
    picture(product, 320),
    el('div', { class: 'line-text' },
      el('a', { href: `#/products/${product.id}` }, product.name),
      el('p', { class: 'hint' }, `${money(product.price, currency)} each`,
        quantity > product.stockQuantity && el('span', { class: 'warning' }, ` · only ${product.stockQuantity} left`))),
    input,
    el('span', { class: 'amount' }, money(lineTotal, currency)),
    button('Remove', () => change('DELETE', path), { quiet: true, focus: `remove ${product.id}` }));
}

export async function cartView({ signal }) {
  await loadCart();
  const box = el('div', {});
  const render = () => {
    const current = cart.current;
    if (!current?.items.length) {
      replace(box, empty('Your cart is empty. ', el('a', { href: '#/' }, 'Find something'), '.'));
      return;
    }
    replace(box,
      el('ul', { class: 'lines' }, current.items.map((item) => line(item, current.currency))),
      el('div', { class: 'sum' },
        el('p', {}, el('span', {}, count(current.itemCount, 'item')), el('strong', {}, money(current.totalAmount, current.currency))),
        button('Check out', checkOut, { primary: true, focus: 'check-out' }),
        el('p', { class: 'hint' }, 'Checking out takes the items from stock and starts the time to pay.')));
  };
  cart.addEventListener('change', render, { signal });
  render();
  return [heading('Cart'), box];
}
