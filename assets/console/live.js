// Live stock, which several views show.

import { api, ROOT } from './api.js';
import { followStock } from '../shop-live.js';

/**
 * Dispatches `change` for each changed product and variant ({id, quantity, deleted}), `update` for each message, `connection` when
 * the connection opens or closes, and `resync` if changes were missed, so that views must read their products again.
 */
export const live = new EventTarget();

export const connection = { isOpen: false };

const stock = new Map(); // id of a product, or key of a variant → {seq, quantity, deleted}
const names = new Map(); // the same → name

/**
 * Returns the key of a variant. That of a product without options has the product's stock. After it has got options, a variant
 * may have the id of the product, but a stock of its own.
 */
export const stockKey = ({ id, options }) => (options.length ? variantKey(id) : id);
export const variantKey = (id) => `variant ${id}`;

/** Returns the latest stock of a product or variant, or `undefined`. */
export const stockOf = (id) => stock.get(id);

/** Returns the name of a product or variant that a view has shown, or `undefined`. */
export const nameOf = (id) => names.get(id);

export function rememberNames(products) {
  for (const { id, name } of products) if (name) names.set(id, name);
}

/** Returns the name of a product with the values of a variant, if it has any. */
export const fullName = (name, title) => (title ? `${name}, ${title}` : name);

/** Remembers the stock of products and their variants in a response, which is true up to its sequence number. */
export function rememberStock(products, headers) {
  rememberNames(products);
  const seq = Number(headers.get('X-Inventory-Seq'));
  for (const { id, name, stockQuantity, variants = [] } of products) {
    update(id, seq, stockQuantity);
    rememberNames(variants.map((variant) => ({ id: stockKey(variant), name: fullName(name, variant.title) })));
    for (const variant of variants) update(stockKey(variant), seq, variant.stockQuantity);
  }
}

/** Updates the stock of a product or variant as of `seq`, unless a newer value is known. */
function update(id, seq, quantity, deleted = false) {
  const known = stock.get(id);
  if (known && known.seq > seq) return;
  stock.set(id, { seq, quantity, deleted });
  if (known?.quantity !== quantity || known.deleted !== deleted) {
    live.dispatchEvent(new CustomEvent('change', { detail: { id, quantity, deleted } }));
  }
}

let isLoaded = false;
/** Returns the position to follow from. If changes were missed, the views read what is as new as that. */
async function load() {
  const { headers } = await api('GET', '/products?limit=1', { quiet: true });
  if (isLoaded) {
    stock.clear();
    live.dispatchEvent(new Event('resync'));
  }
  isLoaded = true;
  return headers.get('X-Inventory-Seq');
}

export function connect() {
  followStock(new URL(ROOT, location.href).href, {
    load,
    onStock(products, message) {
      for (const { id, stockQuantity, deleted, variants = [] } of products) {
        update(id, message.seq, stockQuantity, deleted);
        for (const variant of variants) update(variantKey(variant.id), message.seq, variant.stockQuantity, variant.deleted);
      }
      live.dispatchEvent(new CustomEvent('update', { detail: message }));
    },
    onConnection(isOpen) {
      connection.isOpen = isOpen;
      live.dispatchEvent(new Event('connection'));
    },
  });
}
