// Follows a product's stock with `shop-live.js` through a proxy that loses connections.
// Arguments: the URL of the shop, and an admin's email and password.

import assert from 'node:assert/strict';
import { connect, createServer } from 'node:net';

import { followStock } from '../../assets/shop-live.js';
import { until } from './wait.js';

const [shop, email, password] = process.argv.slice(2);

async function api(method, path, body, headers = {}) {
  const init = { method, headers: { 'Content-Type': 'application/json', ...headers }, body: body && JSON.stringify(body) };
  const response = await fetch(`${shop}/api/v1${path}`, init);
  assert.ok(response.ok, `${path}: ${response.status}`);
  return { body: await response.json(), headers: response.headers };
}

const { body: { accessToken } } = await api('POST', '/auth/login', { email, password });
const { body: { data: [kettle, lamp] } } = await api('GET', '/products?inStock=true&limit=2');

/** Adds to the stock of a product. Returns its new stock. */
async function restock({ id }, delta) {
  const body = { delta, reason: 'delivery' };
  return (await api('POST', `/admin/products/${id}/stock`, body, { Authorization: `Bearer ${accessToken}` })).body.stockQuantity;
}

// ---- The proxy

const sockets = new Set();
const proxy = createServer((client) => {
  const server = connect(new URL(shop).port, '127.0.0.1');
  client.pipe(server).pipe(client);
  for (const socket of [client, server]) {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => { client.destroy(); server.destroy(); sockets.delete(socket); });
  }
});
const listen = (port) => new Promise((resolve) => { proxy.listen(port, '127.0.0.1', resolve); });
await listen(0);
const { port } = proxy.address();
const proxied = `http://127.0.0.1:${port}/`;

/** Closes the proxy and all its connections. */
async function disconnect() {
  const closed = new Promise((resolve) => { proxy.close(resolve); });
  for (const socket of sockets) socket.destroy();
  await closed;
}

/** Follows the kettle. Records its stock, and whether it was connected; each `load` returns the next of `positions` first. */
function follow(url, { productIds, positions = [] } = {}) {
  const seen = { levels: [], connections: [], loads: 0 };
  seen.stop = followStock(url, {
    productIds,
    async load() {
      seen.loads += 1;
      const { body, headers } = await api('GET', `/products/${kettle.id}`);
      seen.levels.push(body.stockQuantity);
      return positions.shift() ?? headers.get('X-Inventory-Seq');
    },
    onStock(products) { seen.levels.push(...products.map(({ stockQuantity }) => stockQuantity)); },
    onConnection(isConnected) { seen.connections.push(isConnected); },
  });
  return seen;
}

// ---- The connection is lost

const first = follow(proxied, { productIds: [kettle.id] });
await until(() => first.connections[0]);
let expected = [kettle.stockQuantity, await restock(kettle, 1)];
await until(() => first.levels[1]);

await disconnect();
await until(() => (first.connections.includes(false) ? true : undefined));
await restock(lamp, 1);
expected.push(await restock(kettle, 1), await restock(kettle, -1));
await listen(port);
await until(() => first.levels[3]);
assert.deepEqual(first.levels, expected);
assert.deepEqual(first.connections, [true, false, true]);
assert.equal(first.loads, 1);

first.stop();
const current = await restock(kettle, 1);

// ---- The shop no longer has the changes since the position

const second = follow(shop, { positions: [String(Number.MAX_SAFE_INTEGER)] });
await until(() => second.levels[1]);
assert.deepEqual(second.levels, [current, current]);
await until(() => (second.connections.at(-1) && second.connections.length === 3 ? true : undefined));
expected = [current, current, await restock(lamp, 1), await restock(kettle, 1)];
await until(() => second.levels[3]);
assert.deepEqual(second.levels, expected);
second.stop();

// ---- The connection looks open, but is lost

const { setInterval } = globalThis;
globalThis.setInterval = (heartbeat) => setInterval(heartbeat, 200); // in place of half a minute
const third = follow(proxied, { productIds: [kettle.id] });
await until(() => third.connections[0]);
for (const socket of sockets) socket.unpipe();
const last = await restock(kettle, 1);
await until(() => (third.levels.at(-1) === last ? true : undefined));
assert.equal(third.loads, 1);
third.stop();
await disconnect();

assert.equal(first.levels.length, 4);
