// The customer's cart, which several views show.

import { api, isDemo, user } from './api.js';
import { rememberNames } from './live.js';

/** Dispatches `change`. `current` is the cart as the API shows it, or `null`. */
export const cart = Object.assign(new EventTarget(), { current: null });

function set(next) {
  cart.current = next;
  rememberNames(next?.items.map(({ product }) => product) ?? []);
  cart.dispatchEvent(new Event('change'));
}

let queue = Promise.resolve();
/** Sends the requests of the cart one after the other, so that the responses arrive in order. */
export function change(method, path, body) {
  const work = async () => {
    const answer = await api(method, path, { body, quiet: method === 'GET' });
    set(answer.body);
  };
  const next = queue.then(work);
  queue = next.catch(() => {});
  return next;
}

/** Reads the cart, or forgets it if nobody is signed in. */
export async function loadCart() {
  if (!user() || !isDemo) set(null);
  else await change('GET', '/cart');
}
