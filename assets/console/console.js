// The demo console: a client of the public API like any other.
// What the server sends reaches the page as text and properties only, never as markup.

// The page is at the root of the shop, which may be a path of its host.
const ROOT = new URL('.', location.href).pathname;
const API = `${ROOT}api/v1`;
const PAGE_SIZE = { products: 12, orders: 5 };

// Tokens live in this variable alone: a reload signs out, and the browser stores nothing.
let session = null; // {accessToken, refreshToken, user}
let cart = null;
let attempt = null; // the checkout under way: {key, body, lost}
const shown = { page: 1, turn: 0, cards: new Map() };
const live = { seq: null, fresh: false, tries: 0, stock: new Map(), news: new Map() };

const $ = (id) => document.getElementById(id);

// ---- Building the page

/** Makes an element; strings among `children` become text nodes. */
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

/** Replaces what `box` holds; whoever works by keyboard stays on the control, or at least in the section. */
function redraw(box, ...nodes) {
  const held = box.contains(document.activeElement) ? document.activeElement.getAttribute('data-focus') : null;
  box.replaceChildren(...nodes);
  if (held === null) return;
  const same = [...box.querySelectorAll('[data-focus]')].find((node) => node.getAttribute('data-focus') === held);
  if (same && !same.disabled) same.focus();
  else box.closest('section').querySelector('h2').focus();
}

const formats = new Map();
/** Amounts come in minor units; how many of them make one unit is the currency's own matter. */
function money(amount, currency) {
  if (!formats.has(currency)) formats.set(currency, new Intl.NumberFormat(undefined, { style: 'currency', currency }));
  const format = formats.get(currency);
  return format.format(amount / 10 ** format.resolvedOptions().maximumFractionDigits);
}

const when = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });

// ---- Notices

let hushTimer;
function hush() {
  clearTimeout(hushTimer);
  $('notice').replaceChildren();
}

function tell(text) {
  hush();
  $('notice').append(el('div', { className: 'note' }, el('p', {}, text)));
  hushTimer = setTimeout(hush, 6000);
}

/** Shows a problem until it is dismissed, and marks the fields of `form` that it names. */
function tellProblem(problem, form) {
  hush();
  if (!(problem instanceof Problem)) console.error(problem);
  const causes = (problem.errors ?? []).map(({ field, message, productId }) => {
    const line = cart?.items.find(({ product }) => product.id === productId);
    return el('li', {}, `${line?.product.name ?? field}: ${message}`);
  });
  const foot = el('p', { className: 'row' }, el('button', { type: 'button', onclick: hush }, 'Dismiss'));
  if (problem.type?.startsWith(`${ROOT}problems/`)) {
    foot.prepend(el('a', { href: problem.type, target: '_blank', rel: 'noopener' }, 'About this error'));
  }
  $('notice').append(el('div', { className: 'note bad' }, el('p', {}, problem.message), el('ul', {}, ...causes), foot));
  if (!(form instanceof HTMLFormElement)) return;
  const wrong = (problem.errors ?? []).map(({ field }) => form.elements.namedItem(field)).filter(Boolean);
  for (const input of wrong) input.setAttribute('aria-invalid', 'true');
  wrong[0]?.focus();
}

/** Runs what a control asks for, once at a time, and shows what goes wrong. */
async function act(control, work) {
  if (control.hasAttribute('aria-busy')) return;
  control.setAttribute('aria-busy', 'true');
  for (const input of control.querySelectorAll('[aria-invalid]')) input.removeAttribute('aria-invalid');
  hush();
  try {
    await work();
  } catch (problem) {
    tellProblem(problem, control);
  } finally {
    control.removeAttribute('aria-busy');
  }
}

// ---- Talking to the server

/** What went wrong, in the words of the server's problem+json. Status 0: no whole answer came. */
class Problem extends Error {
  constructor(status, body) {
    super(body.detail || body.title || `the server answered ${status}`);
    Object.assign(this, { status, type: body.type, errors: body.errors });
  }
}

