// The cart and the checkout.

import { api, newKey, user } from './api.js';
import { cart, change, loadCart } from './cart-state.js';
import { count, el, money, newId, replace } from './dom.js';
import { fullName, live, stockKey, stockOf } from './live.js';
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
    if (problem.code === 'total-changed') {
      await loadCart();
      problem.message = `The price has changed to ${money(cart.current.totalAmount, cart.current.currency)}. Check the cart and try again.`;
    }
    throw problem;
  } finally {
    loadCart().catch(showError); // it is empty now, or a price or the stock has changed
  }
}

const leftOf = ({ product, variant }) => stockOf(stockKey(variant))?.quantity ?? product.stockQuantity;
const nameIn = ({ product, variant }) => fullName(product.name, variant.title);

/** Returns a line of the cart. `warning` is its text about the stock. */
function line(item, currency, warning) {
  const { id, product, variant, quantity, unitPrice, lineTotal } = item;
  const path = `/cart/items/${id}`;
  const input = el('input', { type: 'number', min: 1, max: 1000, value: quantity, 'aria-label': `Quantity of ${nameIn(item)}`, 'data-focus': `quantity ${id}` });
  // Without `run`, so that every click on the arrows counts.
  input.onchange = () => change('PATCH', path, { quantity: Number(input.value) }).catch((problem) => {
    input.value = quantity; // refused: show the quantity that the cart has
    showError(problem);
  });
  return el('li', { class: 'line' },
    picture(product, 320),
    el('div', { class: 'line-text' },
      el('a', { href: `#/products/${product.id}` }, product.name),
      el('p', { class: 'hint' }, variant.title && `${variant.title} · `, `${money(unitPrice, currency)} each`, warning)),
    input,
    el('span', { class: 'amount' }, money(lineTotal, currency)),
    button('Remove', () => change('DELETE', path), { quiet: true, focus: `remove ${id}` }));
}

export async function cartView({ signal }) {
  await loadCart();
  const box = el('div', {});
  const [warnings, reason] = [new Map(), el('p', { class: 'warning', id: newId('reason'), 'aria-live': 'polite' })];
  const submit = user()
    ? button('Check out', checkOut, { primary: true, focus: 'check-out', about: reason.id })
    : el('a', { class: 'button primary', href: `#/sign-in?next=${encodeURIComponent('#/cart')}`, 'data-focus': 'check-out' }, 'Sign in to check out');
  // Only the texts, so that a quantity that is being typed is not lost.
  const showStock = () => {
    const { items } = cart.current;
    for (const item of items) {
      const [left, { id, quantity }] = [leftOf(item), item];
      warnings.get(id).textContent = left === 0 ? ' · sold out' : left <= 5 || left < quantity ? ` · only ${left} left` : '';
    }
    const short = items.filter((item) => item.quantity > leftOf(item)).map(nameIn);
    submit.disabled = short.length > 0;
    reason.textContent = short.length ? `Not enough in stock: ${short.join(', ')}. Order fewer, or remove it.` : '';
  };
  const render = () => {
    const current = cart.current;
    warnings.clear();
    if (!current?.items.length) {
      replace(box, empty('Your cart is empty. ', el('a', { href: '#/' }, 'Find something'), '.'));
      return;
    }
    for (const { id } of current.items) warnings.set(id, el('span', { class: 'warning' }));
    replace(box,
      el('ul', { class: 'lines' }, current.items.map((item) => line(item, current.currency, warnings.get(item.id)))),
      el('div', { class: 'sum' },
        el('p', {}, el('span', {}, count(current.itemCount, 'item')), el('strong', {}, money(current.totalAmount, current.currency))),
        reason, submit,
        el('p', { class: 'hint' }, 'Checking out takes the items from stock and starts the time to pay.')));
    showStock();
  };
  const reload = () => loadCart().catch(showError);
  cart.addEventListener('change', render, { signal });
  live.addEventListener('resync', reload, { signal });
  live.addEventListener('change', ({ detail }) => {
    const isHere = ({ product, variant }) => stockKey(variant) === detail.id || product.id === detail.id;
    if (!cart.current?.items.some(isHere)) return;
    if (detail.deleted) reload(); // what was deleted leaves all carts
    else showStock();
  }, { signal });
  render();
  return [heading('Cart'), box];
}
