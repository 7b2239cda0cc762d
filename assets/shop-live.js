// Live stock for storefronts: an ES module without dependencies, for browsers and Node.

/**
 * Follows the stock of products until the returned function is called. Reconnects, and misses no change.
 *
 * `load` reads the products, shows them, and returns the response's `X-Inventory-Seq`. It is called first, and again if
 * the shop no longer has the changes since then. `onStock` receives the changed products of each later message.
 *
 * A product with options has `variants`: those whose stock has changed.
 *
 * @typedef {{ id: string, stockQuantity: number, deleted?: boolean, variants?: Stock[] }} Stock
 * @typedef {{ type: string, seq: number, at: string, products: Stock[] }} Update
 * @param {string} shop The URL of the shop, such as `https://shop.example`.
 * @param {{ productIds?: string[], load: () => Promise<string | null>, onStock: (products: Stock[], update: Update) => void,
 *   onConnection?: (isConnected: boolean) => void }} options Without `productIds`, it follows all products.
 */
export function followStock(shop, { productIds, load, onStock, onConnection = () => {} }) {
  const endpoint = `${shop.replace(/^http/, 'ws').replace(/\/$/, '')}/api/v1/ws`;
  const subscription = JSON.stringify({ type: 'subscribe', productIds });
  let position = /** @type {string | number | null} */ (null);
  let [failures, isStopped, cancel] = [0, false, () => {}];

  async function connect() {
    position ??= await load();
    if (isStopped) return;
    const socket = new WebSocket(`${endpoint}?since=${position ?? ''}`);
    let isAlive = false;
    // A lost connection may look open. The answer to `subscribe` shows that it is alive, and moves the position.
    const heartbeat = setInterval(() => (isAlive ? subscribe() : reconnect()), 30_000);
    const subscribe = () => { isAlive = false; socket.send(subscription); };
    cancel = () => {
      clearInterval(heartbeat);
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close();
    };
    const reconnect = () => { cancel(); onConnection(false); retry(null); };
    socket.onopen = () => { subscribe(); onConnection(true); };
    socket.onclose = reconnect;
    socket.onerror = () => {}; // `onclose` follows. The npm package `ws` throws an error without a listener.
    socket.onmessage = ({ data }) => {
      const update = /** @type {Update} */ (JSON.parse(data));
      position = update.type === 'RESYNC' ? null : update.seq ?? position;
      if (position === null) return reconnect();
      [isAlive, failures] = [true, 0];
      // Before the subscription starts, changes of other products arrive, too.
      const products = update.products?.filter(({ id }) => productIds?.includes(id) ?? true) ?? [];
      if (products.length) onStock(products, update);
    };
  }

  function retry(/** @type {unknown} */ error) {
    if (error) console.error('Cannot load the products, or connect:', error);
    if (isStopped) return;
    // With jitter, so that not all clients of a restarted server return at the same moment.
    const delay = Math.min(15_000, 500 * 2 ** failures++) * (0.5 + Math.random() / 2);
    const timer = setTimeout(() => connect().catch(retry), delay);
    cancel = () => clearTimeout(timer);
  }

  connect().catch(retry);
  return () => { isStopped = true; cancel(); };
}
