// The demo console. It uses only the public API.
// Data from the server is inserted as text and properties, never as markup.

// The page is served at the root of the shop, which may be a path of the host.
const ROOT = new URL('.', location.href).pathname;
const API = `${ROOT}api/v1`;
const PAGE_SIZE = { products: 12, orders: 5 };

// Tokens are kept in memory only: reloading the page signs out.
let session = null; // {accessToken, refreshToken, user}
let cart = null;
let attempt = null; // the current checkout: {key, body, isUnanswered}
const catalog = { page: 1, requestId: 0, cards: new Map() };
const inventory = { seq: null, isLoaded: false, reconnects: 0, stock: new Map(), announcements: new Map() };

const $ = (id) => document.getElementById(id);

// ---- DOM helpers

/** Creates an element. Strings in `children` become text nodes. */
function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else if (name.includes('-')) node.setAttribute(name, value);
    else node[name] = value;
  }
  node.append(...children);
  return node;
}

/** Replaces the children of `box`. Keeps the keyboard focus on the same control, or else in the section. */
function replaceContent(box, ...nodes) {
  const focusKey = box.contains(document.activeElement) ? document.activeElement.getAttribute('data-focus') : null;
  box.replaceChildren(...nodes);
  if (focusKey === null) return;
  const same = [...box.querySelectorAll('[data-focus]')].find((node) => node.getAttribute('data-focus') === focusKey);
  if (same && !same.disabled) same.focus();
  else box.closest('section').querySelector('h2').focus();
}

const formats = new Map();
/** Formats an amount in minor units. The currency determines the number of decimals. */
function formatMoney(amount, currency) {
  if (!formats.has(currency)) formats.set(currency, new Intl.NumberFormat(undefined, { style: 'currency', currency }));
  const format = formats.get(currency);
  return format.format(amount / 10 ** format.resolvedOptions().maximumFractionDigits);
}

const dateFormat = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });

// ---- Notices

let noticeTimer;
function dismissNotice() {
  clearTimeout(noticeTimer);
  $('notice').replaceChildren();
}

function showNotice(text) {
  dismissNotice();
  $('notice').append(el('div', { className: 'message' }, el('p', {}, text)));
  noticeTimer = setTimeout(dismissNotice, 6000);
}

/** Shows an error until it is dismissed, and marks the fields of `form` that it names. */
function showError(problem, form) {
  dismissNotice();
  if (!(problem instanceof Problem)) console.error(problem);
  const details = (problem.errors ?? []).map(({ field, message, productId }) => {
    const line = cart?.items.find(({ product }) => product.id === productId);
    return el('li', {}, `${line?.product.name ?? field}: ${message}`);
  });
  const footer = el('p', { className: 'row' }, el('button', { type: 'button', onclick: dismissNotice }, 'Dismiss'));
  if (problem.type?.startsWith(`${ROOT}problems/`)) {
    footer.prepend(el('a', { href: problem.type, target: '_blank', rel: 'noopener' }, 'About this error'));
  }
  $('notice').append(el('div', { className: 'message error' }, el('p', {}, problem.message), el('ul', {}, ...details), footer));
  if (!(form instanceof HTMLFormElement)) return;
  const invalid = (problem.errors ?? []).map(({ field }) => form.elements.namedItem(field)).filter(Boolean);
  for (const input of invalid) input.setAttribute('aria-invalid', 'true');
  invalid[0]?.focus();
}

/** Runs the action of a control and shows its error. Ignores the control while its action is running. */
async function runAction(control, work) {
  if (control.hasAttribute('aria-busy')) return;
  control.setAttribute('aria-busy', 'true');
  for (const input of control.querySelectorAll('[aria-invalid]')) input.removeAttribute('aria-invalid');
  dismissNotice();
  try {
    await work();
  } catch (problem) {
    showError(problem, control);
  } finally {
    control.removeAttribute('aria-busy');
  }
}

// ---- API client