async function send(method, path, { body, key } = {}) {
  const headers = {};
  if (session && !path.startsWith('/auth/')) headers.Authorization = `Bearer ${session.accessToken}`;
  if (body) headers['Content-Type'] = 'application/json';
  if (key) headers['Idempotency-Key'] = key;
  let response;
  let text;
  try {
    const signal = AbortSignal.timeout(30_000);
    response = await fetch(API + path, { method, headers, body: body && JSON.stringify(body), cache: 'no-store', credentials: 'omit', signal });
    text = await response.text();
  } catch {
    throw new Problem(0, { detail: 'No answer from the server. Is `shop serve --demo` still running?' });
  }
  let answer = {};
  try {
    if (text) answer = JSON.parse(text);
  } catch { /* a refusal below HTTP may be plain text: the status has to do */ }
  if (!response.ok) throw new Problem(response.status, answer);
  return { body: answer, headers: response.headers };
}

let renewal = null;
/** One renewal at a time: a refresh token that is spent twice may end the whole session. */
function renew(mine) {
  renewal ??= send('POST', '/auth/refresh', { body: { refreshToken: mine.refreshToken } })
    .then(({ body }) => Object.assign(mine, body))
    .finally(() => { renewal = null; });
  return renewal;
}

/** Sends a request; an access token that has run out is renewed once. */
async function api(method, path, options) {
  const mine = session;
  try {
    return await send(method, path, options);
  } catch (problem) {
    if (problem.status !== 401 || !mine || path.startsWith('/auth/')) throw problem;
  }
  try {
    await renew(mine);
  } catch (problem) {
    if (problem.status !== 401) throw problem;
    if (session === mine) leave();
    throw new Problem(401, { detail: 'Your session has ended. Please sign in again.' });
  }
  return send(method, path, options);
}

