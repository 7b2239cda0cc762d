// The movements of stock, for admins.

import { get, withQuery } from '../api.js';
import { date, el } from '../dom.js';
import { follow } from '../orders.js';
import { cursorList, heading, row, table } from '../ui.js';

export const MOVEMENTS = ['When', 'Product', 'Change', 'Cause'];

const CAUSES = {
  create: 'created', admin: 'changed by an admin', order: 'ordered', cancel: 'order cancelled', expiry: 'order expired',
  refund: 'order refunded', import: 'imported', repair: 'repaired',
};

/** Returns a page of the movements, of one product or of all. */
export const movementsOf = (cursor, productId, options) => get(withQuery('/admin/stock-movements', { cursor, productId, limit: productId ? 10 : 30 }), options);

/** Returns the row of a movement. */
export function movementRow({ id, at, productId, productName, variant, delta, cause, note, orderId }, headings = MOVEMENTS) {
  const why = note ? `${CAUSES[cause] ?? cause}: ${note}` : CAUSES[cause] ?? cause;
  const cells = {
    When: date(at),
    Product: el('a', { href: `#/admin/products/${productId}`, 'data-focus': `product ${id}` }, productName),
    Variant: variant,
    Change: el('span', { class: 'delta', 'data-sign': delta < 0 ? 'minus' : 'plus' }, delta > 0 ? `+${delta}` : delta < 0 ? `−${-delta}` : '0'),
    Cause: orderId ? el('a', { href: `#/admin/orders/${orderId}`, 'data-focus': `order ${id}` }, why) : why,
  };
  return row(headings, headings.map((name) => cells[name]));
}

export async function stockMovements({ signal }) {
  const body = el('tbody', {});
  const list = await cursorList(body, (cursor, options) => movementsOf(cursor, null, options), (movement) => movementRow(movement), 'No movements yet.');
  follow(signal, () => list.refresh({ quiet: true }));
  return [
    heading('Stock'),
    el('p', { class: 'lead' }, 'Every change of stock, with its cause. The stock of a product is the sum of its movements.'),
    table('Stock movements', MOVEMENTS, body), list.below,
  ];
}
