// Parts that several views share: notices, actions, forms, badges, pictures, pages.

import { ROOT, Problem, invalid } from './api.js';
import { connection, live, nameOf, stockOf, variantKey } from './live.js';
import { count, decimals, el, fromDecimal, money, newId, replace } from './dom.js';

// ---- Notices

let timer;
function dismiss() {
  clearTimeout(timer);
  document.getElementById('notices').replaceChildren();
}

/** Shows a message for some seconds. */
export function notify(text) {
  dismiss();
  document.getElementById('notices').append(el('p', { class: 'notice' }, text));
  timer = setTimeout(dismiss, 6000);
}

// A notice is about the page that was left, if the user follows a link. If an action opens a page, its notice stays.
document.addEventListener('click', ({ target }) => { if (target.closest('a[href^="#"]')) dismiss(); });

/** Shows an error until it is dismissed, and marks the fields of `form` that it names. */
export function showError(problem, form) {
  dismiss();
  if (!(problem instanceof Problem)) console.error(problem);
  const isMarked = form instanceof HTMLFormElement && markInvalid(form, problem.errors ?? []);
  if (isMarked && !problem.type) return; // found before a request was sent: the field says everything
  const isShort = problem.code === 'insufficient-stock';
  const details = (problem.errors ?? []).slice(0, 8).map(({ field, productId, variantId, message }) => el('li', {}, el('b', {}, nameOf(variantKey(variantId)) ?? nameOf(productId) ?? field), ` ${message}`));
  const about = problem.type?.includes('/problems/')
    ? el('a', { href: `${ROOT}problems/${problem.code}`, target: '_blank', rel: 'noopener' }, 'About this error')
    : null;
  document.getElementById('notices').append(el('div', { class: 'notice error' },
    el('p', {}, isShort ? 'There is not enough stock.' : problem.message),
    (isShort || details.length > 1) && el('ul', {}, details),
    el('p', { class: 'actions' }, about, el('button', { type: 'button', class: 'quiet', onclick: dismiss }, 'Dismiss'))));
}

/**
 * Marks the controls of a form that errors name, writes each message below its control, and focuses the first. Returns
 * whether there is one.
 */
function markInvalid(form, errors) {
  for (const { field, message } of errors) {
    const input = form.elements.namedItem(field);
    if (!(input instanceof Element)) continue;
    const note = el('p', { class: 'invalid', id: newId('invalid'), role: 'alert' }, message);
    input.setAttribute('aria-invalid', 'true');
    input.setAttribute('aria-errormessage', note.id);
    input.after(note);
  }
  const first = form.querySelector('[aria-invalid]');
  first?.focus();
  return first !== null;
}

function clearInvalid(form) {
  for (const note of form.querySelectorAll('.invalid')) note.remove();
  for (const input of form.querySelectorAll('[aria-invalid]')) {
    input.removeAttribute('aria-invalid');
    input.removeAttribute('aria-errormessage');
  }
}

/** Runs the action of a control and shows its error. Ignores the control while its action is running. */
export async function run(control, work) {
  if (control.hasAttribute('aria-busy')) return;
  control.setAttribute('aria-busy', 'true');
  clearInvalid(control);
  dismiss();
  try {
    await work();
  } catch (problem) {
    showError(problem, control);
  } finally {
    control.removeAttribute('aria-busy');
  }
}

/** Returns a button that runs an action. `about` is the id of the element that describes its target, for screen readers. */
export function button(text, work, { primary, danger, quiet, about, focus } = {}) {
  const kind = primary ? 'primary' : danger ? 'danger' : quiet ? 'quiet' : undefined;
  const node = el('button', { type: 'button', class: kind, 'aria-describedby': about, 'data-focus': focus }, text);
  node.onclick = () => run(node, work);
  return node;
}

/**
 * Asks for a confirmation, and for a text if `label` is given. Returns the text, or `true`; or `null` if it was
 * cancelled. What a `danger` does cannot be undone, so the focus is not on its button.
 */
