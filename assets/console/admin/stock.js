// The movements of stock, for admins.

import { get, withQuery } from '../api.js';
import { date, el } from '../dom.js';
import { live } from '../live.js';
import { cursorList, heading, row, table } from '../ui.js';

export const MOVEMENTS = ['When', 'Product', 'Change', 'Cause'];

const CAUSES = {
  create: 'created', admin: 'changed by an admin', order: 'ordered', cancel: 'order cancelled', expiry: 'order expired',
  refund: 'order refunded', import: 'imported', repair: 'repaired',
};

/** Returns a page of the movements, of one product or of all. */
export const movementsOf = (cursor, productId) => get(withQuery('/admin/stock-movements', { cursor, productId, limit: productId ? 10 : 30 }));

/** Returns the row of a movement. */
export function movementRow({ at, productId, productName, delta, cause, note, orderId }, headings = MOVEMENTS) {
  const why = note ? `${CAUSES[cause] ?? cause}: ${note}` : CAUSES[cause] ?? cause;
  const cells = {
    When: date(at),
    Product: el('a', { href: `#/admin/products/${productId}` }, productName),
    Change: el('span', { class: 'delta', 'data-sign': delta < 0 ? 'minus' : 'plus' }, delta > 0 ? `+${delta}` : `−${-delta}`),
    Cause: orderId ? el('a', { href: `#/admin/orders/${orderId}` }, why) : why,
  };
  return row(headings, headings.map((name) => cells[name]));
}

export async function stockMovements({ signal, reload }) {
  const body = el('tbody', {});
  const more = await cursorList(body, movementsOf, (movement) => movementRow(movement), 'No movements yet.');
  // New movements are at the top, so the list starts again; whoever has scrolled or shown more is not disturbed.
  live.addEventListener('update', () => { if (window.scrollY === 0 && body.children.length <= 30) reload(); }, { signal });
  return [
    heading('Stock'),
    el('p', { class: 'lead' }, 'Every change of stock, with its cause. The stock of a product is the sum of its movements.'),
    table('Stock movements', MOVEMENTS, body), more,
  ];
}