/** An error response (RFC 9457). Status 0 means that there was no complete response. */
class Problem extends Error {
  constructor(status, body) {
    super(body.detail || body.title || `The server responded with status ${status}.`);
    Object.assign(this, { status, type: body.type, errors: body.errors });
  }
}

async function request(method, path, { body, key } = {}) {
  const headers = {};
  if (session && !path.startsWith('/auth/')) headers.Authorization = `Bearer ${session.accessToken}`;
  if (body) headers['Content-Type'] = 'application/json';
  if (key) headers['Idempotency-Key'] = key;
  let response;
  let text;
  try {
    const signal = AbortSignal.timeout(30_000);
    response = await fetch(path.startsWith('/demo/') ? ROOT + path.slice(1) : API + path, { method, headers, body: body && JSON.stringify(body), cache: 'no-store', credentials: 'omit', signal });
    text = await response.text();
  } catch {
    throw new Problem(0, { detail: 'No response from the server. Is `shop serve --demo` still running?' });
  }
  let answer = {};
  try {
    if (text) answer = JSON.parse(text);
  } catch { /* errors of proxies may be plain text: use the status only */ }
  if (!response.ok) throw new Problem(response.status, answer);
  return { body: answer, headers: response.headers };
}

let pendingRefresh = null;
/** Refreshes the tokens, once at a time: using a refresh token twice may end the session. */
function refreshSession(current) {
  pendingRefresh ??= request('POST', '/auth/refresh', { body: { refreshToken: current.refreshToken } })
    .then(({ body }) => Object.assign(current, body))
    .finally(() => { pendingRefresh = null; });
  return pendingRefresh;
}

/** Sends a request. Refreshes an expired access token once. */
async function api(method, path, options) {
  const current = session;
  try {
    return await request(method, path, options);
  } catch (problem) {
    if (problem.status !== 401 || !current || path.startsWith('/auth/')) throw problem;
  }
  try {
    await refreshSession(current);
  } catch (problem) {
    if (problem.status !== 401) throw problem;
    if (session === current) clearSession();
    throw new Problem(401, { detail: 'Your session has ended. Please sign in again.' });
  }
  return request(method, path, options);
}

