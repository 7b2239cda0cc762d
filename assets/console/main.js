// The console: a page for customers and admins that uses only the shop's public API.
// This file has the routes and the frame around the views. Each view has a file of its own.

import { api, isAdmin, isDemo, session, signOut, startSession, user } from './api.js';
import { cart, loadCart, mergeCart } from './cart-state.js';
import { showCalls } from './calls.js';
import { el } from './dom.js';
import { connect, connection, live } from './live.js';
import { button, empty, heading, notify, showConnection, showError } from './ui.js';
import { signIn } from './account.js';
import { catalog } from './catalog.js';
import { product } from './product.js';
import { cartView } from './cart.js';
import { order, orders } from './orders.js';
import { adminOrder, adminOrders } from './admin/orders.js';
import { adminProduct, adminProducts } from './admin/products.js';
import { stockMovements } from './admin/stock.js';
import { importProducts } from './admin/import.js';
import { payments } from './admin/payments.js';
import { users } from './admin/users.js';
import { mailbox } from './admin/mailbox.js';
import { system } from './admin/system.js';

/** Path patterns and their views. `:name` is a parameter. */
const SHOP = [
  ['/', catalog],
  ['/products', catalog],
  ['/products/:id', product],
  ['/sign-in', signIn],
  ['/cart', cartView],
  ['/orders', orders, 'customer'],
  ['/orders/:id', order, 'customer'],
];
const ADMIN = [
  ['/admin/orders', adminOrders, 'admin'],
  ['/admin/orders/:id', adminOrder, 'admin'],
  ['/admin/products', adminProducts, 'admin'],
  ['/admin/products/import', importProducts, 'admin'],
  ['/admin/products/:id', adminProduct, 'admin'],
  ['/admin/stock', stockMovements, 'admin'],
  ['/admin/payments', payments, 'admin'],
  ['/admin/users', users, 'admin'],
  ['/admin/mailbox', mailbox, 'admin'],
  ['/admin/mailbox/:id', mailbox, 'admin'],
  ['/admin/system', system, 'admin'],
];
// A real shop has a storefront of its own: its console is for admins.
const ROUTES = isDemo ? [...SHOP, ...ADMIN] : [['/sign-in', signIn], ...ADMIN];

const SHOP_SECTIONS = [['/', 'Catalog'], ['/cart', 'Cart'], ['/orders', 'Orders']];
const ADMIN_SECTIONS = [
  ['/admin/orders', 'Orders'], ['/admin/products', 'Products'], ['/admin/stock', 'Stock'], ['/admin/payments', 'Payments'],
  ['/admin/users', 'Users'], ['/admin/mailbox', 'Mailbox'], ['/admin/system', 'System'],
];

const $ = (id) => document.getElementById(id);

// ---- Routes

