// Buys two units of a product in a demo, and follows its stock. Needs Node 22 or newer, and no packages.
//
//     node buy.mjs [URL of the shop]

import { randomUUID } from 'node:crypto';

import { followStock } from '../assets/shop-live.js'; // also at http://127.0.0.1:8080/shop-live.js

const shop = process.argv[2] ?? 'http://127.0.0.1:8080';
let accessToken;

/** Sends a request. Returns the body and the headers of the response, or throws the shop's explanation. */
async function call(method, path, body, headers = {}) {
  if (accessToken) headers.Authorization = `Bearer ${accessToken}`;
  if (body) headers['Content-Type'] = 'application/json';
  const response = await fetch(shop + path, { method, headers, body: body && JSON.stringify(body) });
  const answer = await response.json();
  if (!response.ok) throw new Error(`${answer.code}: ${answer.detail}`);
  return { body: answer, headers: response.headers };
}

// Register and sign in.
const account = { email: `${randomUUID()}@example.com`, password: 'correct horse battery' };
await call('POST', '/api/v1/auth/register', { ...account, name: 'Ada' });
({ accessToken } = (await call('POST', '/api/v1/auth/login', account)).body);

// Choose the cheapest product, and follow its stock.
const { data: products } = (await call('GET', '/api/v1/products?inStock=true&sort=price')).body;
const product = products.find(({ stockQuantity }) => stockQuantity >= 2);
console.log(`buying 2 × ${product.name}`);
let markConnected;
let markSold;
const connected = new Promise((resolve) => { markConnected = resolve; });
const sold = new Promise((resolve) => { markSold = resolve; });
const stop = followStock(shop, {
  productIds: [product.id],
  async load() {
    const { body, headers } = await call('GET', `/api/v1/products/${product.id}`);
    console.log(`in stock: ${body.stockQuantity}`);
    return headers.get('X-Inventory-Seq');
  },
  onStock([{ stockQuantity }]) {
    console.log(`in stock: ${stockQuantity}`);
    markSold();
  },
  onConnection: markConnected,
});
await connected;

// Check out. With the key, the request can be repeated if the response is lost: there is one order.
const { body: cart } = await call('POST', '/api/v1/cart', { productId: product.id, quantity: 2 });
const key = randomUUID();
const { body: order } = await call('POST', '/api/v1/orders', { expectedTotal: cart.totalAmount }, { 'Idempotency-Key': key });
await sold;
stop();

// Pay. A real page opens the provider's checkout with this response; the demo has a simulator instead.
await call('POST', `/api/v1/orders/${order.id}/pay`);
await call('POST', `/demo/orders/${order.id}/pay`, {});

// The order is paid when the provider's webhook arrives.
let { status } = order;
while (status === 'PENDING') {
  await new Promise((resolve) => setTimeout(resolve, 200));
  ({ status } = (await call('GET', `/api/v1/orders/${order.id}`)).body);
}
console.log(`order ${order.number} is ${status}`);
