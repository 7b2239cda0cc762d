// The cart of the customer or guest, which several views show.

import { api, cartToken, isDemo, setCartToken, user } from './api.js';
import { fullName, rememberNames, stockKey } from './live.js';

/** Dispatches `change`. `current` is the cart as the API shows it, or `null`. */
export const cart = Object.assign(new EventTarget(), { current: null });

function set(next) {
  cart.current = next;
  rememberNames(next?.items.flatMap(({ product, variant }) => [product, { id: stockKey(variant), name: fullName(product.name, variant.title) }]) ?? []);
  cart.dispatchEvent(new Event('change'));
}

let queue = Promise.resolve();
/** Sends the requests of the cart one after the other, so that the responses arrive in order. */
export function change(method, path, body) {
  const work = async () => {
    if (!user() && !cartToken()) setCartToken((await api('POST', '/carts')).body.cartToken);
    const answer = await api(method, path, { body, quiet: method === 'GET' });
    set(answer.body);
  };
  const next = queue.then(work);
  queue = next.catch(() => {});
  return next;
}

/** Reads the cart, if there is one. */
export async function loadCart() {
  if (!isDemo || !(user() || cartToken())) {
    set(null);
    return;
  }
  try {
    await change('GET', '/cart');
  } catch (problem) {
    if (user() || problem.status !== 404) throw problem;
    setCartToken(null); // it has expired
    set(null);
  }
}

/** Adds the guest's cart to that of the user who has just signed in. */
export async function mergeCart() {
  if (!cartToken() || !user()) return;
  try {
    await api('POST', '/cart/merge', { body: { cartToken: cartToken() } });
  } catch (problem) {
    if (problem.status !== 404) throw problem; // 404: it has expired
  }
  setCartToken(null);
}