/** A key that no other request has. Plain HTTP on another host than localhost has no `randomUUID`. */
function newKey() {
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

async function enter(form) {
  const { name, email, password } = Object.fromEntries(new FormData(form));
  if (registering) {
    await api('POST', '/auth/register', { body: { name, email, password } });
    switchAccountForm(); // the account exists: should signing in fail, try only that again
  }
  session = (await api('POST', '/auth/login', { body: { email, password } })).body;
  form.elements.password.value = '';
  showSession();
  $('products-title').focus({ preventScroll: true });
  tell(`You are signed in as ${$('who').textContent}.`);
  await Promise.all([loadCart(), loadOrders()]);
}

/** Forgets the session and all that belongs to it. */
function leave() {
  session = cart = attempt = null;
  for (const id of ['cart-list', 'cart-total', 'order-list', 'order-pages']) $(id).replaceChildren();
  showSession();
}

async function signOut() {
  const { refreshToken } = session;
  leave(); // first, so that an unreachable server keeps nobody signed in
  $('account-form').elements.email.focus();
  await send('POST', '/auth/logout', { body: { refreshToken } });
}

function showSession() {
  $('account').hidden = Boolean(session);
  for (const node of document.querySelectorAll('.member')) node.hidden = !session;
  $('who').textContent = session ? `${session.user.name} (${session.user.role.toLowerCase()})` : '';
  for (const { admin } of shown.cards.values()) admin.hidden = session?.user.role !== 'ADMIN';
}

// ---- Products

async function loadCategories() {
  const { body } = await api('GET', '/categories');
  const chosen = $('category').value;
  const options = body.data.map(({ slug, name, productCount }) => el('option', { value: slug }, `${name} (${productCount})`));
  $('category').replaceChildren(el('option', { value: '' }, 'All'), ...options);
  $('category').value = body.data.some(({ slug }) => slug === chosen) ? chosen : '';
}

async function loadProducts(page = shown.page) {
  const turn = ++shown.turn;
  const query = new URLSearchParams({ page, limit: PAGE_SIZE.products, sort: $('sort').value });
  if ($('category').value) query.set('category', $('category').value);
  const { body: list, headers } = await api('GET', `/products?${query}`);
  if (turn !== shown.turn) return; // a later choice overtook this one
  shown.page = page;

  // The list is true at least up to `seq`; what the socket told since then is newer and stays.
  const seq = Number(headers.get('X-Inventory-Seq'));
  live.seq ??= seq;
  for (const [id, known] of live.stock) if (known.seq <= seq) live.stock.delete(id);
  for (const { id, stockQuantity } of list.data) learn(id, seq, stockQuantity);

  shown.cards.clear();
  redraw($('product-list'), ...list.data.map(productCard));
  if (!list.data.length) $('product-list').append(el('li', { className: 'hint' }, 'No products here.'));
  showSession();
  showPages($('product-pages'), list, async (to) => {
    await loadProducts(to);
    $('products').scrollIntoView();
  });
}

function productCard(product) {
  const { id, name } = product;
  const stock = el('span', { className: 'stock' });
  const add = el('button', { type: 'button', 'aria-label': `Add ${name} to the cart` }, 'Add to cart');
  add.onclick = () => act(add, () => addToCart(product));
  const admin = stockForm(product);
  shown.cards.set(id, { name, stock, add, admin });
  paintStock(id);
  return el('li', { className: 'card' },
    picture(product),
    el('h3', {}, name),
    el('p', { className: 'hint about' }, product.description || product.category?.name || ''),
    el('p', { className: 'buy' }, el('span', { className: 'price' }, money(product.price, product.currency)), stock),
    add,
    admin);
}

/** The first picture; the name's initial where there is none or it cannot be shown. */
function picture({ name, images }) {
  const box = el('div', { className: 'picture' });
  const initial = () => box.replaceChildren(el('span', { 'aria-hidden': 'true' }, [...name][0] ?? ''));
  if (!images.length) {
    initial();
    return box;
  }
  // The shop's own images are asked for where this page came from, whatever its public URL, and small.
  const { url, width, height } = images[0];
  const own = /\/images\/([^/]+)$/.exec(new URL(url, location.href).pathname);
  const src = own ? `${ROOT}images/${own[1]}` : url;
  box.append(el('img', { loading: 'lazy', alt: '', width, height, onerror: initial, src }));
  return box;
}

/** For admins: adds or takes stock, with the reason that the audit keeps. */
function stockForm({ id, name }) {
  let key = null; // one for each change asked for, so that a repeat counts once
  const form = el('form', { 'aria-label': `Stock of ${name}`, oninput: () => { key = null; } },
    el('label', {}, 'Add or take', el('input', { name: 'delta', type: 'number', step: '1', placeholder: '±', required: true })),
    el('label', {}, 'Reason', el('input', { name: 'reason', placeholder: 'delivery', required: true })),
    el('button', {}, 'Change stock'));
  form.onsubmit = (event) => {
    event.preventDefault();
    act(form, async () => {
      key ??= newKey();
      const body = { delta: Number(form.elements.delta.value), reason: form.elements.reason.value };
      const answer = await api('POST', `/admin/products/${id}/stock`, { body, key });
      key = null;
      form.reset();
      learn(id, Number(answer.headers.get('X-Inventory-Seq')), answer.body.stockQuantity);
      tell(`${name}: ${answer.body.stockQuantity} in stock now.`);
    });
  };
  return el('details', { hidden: true }, el('summary', {}, 'Change stock'), form);
}

function showPages(box, list, go) {
  const step = (text, to, possible) => {
    const button = el('button', { type: 'button', disabled: !possible, 'data-focus': text }, text);
    button.onclick = () => act(button, () => go(to));
    return button;
  };
  const more = list.page < list.totalPages || (list.totalIsCapped && list.data.length === list.limit);
  box.hidden = list.page === 1 && !more;
  redraw(box,
    step('Previous', list.page - 1, list.page > 1),
    el('span', {}, `Page ${list.page} of ${list.totalPages}${list.totalIsCapped ? '+' : ''}`),
    step('Next', list.page + 1, more));
}

// ---- Live stock

function connect() {
  const url = new URL(`${API}/ws`, location.href);
  url.protocol = location.protocol === 'https:' ? 'wss:' : 'ws:';
  if (live.seq !== null) url.searchParams.set('since', live.seq);
  const socket = new WebSocket(url);
  socket.onmessage = ({ data }) => hear(JSON.parse(data), socket);
  socket.onclose = () => {
    showLive(false);
    // Waits longer each time, and never quite as long as the others do: a restarted server is not stormed.
    const wait = Math.min(15_000, 500 * 2 ** live.tries) * (0.5 + Math.random() / 2);
    live.tries += 1;
    setTimeout(connect, wait);
  };
}

function hear(message, socket) {
  if (message.type === 'HELLO' || message.type === 'RESYNC') {
    greet(message, socket).catch((problem) => {
      tellProblem(problem);
      socket.close(); // comes back after a pause, and then reads the products again
    });
  } else if (message.type === 'INVENTORY_UPDATE') {
    live.seq = message.seq;
    for (const { id, stockQuantity, deleted } of message.products) learn(id, message.seq, stockQuantity, deleted);
  }
}

async function greet({ type, seq }, socket) {
  live.seq = seq;
  if (type === 'RESYNC') { // too much was missed, or the numbers begin anew: nothing known so far counts
    live.fresh = false;
    live.stock.clear();
  }
  if (!live.fresh) await loadCatalog();
  if (socket.readyState !== WebSocket.OPEN) return; // lost again meanwhile
  live.tries = 0;
  showLive(true);
}

async function loadCatalog() {
  await Promise.all([loadCategories(), loadProducts()]);
  live.fresh = true;
}

function showLive(on) {
  const text = on ? 'live stock' : 'reconnecting';
  if ($('live').textContent === text) return; // a status that says the same again would be read out again
  $('live').textContent = text;
  $('live').classList.toggle('on', on);
}

/** Takes in a stock figure as of `seq`, unless a newer one is known. */
function learn(id, seq, quantity, deleted = false) {
  const known = live.stock.get(id);
  if (known && known.seq > seq) return;
  live.stock.set(id, { seq, quantity, deleted });
  const changed = known && (known.quantity !== quantity || known.deleted !== deleted);
  if (changed && paintStock(id)) announce(id);
}

/** Shows a product's stock; false where the product is not on the page. */
function paintStock(id) {
  const card = shown.cards.get(id);
  if (!card) return false;
  const { quantity, deleted } = live.stock.get(id);
  card.stock.textContent = deleted ? 'no longer sold' : quantity ? `${quantity} in stock` : 'sold out';
  card.stock.classList.toggle('none', !quantity);
  card.add.disabled = !quantity;
  return true;
}

/** Flashes the figure, and reads the changes out in one go, so that a busy shop does not chatter. */
function announce(id) {
  const { stock, name } = shown.cards.get(id);
  stock.classList.remove('flash');
  void stock.offsetWidth; // without a layout between, the animation would not begin anew
  stock.classList.add('flash');
  if (!live.news.size) {
    setTimeout(() => {
      $('stock-news').textContent = [...live.news].map(([of, text]) => `${of}: ${text}`).join('; ');
      live.news.clear();
    }, 2000);
  }
  live.news.set(name, stock.textContent);
}

// ---- Cart

let lastTurn = Promise.resolve();
/** Cart calls go one after the other, so that the last answer shown is the last one given. */
function inTurn(work) {
  const mine = session;
  const next = lastTurn.then(() => (session === mine ? work(mine) : undefined));
  lastTurn = next.catch(() => {});
  return next;
}

function changeCart(method, path, body) {
  return inTurn(async (mine) => {
    const answer = await api(method, path, { body });
    if (session === mine) showCart(answer.body);
  });
}

const loadCart = () => changeCart('GET', '/cart');

async function addToCart({ id, name }) {
  if (!session) {
    tell('Please sign in to fill a cart.');
    $('account-form').elements.email.focus();
    return;
  }
  await changeCart('POST', '/cart', { productId: id, quantity: 1 });
  tell(`${name} is in your cart.`);
}

function showCart(next) {
  cart = next;
  $('cart-count').textContent = cart.itemCount;
  $('cart-total').textContent = money(cart.totalAmount, cart.currency);
  redraw($('cart-list'), ...cart.items.map(cartLine));
  if (!cart.items.length) $('cart-list').append(el('li', { className: 'empty' }, 'Nothing here yet.'));
  showCheckout();
}

function cartLine({ product, quantity, lineTotal }) {
  const path = `/cart/items/${product.id}`;
  const input = el('input', { type: 'number', min: 1, max: 1000, value: quantity, 'aria-label': `Quantity of ${product.name}`, 'data-focus': `quantity ${product.id}` });
  const remove = el('button', { type: 'button', 'aria-label': `Remove ${product.name}`, 'data-focus': `remove ${product.id}` }, 'Remove');
  // No `act`: whoever clicks the arrows quickly means every click.
  input.onchange = () => changeCart('PATCH', path, { quantity: Number(input.value) }).then(hush, (problem) => {
    input.value = quantity; // refused: show again what the cart holds
    tellProblem(problem);
  });
  remove.onclick = () => act(remove, () => changeCart('DELETE', path));
  return el('li', {},
    el('p', { className: 'row' }, el('span', {}, product.name), el('strong', {}, money(lineTotal, cart.currency))),
    el('p', { className: 'row' }, el('span', { className: 'hint' }, `${money(product.price, cart.currency)} each`), input, remove));
}

function showCheckout() {
  $('checkout').textContent = attempt?.lost ? 'Try again' : 'Check out';
  $('checkout').disabled = !cart?.items.length && !attempt?.lost;
}

/**
 * Orders what the cart shows, at the total it shows. The key stays until an order is made. Where the answer got
 * lost, the same key goes out with the same body: an order already made is then given again, not made twice.
 */
function checkOut() {
  attempt ??= { key: newKey() };
  if (!attempt.lost) attempt.body = { expectedTotal: cart.totalAmount };
  return inTurn(async (mine) => {
    let answer;
    try {
      answer = await api('POST', '/orders', attempt);
    } catch (problem) {
      if (session !== mine) throw problem;
      attempt.lost = problem.status === 0 || problem.status >= 500;
      showCheckout();
      if (!attempt.lost) loadCart().catch(tellProblem); // a price or a stock has changed: show the cart as it is now
      throw problem;
    }
    if (session !== mine) return;
    attempt = null;
    tell(`Order ${answer.body.number} is placed. It waits for its payment.`);
    $('orders-title').focus();
    loadCart().catch(tellProblem);
    await loadOrders(1);
  });
}

// ---- Orders

let ordersPage = 1;
async function loadOrders(page = ordersPage) {
  const mine = session;
  const { body: list } = await api('GET', `/orders?page=${page}&limit=${PAGE_SIZE.orders}`);
  if (session !== mine) return;
  ordersPage = page;
  redraw($('order-list'), ...list.data.map(orderEntry));
  if (!list.data.length) $('order-list').append(el('li', { className: 'empty' }, 'No orders yet.'));
  showPages($('order-pages'), list, loadOrders);
}

function orderEntry({ id, number, status, items, totalAmount, currency, payment, createdAt }) {
  const entry = el('li', {},
    el('p', { className: 'row' }, el('strong', {}, number), el('span', { className: 'status', 'data-status': status }, status)),
    el('p', { className: 'row' }, el('span', { className: 'hint' }, when.format(new Date(createdAt))), el('span', {}, money(totalAmount, currency))),
    el('p', { className: 'hint' }, items.map((item) => `${item.quantity} × ${item.name}`).join(', ')),
    el('p', { className: 'hint' }, 'Provider order ', el('code', { className: 'copy' }, payment?.providerOrderId ?? 'not made yet')));
  if (payment?.refundedAmount) entry.append(el('p', { className: 'hint' }, `Refunded: ${money(payment.refundedAmount, currency)}`));
  if (status === 'PENDING') {
    const cancel = el('button', { type: 'button', 'aria-label': `Cancel order ${number}`, 'data-focus': `cancel ${id}` }, 'Cancel');
    cancel.onclick = () => act(cancel, () => cancelOrder(id, number));
    entry.append(el('p', { className: 'row' }, el('span', { className: 'hint' }, 'Pay: ', el('code', { className: 'copy' }, `shop admin pay ${number}`)), cancel));
  }
  return entry;
}

async function cancelOrder(id, number) {
  try {
    await api('POST', `/orders/${id}/cancel`);
    tell(`Order ${number} is cancelled; its stock is back.`);
  } finally {
    await loadOrders(); // refused means that it was paid or has expired: show that
  }
}

// ---- Start

$('account-form').onsubmit = (event) => {
  event.preventDefault();
  act(event.target, () => enter(event.target));
};
$('account-mode').onclick = () => {
  switchAccountForm();
  $('account-form').elements[registering ? 'name' : 'email'].focus();
};
$('sign-out').onclick = (event) => act(event.currentTarget, signOut);
$('checkout').onclick = (event) => act(event.currentTarget, checkOut);
$('refresh').onclick = (event) => act(event.currentTarget, () => Promise.all([loadOrders(), loadCart()]));
for (const id of ['category', 'sort']) $(id).onchange = () => loadProducts(1).catch(tellProblem); // no `act`: the last choice counts

loadCatalog().catch(tellProblem).finally(connect);