/** Returns a random key. `randomUUID` does not exist on plain HTTP, except on localhost. */
function newIdempotencyKey() {
  return crypto.randomUUID?.() ?? [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

// ---- Account

let registering = false;
function switchAccountForm() {
  registering = !registering;
  const [title, other] = registering ? ['Create an account', 'Sign in instead'] : ['Sign in', 'Create an account'];
  $('account-title').textContent = $('account-submit').textContent = title;
  $('account-mode').textContent = other;
  $('name-field').hidden = !registering;
  $('account-form').elements.password.autocomplete = registering ? 'new-password' : 'current-password';
}

async function signIn(form) {
  const { name, email, password } = Object.fromEntries(new FormData(form));
  if (registering) {
    await api('POST', '/auth/register', { body: { name, email, password } });
    switchAccountForm(); // the account exists now: if signing in fails, retry only that
  }
  const { body } = await api('POST', '/auth/login', { body: { email, password } });
  form.elements.password.value = '';
  await startSession(body);
}

async function startSession(tokens) {
  if (session) clearSession();
  session = tokens;
  renderSession();
  $('products-title').focus({ preventScroll: true });
  showNotice(`You are signed in as ${$('user').textContent}.`);
  await Promise.all([loadCart(), loadOrders()]);
}

/** Signs in with the token of a link that `shop serve --demo` prints. Removes it from the address bar immediately. */
async function openSignInLink() {
  const found = /^#sign-in=(\w+)$/.exec(location.hash);
  if (!found) return;
  history.replaceState(null, '', location.pathname);
  await startSession((await request('POST', '/demo/session', { body: { token: found[1] } })).body);
}

/** Clears the session and its data. */
function clearSession() {
  session = cart = attempt = null;
  for (const id of ['cart-list', 'cart-total', 'order-list', 'order-pages']) $(id).replaceChildren();
  renderSession();
}

async function signOut() {
  const { refreshToken } = session;
  clearSession(); // before the request, so that it works even if the server is unreachable
  $('account-form').elements.email.focus();
  await request('POST', '/auth/logout', { body: { refreshToken } });
}

function renderSession() {
  $('account').hidden = Boolean(session);
  for (const node of document.querySelectorAll('.signed-in')) node.hidden = !session;
  $('user').textContent = session ? `${session.user.name} (${session.user.role.toLowerCase()})` : '';
  for (const { admin } of catalog.cards.values()) admin.hidden = session?.user.role !== 'ADMIN';
}

// ---- Products

async function loadCategories() {
  const { body } = await api('GET', '/categories');
  const chosen = $('category').value;
  const options = body.data.map(({ slug, name, productCount }) => el('option', { value: slug }, `${name} (${productCount})`));
  $('category').replaceChildren(el('option', { value: '' }, 'All'), ...options);
  $('category').value = body.data.some(({ slug }) => slug === chosen) ? chosen : '';
}

async function loadProducts(page = catalog.page) {
  const requestId = ++catalog.requestId;
  const query = new URLSearchParams({ page, limit: PAGE_SIZE.products, sort: $('sort').value });
  if ($('category').value) query.set('category', $('category').value);
  const { body: list, headers } = await api('GET', `/products?${query}`);
  if (requestId !== catalog.requestId) return; // a newer request is running
  catalog.page = page;

  // The list includes all changes up to `seq`. Keep newer ones from the WebSocket.
  const seq = Number(headers.get('X-Inventory-Seq'));
  inventory.seq ??= seq;
  for (const [id, known] of inventory.stock) if (known.seq <= seq) inventory.stock.delete(id);
  for (const { id, stockQuantity } of list.data) updateStock(id, seq, stockQuantity);

  catalog.cards.clear();
  replaceContent($('product-list'), ...list.data.map(productCard));
  if (!list.data.length) $('product-list').append(el('li', { className: 'hint' }, 'No products found.'));
  renderSession();
  renderPagination($('product-pages'), list, async (to) => {
    await loadProducts(to);
    $('products').scrollIntoView();
  });
}

function productCard(product) {
  const { id, name } = product;
  const stock = el('span', { className: 'stock' });
  const add = el('button', { type: 'button', 'aria-label': `Add ${name} to the cart` }, 'Add to cart');
  add.onclick = () => runAction(add, () => addToCart(product));
  const admin = stockForm(product);
  catalog.cards.set(id, { name, stock, add, admin });
  renderStock(id);
  return el('li', { className: 'card' },
    productImage(product),
    el('h3', {}, name),
    el('p', { className: 'hint description' }, product.description || product.category?.name || ''),
    el('p', { className: 'price-row' }, el('span', { className: 'price' }, formatMoney(product.price, product.currency)), stock),
    add,
    admin);
}

/** Returns the first image, or the first letter of the name if there is none or it cannot be loaded. */
function productImage({ name, images }) {
  const box = el('div', { className: 'image' });
  const initial = () => box.replaceChildren(el('span', { 'aria-hidden': 'true' }, [...name][0] ?? ''));
  if (!images.length) {
    initial();
    return box;
  }
  // Load the shop's images from the origin of this page, even if the public URL differs.
  const { url, width, height } = images[0];
  const match = /\/images\/([^/]+)$/.exec(new URL(url, location.href).pathname);
  const src = match ? `${ROOT}images/${match[1]}` : url;
  box.append(el('img', { loading: 'lazy', alt: '', width, height, onerror: initial, src }));
  return box;
}

/** Returns the form in which admins change the stock. */
function stockForm({ id, name }) {
  let key = null; // one key per change, so that a retry is applied once
  const form = el('form', { 'aria-label': `Stock of ${name}`, oninput: () => { key = null; } },
    el('label', {}, 'Change by', el('input', { name: 'delta', type: 'number', step: '1', placeholder: '±', required: true })),
    el('label', {}, 'Reason', el('input', { name: 'reason', placeholder: 'delivery', required: true })),
    el('button', {}, 'Change stock'));
  form.onsubmit = (event) => {
    event.preventDefault();
    runAction(form, async () => {
      key ??= newIdempotencyKey();
      const body = { delta: Number(form.elements.delta.value), reason: form.elements.reason.value };
      const answer = await api('POST', `/admin/products/${id}/stock`, { body, key });
      key = null;
      form.reset();
      updateStock(id, Number(answer.headers.get('X-Inventory-Seq')), answer.body.stockQuantity);
      showNotice(`${name}: ${answer.body.stockQuantity} in stock.`);
    });
  };
  return el('details', { hidden: true }, el('summary', {}, 'Change stock'), form);
}

function renderPagination(box, list, loadPage) {
  const pageButton = (text, to, isEnabled) => {
    const button = el('button', { type: 'button', disabled: !isEnabled, 'data-focus': text }, text);
    button.onclick = () => runAction(button, () => loadPage(to));
    return button;
  };
  const more = list.page < list.totalPages || (list.totalIsCapped && list.data.length === list.limit);
  box.hidden = list.page === 1 && !more;
  replaceContent(box,
    pageButton('Previous', list.page - 1, list.page > 1),
    el('span', {}, `Page ${list.page} of ${list.totalPages}${list.totalIsCapped ? '+' : ''}`),
    pageButton('Next', list.page + 1, more));
}

// ---- Live stock

function connect() {
  const url = new URL(`${API}/ws`, location.href);
  url.protocol = location.protocol === 'https:' ? 'wss:' : 'ws:';
  if (inventory.seq !== null) url.searchParams.set('since', inventory.seq);
  const socket = new WebSocket(url);
  socket.onmessage = ({ data }) => handleMessage(JSON.parse(data), socket);
  socket.onclose = () => {
    showConnection(false);
    // Exponential backoff with jitter, so that clients do not reconnect to a restarted server all at the same time.
    const wait = Math.min(15_000, 500 * 2 ** inventory.reconnects) * (0.5 + Math.random() / 2);
    inventory.reconnects += 1;
    setTimeout(connect, wait);
  };
}

function handleMessage(message, socket) {
  if (message.type === 'HELLO' || message.type === 'RESYNC') {
    synchronize(message, socket).catch((problem) => {
      showError(problem);
      socket.close(); // reconnects after a pause, and loads the products again
    });
  } else if (message.type === 'INVENTORY_UPDATE') {
    inventory.seq = message.seq;
    for (const { id, stockQuantity, deleted } of message.products) updateStock(id, message.seq, stockQuantity, deleted);
  }
}

async function synchronize({ type, seq }, socket) {
  inventory.seq = seq;
  if (type === 'RESYNC') { // events were missed, or the sequence was reset: discard all stock
    inventory.isLoaded = false;
    inventory.stock.clear();
  }
  if (!inventory.isLoaded) await loadCatalog();
  if (socket.readyState !== WebSocket.OPEN) return; // disconnected in the meantime
  inventory.reconnects = 0;
  showConnection(true);
}

async function loadCatalog() {
  await Promise.all([loadCategories(), loadProducts()]);
  inventory.isLoaded = true;
}

function showConnection(isConnected) {
  const text = isConnected ? 'live stock' : 'reconnecting';
  if ($('connection').textContent === text) return; // screen readers would read it again
  $('connection').textContent = text;
  $('connection').classList.toggle('connected', isConnected);
}

/** Updates the stock of a product as of `seq`, unless a newer value is known. */
function updateStock(id, seq, quantity, deleted = false) {
  const known = inventory.stock.get(id);
  if (known && known.seq > seq) return;
  inventory.stock.set(id, { seq, quantity, deleted });
  const changed = known && (known.quantity !== quantity || known.deleted !== deleted);
  if (changed && renderStock(id)) announceStock(id);
}

/** Renders the stock of a product. Returns false if the product is not on the page. */
function renderStock(id) {
  const card = catalog.cards.get(id);
  if (!card) return false;
  const { quantity, deleted } = inventory.stock.get(id);
  card.stock.textContent = deleted ? 'no longer available' : quantity ? `${quantity} in stock` : 'sold out';
  card.stock.classList.toggle('sold-out', !quantity);
  card.add.disabled = !quantity;
  return true;
}

/** Highlights the new stock, and announces changes to screen readers in batches. */
function announceStock(id) {
  const { stock, name } = catalog.cards.get(id);
  stock.classList.remove('flash');
  void stock.offsetWidth; // forces a layout, which restarts the animation
  stock.classList.add('flash');
  if (!inventory.announcements.size) {
    setTimeout(() => {
      $('stock-announcements').textContent = [...inventory.announcements].map(([of, text]) => `${of}: ${text}`).join('; ');
      inventory.announcements.clear();
    }, 2000);
  }
  inventory.announcements.set(name, stock.textContent);
}

// ---- Cart

let cartQueue = Promise.resolve();
/** Runs cart requests one after the other, so that responses arrive in order. */
function enqueueCartRequest(work) {
  const current = session;
  const next = cartQueue.then(() => (session === current ? work(current) : undefined));
  cartQueue = next.catch(() => {});
  return next;
}

function sendCartRequest(method, path, body) {
  return enqueueCartRequest(async (current) => {
    const answer = await api(method, path, { body });
    if (session === current) renderCart(answer.body);
  });
}

const loadCart = () => sendCartRequest('GET', '/cart');

async function addToCart({ id, name }) {
  if (!session) {
    showNotice('Please sign in to use the cart.');
    $('account-form').elements.email.focus();
    return;
  }
  await sendCartRequest('POST', '/cart', { productId: id, quantity: 1 });
  showNotice(`${name} was added to your cart.`);
}

function renderCart(next) {
  cart = next;
  $('cart-count').textContent = cart.itemCount;
  $('cart-total').textContent = formatMoney(cart.totalAmount, cart.currency);
  replaceContent($('cart-list'), ...cart.items.map(cartItem));
  if (!cart.items.length) $('cart-list').append(el('li', { className: 'empty' }, 'Your cart is empty.'));
  renderCheckoutButton();
}

function cartItem({ product, quantity, lineTotal }) {
  const path = `/cart/items/${product.id}`;
  const input = el('input', { type: 'number', min: 1, max: 1000, value: quantity, 'aria-label': `Quantity of ${product.name}`, 'data-focus': `quantity ${product.id}` });
  const remove = el('button', { type: 'button', 'aria-label': `Remove ${product.name}`, 'data-focus': `remove ${product.id}` }, 'Remove');
  // Without `runAction`, so that every click on the arrows counts.
  input.onchange = () => sendCartRequest('PATCH', path, { quantity: Number(input.value) }).then(dismissNotice, (problem) => {
    input.value = quantity; // refused: restore the quantity in the cart
    showError(problem);
  });
  remove.onclick = () => runAction(remove, () => sendCartRequest('DELETE', path));
  return el('li', {},
    el('p', { className: 'row' }, el('span', {}, product.name), el('strong', {}, formatMoney(lineTotal, cart.currency))),
    el('p', { className: 'row' }, el('span', { className: 'hint' }, `${formatMoney(product.price, cart.currency)} each`), input, remove));
}

function renderCheckoutButton() {
  $('checkout').textContent = attempt?.isUnanswered ? 'Try again' : 'Check out';
  $('checkout').disabled = !cart?.items.length && !attempt?.isUnanswered;
}

/**
 * Places an order for the cart, at the total that is shown. If there is no response, the next attempt sends the same
 * key and body, and the server returns the order if it has been placed already.
 */
function placeOrder() {
  attempt ??= { key: newIdempotencyKey() };
  if (!attempt.isUnanswered) attempt.body = { expectedTotal: cart.totalAmount };
  return enqueueCartRequest(async (current) => {
    let answer;
    try {
      answer = await api('POST', '/orders', attempt);
    } catch (problem) {
      if (session !== current) throw problem;
      attempt.isUnanswered = problem.status === 0 || problem.status >= 500;
      renderCheckoutButton();
      if (!attempt.isUnanswered) loadCart().catch(showError); // a price or the stock has changed: reload the cart
      throw problem;
    }
    if (session !== current) return;
    attempt = null;
    showNotice(`Order ${answer.body.number} placed. Payment is pending.`);
    $('orders-title').focus();
    loadCart().catch(showError);
    await loadOrders(1);
  });
}

// ---- Orders

let ordersPage = 1;
async function loadOrders(page = ordersPage) {
  const current = session;
  const { body: list } = await api('GET', `/orders?page=${page}&limit=${PAGE_SIZE.orders}`);
  if (session !== current) return;
  ordersPage = page;
  replaceContent($('order-list'), ...list.data.map(orderItem));
  if (!list.data.length) $('order-list').append(el('li', { className: 'empty' }, 'No orders yet.'));
  renderPagination($('order-pages'), list, loadOrders);
}

function orderItem({ id, number, status, items, totalAmount, currency, payment, createdAt }) {
  const entry = el('li', {},
    el('p', { className: 'row' }, el('strong', {}, number), el('span', { className: 'status', 'data-status': status }, status)),
    el('p', { className: 'row' }, el('span', { className: 'hint' }, dateFormat.format(new Date(createdAt))), el('span', {}, formatMoney(totalAmount, currency))),
    el('p', { className: 'hint' }, items.map((item) => `${item.quantity} × ${item.name}`).join(', ')),
    el('p', { className: 'hint' }, 'Provider order ', el('code', { className: 'copy' }, payment?.providerOrderId ?? 'not created yet')));
  if (payment?.refundedAmount) entry.append(el('p', { className: 'hint' }, `Refunded: ${formatMoney(payment.refundedAmount, currency)}`));
  if (status === 'PENDING') {
    const cancel = el('button', { type: 'button', 'aria-label': `Cancel order ${number}`, 'data-focus': `cancel ${id}` }, 'Cancel');
    cancel.onclick = () => runAction(cancel, () => cancelOrder(id, number));
    entry.append(el('p', { className: 'row' }, el('span', { className: 'hint' }, 'Pay: ', el('code', { className: 'copy' }, `shop admin pay ${number}`)), cancel));
  }
  return entry;
}

async function cancelOrder(id, number) {
  try {
    await api('POST', `/orders/${id}/cancel`);
    showNotice(`Order ${number} cancelled; its items are back in stock.`);
  } finally {
    await loadOrders(); // if refused, the order was paid or has expired: show its new status
  }
}

// ---- Start

$('account-form').onsubmit = (event) => {
  event.preventDefault();
  runAction(event.target, () => signIn(event.target));
};
$('account-mode').onclick = () => {
  switchAccountForm();
  $('account-form').elements[registering ? 'name' : 'email'].focus();
};
$('sign-out').onclick = (event) => runAction(event.currentTarget, signOut);
$('checkout').onclick = (event) => runAction(event.currentTarget, placeOrder);
$('refresh').onclick = (event) => runAction(event.currentTarget, () => Promise.all([loadOrders(), loadCart()]));
for (const id of ['category', 'sort']) $(id).onchange = () => loadProducts(1).catch(showError); // without `runAction`, so that the last choice counts

// Opening another link in the same tab changes only the fragment.
window.addEventListener('hashchange', () => openSignInLink().catch(showError));
openSignInLink().catch(showError);
loadCatalog().catch(showError).finally(connect);