/** Returns where the fragment points to: a path and a query. */
function place() {
  const [path, query] = location.hash.replace(/^#/, '').split('?');
  return { path: isDemo ? path || '/' : path.replace(/^\/?$/, '/admin/orders'), query: new URLSearchParams(query) };
}

function match(pattern, path) {
  const names = [];
  const text = pattern.replace(/:(\w+)/g, (_, name) => { names.push(name); return '([^/]+)'; });
  const found = new RegExp(`^${text}$`).exec(path);
  return found && Object.fromEntries(names.map((name, at) => [name, decodeURIComponent(found[at + 1])]));
}

const NOUNS = { products: 'product', orders: 'order', mailbox: 'email' };

/** Returns the view of a path whose last part names nothing, with a link to the list. */
function notFound(path) {
  const list = path.slice(0, path.lastIndexOf('/'));
  const noun = NOUNS[list.split('/').pop()] ?? 'page';
  return [heading('Not found'), empty(`This ${noun} does not exist. `, el('a', { href: `#${list}` }, 'Back to the list'), '.')];
}

let leaving = new AbortController();
let hasFailed = false;
let shownPath = null;

/** Shows the view of the fragment. */
async function show() {
  if (await followSignInLink()) return;
  const { path, query } = place();
  leaving.abort();
  leaving = new AbortController();
  const { signal } = leaving;
  renderFrame(path);
  const route = ROUTES.map(([pattern, view, who]) => ({ view, who, params: match(pattern, path) })).find(({ params }) => params);
  const main = $('main');
  if (route?.who && !user()) {
    location.replace(`#/sign-in?next=${encodeURIComponent(location.hash || '#/admin/orders')}`);
    return;
  }
  main.setAttribute('aria-busy', 'true');
  hasFailed = false;
  let nodes;
  try {
    if (!route) nodes = [heading('Nothing here'), empty('There is nothing at this address. ', el('a', { href: '#/' }, 'Go to the start'), '.')];
    else if (route.who === 'admin' && !isAdmin()) nodes = [heading('For admins'), empty(`You are signed in as ${user().email}. This account is not an admin.`)];
    else nodes = await route.view({ params: route.params, query, signal, reload: show });
  } catch (problem) {
    nodes = problem.status === 404 ? notFound(path) : [heading('Something went wrong'), empty(problem.message), button('Try again', show)];
    hasFailed = !signal.aborted && problem.status !== 404;
  }
  if (signal.aborted) return; // another view was opened meanwhile
  main.removeAttribute('aria-busy');
  main.replaceChildren(...[nodes].flat(Infinity).filter(Boolean));
  const title = main.querySelector('h1');
  document.title = `${title?.textContent ?? 'shop'} · shop`;
  if (shownPath !== null && shownPath !== path) {
    window.scrollTo(0, 0);
    title?.focus({ preventScroll: true });
  }
  shownPath = path;
}

// ---- Frame

function links(box, entries, isCurrent) {
  box.replaceChildren(...entries.map(([path, text, badge]) => el('a', {
    href: `#${path}`, 'aria-current': isCurrent(path) ? 'page' : undefined,
  }, text, badge ? el('span', { class: 'count' }, badge) : null)));
  box.querySelector('[aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'center' });
}

function renderFrame(path = place().path) {
  const inAdmin = path.startsWith('/admin');
  const within = (section) => (section === '/' ? path === '/' || path.startsWith('/products') : path === section || path.startsWith(`${section}/`));
  $('areas').hidden = !isDemo || !isAdmin();
  links($('areas'), [['/', 'Shop'], ['/admin/orders', 'Admin']], (area) => (area === '/') !== inAdmin);
  const shop = SHOP_SECTIONS.map(([to, text]) => [to, text, to === '/cart' && cart.current?.itemCount]);
  $('sections').hidden = (inAdmin || !isDemo) && !isAdmin();
  links($('sections'), inAdmin || !isDemo ? ADMIN_SECTIONS : shop, within);
  const current = user();
  if (!current) {
    $('account').replaceChildren(path === '/sign-in' ? '' : el('a', { class: 'button', href: '#/sign-in' }, 'Sign in'));
    return;
  }
  $('account').replaceChildren(
    el('span', { class: 'name', title: current.email }, current.name),
    button('Sign out', async () => {
      location.hash = isDemo ? '#/' : '#/sign-in';
      await signOut();
    }, { quiet: true }));
}

/**
 * Signs in with the token of a link that `shop serve --demo` prints, and removes it from the address bar. Returns whether
 * there was one.
 */
async function followSignInLink() {
  const token = /^#sign-in=([\w.~-]+)$/.exec(location.hash)?.[1];
  if (!token) return false;
  history.replaceState(null, '', location.pathname);
  try {
    startSession((await api('POST', '/demo/session', { body: { token } })).body);
    location.hash = isAdmin() ? '#/admin/orders' : '#/';
    notify(`You are signed in as ${user().name}.`);
  } catch (problem) {
    showError(problem);
    show();
  }
  return true;
}

// ---- Start

window.addEventListener('hashchange', show);
session.addEventListener('change', () => {
  mergeCart().catch(showError).then(loadCart).catch(showError);
  if (user()) renderFrame();
  else show(); // what only this user may see goes
});
cart.addEventListener('change', () => renderFrame());
live.addEventListener('connection', () => {
  showConnection();
  if (connection.isOpen && hasFailed) show(); // the server is back
});
// The link is not a route: it moves the focus only.
document.querySelector('.skip').onclick = (event) => { event.preventDefault(); $('main').focus(); };
showConnection();
showCalls($('calls'));
connect();
loadCart().catch(showError);
show();