export function ask({ title, text, label, confirm, cancel = 'Cancel', danger }) {
  return new Promise((resolve) => {
    const input = label && el('input', { required: true });
    const titleId = newId('dialog');
    const dialog = el('dialog', { 'aria-labelledby': titleId, onclose: () => { dialog.remove(); resolve(dialog.returnValue === 'yes' ? input?.value.trim() || !input || null : null); } },
      el('form', { method: 'dialog', class: 'stack' },
        el('h2', { id: titleId }, title), text && el('p', {}, text), input && field(label, input),
        el('p', { class: 'actions' },
          el('button', { value: 'yes', class: danger ? 'danger' : 'primary' }, confirm),
          el('button', { value: 'no', formNoValidate: true, autofocus: danger }, cancel))));
    document.body.append(dialog);
    dialog.showModal();
  });
}

// ---- Forms

/** Returns a labelled control. */
export function field(label, control, hint) {
  const id = control.id || newId('field');
  control.id = id;
  const hintId = `${id}-hint`;
  if (hint) control.setAttribute('aria-describedby', hintId);
  return el('div', { class: 'field' },
    el('label', { for: id }, label), control, hint && el('p', { class: 'hint', id: hintId }, hint));
}

/** Returns the amount in an input, in the minor unit. Throws the error of the input if there is no amount above 0. */
export function amountIn(input, label, currency) {
  const amount = fromDecimal(input.value, currency);
  const digits = decimals(currency);
  const kind = digits ? `a number with at most ${digits} decimals` : 'a number without decimals';
  if (amount === null) throw invalid(input.name, `${label}: ${kind}, e.g. ${(12.99).toFixed(digits)}`);
  if (amount === 0) throw invalid(input.name, `${label}: more than ${money(0, currency)}`);
  return amount;
}

/** Returns a select. `options` are pairs of value and text. */
export function select(name, options, value, onchange) {
  const node = el('select', { name, onchange, 'data-focus': name }, options.map(([key, text]) => el('option', { value: key }, text)));
  node.value = value ?? options[0][0];
  return node;
}

/** Returns a form whose submission runs `work`. */
export function form(props, work, ...children) {
  const node = el('form', { noValidate: true, ...props }, children);
  node.addEventListener('submit', (event) => {
    event.preventDefault();
    run(node, () => work(node));
  });
  return node;
}

// ---- Texts

/** Returns the heading of a view with what belongs beside it. */
export function heading(title, ...beside) {
  return el('div', { class: 'heading' }, el('h1', { tabIndex: -1 }, title), beside.length > 0 && el('div', { class: 'beside' }, beside));
}

/** Returns the badge of an order's or a payment's status. */
export const badge = (status, text = status) => el('span', { class: 'badge', 'data-status': status }, text);

/** Returns a text for an empty list. */
export const empty = (...text) => el('p', { class: 'empty' }, text);

// ---- Products

/** Returns the URL of a product's first picture, or `null`. Only the shop's own pictures are shown. */
export function pictureOf({ images }, width = 640) {
  const key = images?.length && /\/images\/([^/?]+)$/.exec(images[0].url)?.[1];
  return key ? `${ROOT}images/${key}?w=${width}` : null;
}

/** Returns a product's picture, or the first letter of its name. It is decoration: the name stands beside it. */
export function picture(product, width) {
  const box = el('span', { class: 'picture', 'aria-hidden': 'true' });
  const initial = () => box.replaceChildren(el('span', {}, [...product.name][0] ?? ''));
  const src = pictureOf(product, width);
  if (src) box.append(el('img', { alt: '', loading: 'lazy', decoding: 'async', onerror: initial, src }));
  else initial();
  return box;
}

const stockText = ({ quantity, deleted }) => (deleted ? 'No longer available' : quantity === 0 ? 'Sold out' : quantity <= 5 ? `Only ${quantity} left` : `${quantity} in stock`);

