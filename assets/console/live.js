// Live stock: follows the inventory over a WebSocket, reconnects, and resumes where it stopped.

import { API } from './api.js';

/**
 * Dispatches `change` for each changed product ({id, quantity, deleted}), `update` for each message, `connection` when
 * the connection opens or closes, and `resync` if changes were missed, so that lists must be read again.
 */
export const live = new EventTarget();

export const connection = { isOpen: false };

const stock = new Map(); // product id → {seq, quantity, deleted}
let position = null;
let failures = 0;

/** Returns the latest stock of a product, or `undefined`. */
export const stockOf = (id) => stock.get(id);

/** Remembers the stock of products in a response, which is true up to its sequence number. */
export function rememberStock(products, headers) {
  const seq = Number(headers.get('X-Inventory-Seq'));
  for (const { id, stockQuantity } of products) update(id, seq, stockQuantity);
}

/** Updates the stock of a product as of `seq`, unless a newer value is known. */
function update(id, seq, quantity, deleted = false) {
  const known = stock.get(id);
  if (known && known.seq > seq) return;
  stock.set(id, { seq, quantity, deleted });
  if (known && (known.quantity !== quantity || known.deleted !== deleted)) {
    live.dispatchEvent(new CustomEvent('change', { detail: { id, quantity, deleted, before: known.quantity } }));
  }
}

function setOpen(isOpen) {
  if (connection.isOpen === isOpen) return;
  connection.isOpen = isOpen;
  live.dispatchEvent(new Event('connection'));
}

function receive(message) {
  if (message.type === 'HELLO') {
    position ??= message.seq;
  } else if (message.type === 'RESYNC') {
    position = message.seq;
    stock.clear();
    live.dispatchEvent(new Event('resync'));
  } else if (message.type === 'INVENTORY_UPDATE') {
    position = message.seq;
    for (const { id, stockQuantity, deleted } of message.products) update(id, message.seq, stockQuantity, deleted);
    live.dispatchEvent(new CustomEvent('update', { detail: message }));
  }
}

/** Connects, and connects again after a pause that grows with each failure. */
export function connect() {
  const url = new URL(`${API}/ws`, location.href);
  url.protocol = location.protocol === 'https:' ? 'wss:' : 'ws:';
  if (position !== null) url.searchParams.set('since', position);
  const socket = new WebSocket(url);
  socket.onopen = () => { failures = 0; setOpen(true); };
  socket.onmessage = ({ data }) => receive(JSON.parse(data));
  socket.onclose = () => {
    setOpen(false);
    // With jitter, so that not all clients of a restarted server come back at the same moment.
    const pause = Math.min(15_000, 500 * 2 ** failures) * (0.5 + Math.random() / 2);
    failures += 1;
    setTimeout(connect, pause);
  };
}
