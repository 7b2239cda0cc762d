// Registers, buys two units and sees the stock fall, with a client whose types `openapi-typescript` generated.

import createClient from 'openapi-fetch';

import { followStock } from '../../assets/shop-live.js';
import type { components, paths } from './api.js';
import { until } from './wait.js';

declare const process: { argv: string[] };

type Schemas = components['schemas'];

const shop = process.argv[2] ?? 'http://127.0.0.1:8080';
const api = createClient<paths>({ baseUrl: shop });

/** Returns the body of a successful response. */
function ok<T>({ data, error }: { data?: T; error?: Schemas['Problem'] }): T {
  if (data === undefined) throw new Error(`${error?.code}: ${error?.detail}`);
  return data;
}

// an account
const account = { email: `${crypto.randomUUID()}@example.com`, password: 'correct horse battery' };
ok(await api.POST('/api/v1/auth/register', { body: { ...account, name: 'Ada' } }));
const session = ok(await api.POST('/api/v1/auth/login', { body: account }));
api.use({
  onRequest({ request }) {
    request.headers.set('Authorization', `Bearer ${session.accessToken}`);
  },
});

// an error
const empty = await api.POST('/api/v1/orders', { body: {} });
const code: Schemas['Problem']['code'] | undefined = empty.error?.code;
if (code !== 'cart-empty') throw new Error(`expected an empty cart: ${code}`);

// live stock of the cheapest product
const list = ok(await api.GET('/api/v1/products', { params: { query: { inStock: true, sort: 'price' } } }));
const product = list.data.find(({ stockQuantity }) => stockQuantity > 1);
if (!product) throw new Error('every product is sold out');
const levels: number[] = [];
const show = (level: number) => {
  levels.push(level);
  console.log(`in stock: ${level}`);
};
const stop = followStock(shop, {
  productIds: [product.id],
  async load() {
    const { response, ...result } = await api.GET('/api/v1/products/{id}', { params: { path: { id: product.id } } });
    show(ok(result).stockQuantity);
    return response.headers.get('X-Inventory-Seq');
  },
  onStock(products: Schemas['StockChange'][]) {
    for (const { stockQuantity } of products) show(stockQuantity);
  },
});
await until(() => levels[0]);

// an order; the request is repeated, as after a lost response
const cart = ok(await api.POST('/api/v1/cart', { body: { productId: product.id, quantity: 2 } }));
const place = () => api.POST('/api/v1/orders', {
  params: { header: { 'Idempotency-Key': 'my-first-order' } },
  body: { expectedTotal: cart.totalAmount },
});
const order = ok(await place());
if (ok(await place()).id !== order.id) throw new Error('the repeated request placed a second order');
await until(() => levels[1]);
stop();

// the payment, which the demo simulates
const path = { id: order.id };
ok(await api.POST('/api/v1/orders/{id}/pay', { params: { path } }));
await fetch(`${shop}/demo/orders/${order.id}/pay`, {
  method: 'POST',
  headers: { Authorization: `Bearer ${session.accessToken}`, 'Content-Type': 'application/json' },
  body: '{}',
});
const paid = await until(async () => {
  const { status } = ok(await api.GET('/api/v1/orders/{id}', { params: { path } }));
  return status === 'PAID' ? status : undefined;
});
console.log(`order ${order.number} is ${paid}`);