/** Returns the stock of a product or variant, which follows the live inventory. `onchange` is called with each value. */
export function stock({ id, name, stockQuantity }, signal, onchange) {
  const node = el('span', { class: 'stock' });
  const show = (state) => {
    node.textContent = stockText(state);
    node.dataset.level = state.deleted || !state.quantity ? 'none' : state.quantity <= 5 ? 'low' : 'good';
    onchange?.(state);
  };
  show(stockOf(id) ?? { quantity: stockQuantity });
  live.addEventListener('change', ({ detail }) => {
    if (detail.id !== id || node.textContent === stockText(detail)) return;
    show(detail);
    node.classList.remove('flash');
    void node.offsetWidth; // forces a layout, which restarts the animation
    node.classList.add('flash');
    announce(name, node.textContent);
  }, { signal });
  return node;
}

const pending = new Map();
/** Reads changes of stock to screen readers, in batches. */
function announce(name, text) {
  if (!pending.size) {
    setTimeout(() => {
      document.getElementById('announcements').textContent = [...pending].map(([of, what]) => `${of}: ${what}`).join('; ');
      pending.clear();
    }, 2000);
  }
  pending.set(name, text);
}

/** Shows whether live stock is connected. */
export function showConnection() {
  const node = document.getElementById('connection');
  node.textContent = connection.isOpen ? 'Live' : 'Reconnecting';
  node.classList.toggle('open', connection.isOpen);
}

// ---- Pages

/** Returns links to the other pages of a numbered list. `hrefOf` returns the link to a page. */
export function pages(list, hrefOf) {
  const more = list.page < list.totalPages || (list.totalIsCapped && list.data.length === list.limit);
  if (list.page === 1 && !more) return null;
  const link = (text, page, isEnabled) => (isEnabled ? el('a', { class: 'button', href: hrefOf(page) }, text) : el('span', {}));
  return el('nav', { class: 'pages', 'aria-label': 'Pages' },
    link('Previous', list.page - 1, list.page > 1),
    el('span', {}, `Page ${list.page} of ${list.totalPages}${list.totalIsCapped ? '+' : ''}`),
    link('Next', list.page + 1, more));
}

/**
 * Fills `box` with the rows of a cursor list. `load` returns the page of a cursor. Returns the node below the list, which
 * has a button for more or the text `none`; `refresh`, which reads the rows again; and `put`, which replaces a row.
 */
export async function cursorList(box, load, rowOf, none) {
  let [rows, next, shown] = [[], null, ''];
  const below = el('div', {});
  const set = (all, cursor) => {
    [rows, next] = [all, cursor];
    const text = JSON.stringify([rows, next]);
    if (text === shown) return;
    shown = text;
    replace(box, rows.map(rowOf));
    replace(below, !rows.length ? empty(none) : next && el('div', { class: 'more' }, button('Show more', showMore, { focus: 'more' })));
  };
  // One change at a time: each continues where the one before has ended, so that no row is missed or repeated.
  let last = Promise.resolve();
  const inTurn = (change) => (...given) => {
    const turn = last.then(() => change(...given));
    last = turn.catch(() => {}); // the caller gets the error
    return turn;
  };
  const showMore = inTurn(async () => {
    const page = await load(next);
    set([...rows, ...page.data], page.nextCursor);
  });
  /** Reads as many pages as are shown. */
  const refresh = inTurn(async (options) => {
    let page = await load('', options);
    const all = page.data;
    while (page.nextCursor && all.length < rows.length) {
      page = await load(page.nextCursor, options);
      all.push(...page.data);
    }
    set(all, page.nextCursor);
  });
  const put = inTurn((row) => set(rows.map((it) => (it.id === row.id ? row : it)), next));
  await refresh();
  return { below, refresh, put };
}

/** Returns a table whose rows become blocks on narrow screens. */
export function table(caption, headings, rows) {
  return el('div', { class: 'table' }, el('table', {},
    el('caption', { class: 'visually-hidden' }, caption),
    el('thead', {}, el('tr', {}, headings.map((text) => el('th', { scope: 'col' }, text || el('span', { class: 'visually-hidden' }, 'Actions'))))),
    rows instanceof Node ? rows : el('tbody', {}, rows)));
}

/** Returns a row of such a table. `headings` label the cells on narrow screens. */
export const row = (headings, cells) => el('tr', {}, cells.map((cell, at) => el('td', { 'data-label': headings[at] }, cell)));

export const items = (order) => count(order.items.reduce((sum, item) => sum + item.quantity, 0), 'item');
