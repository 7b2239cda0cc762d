// Small helpers for the DOM and for formats. Data is inserted as text and properties, never as markup.

/** Creates an element. `on…` properties are listeners, `class` and names with a hyphen are attributes. */
export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null) continue;
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else if (name === 'class' || name === 'for' || name === 'role' || name === 'colspan' || name.includes('-')) node.setAttribute(name, value);
    else node[name] = value;
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** Replaces the children of `box`. Keeps the focus on the control with the same `data-focus`. */
export function replace(box, ...nodes) {
  const active = box.contains(document.activeElement) ? document.activeElement : null;
  const key = active?.getAttribute('data-focus');
  box.replaceChildren(...nodes.flat(Infinity).filter(Boolean));
  if (!active) return;
  const same = key && [...box.querySelectorAll('[data-focus]')].find((node) => node.getAttribute('data-focus') === key);
  if (same && !same.disabled) same.focus({ preventScroll: true });
  else document.querySelector('main h1')?.focus({ preventScroll: true });
}

let ids = 0;
/** Returns a new id, to connect elements. */
export const newId = (prefix) => `${prefix}-${++ids}`;

const formats = new Map();
function moneyFormat(currency) {
  if (!formats.has(currency)) formats.set(currency, new Intl.NumberFormat(undefined, { style: 'currency', currency, currencyDisplay: 'narrowSymbol' }));
  return formats.get(currency);
}

/** Returns how many decimals a currency has. Amounts are in its minor unit. */
export const decimals = (currency) => moneyFormat(currency).resolvedOptions().maximumFractionDigits;

/** Formats an amount, e.g. 129900 as ₹1,299.00. */
export const money = (amount, currency) => moneyFormat(currency).format(amount / 10 ** decimals(currency));

/** Converts an amount to the text of an input, e.g. 129900 to `1299.00`. */
export const toDecimal = (amount, currency) => (amount / 10 ** decimals(currency)).toFixed(decimals(currency));

/**
 * Converts the text of an input to an amount in the minor unit. Returns `null` unless it is digits, with at most the
 * currency's decimals after one point or comma: a text that must be guessed or rounded is no amount.
 */
export function fromDecimal(text, currency) {
  const [, units, fraction = ''] = /^(\d+)(?:[.,](\d+))?$/.exec(text.trim()) ?? [];
  if (!units || fraction.length > decimals(currency)) return null;
  return Number(units + fraction.padEnd(decimals(currency), '0'));
}

const dateFormat = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });
const timeFormat = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium' });

/** Returns a `<time>` with the date. */
export const date = (text) => el('time', { dateTime: text, title: text }, dateFormat.format(new Date(text)));

/** Returns a `<time>` with the time of day. */
export const time = (text) => el('time', { dateTime: text, title: text }, timeFormat.format(new Date(text)));

/** Returns the end of an id, which is enough to compare by eye. Ids of one time have the same beginning. */
export const shortId = (id) => id.slice(-8);

/** Returns a count with its noun, e.g. `2 items`. */
export const count = (number, noun, plural = `${noun}s`) => `${number} ${number === 1 ? noun : plural}`;

/** Calls `work` every `seconds` while the page is visible, until the signal aborts. */
export function every(seconds, signal, work) {
  const timer = setInterval(() => { if (!document.hidden) work(); }, seconds * 1000);
  signal.addEventListener('abort', () => clearInterval(timer));
}
