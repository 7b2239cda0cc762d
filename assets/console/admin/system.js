// Health, the live event stream, and what admins have changed.

import { api, get, Problem, shopCurrency } from '../api.js';
import { date, el, every, money, shortId, time } from '../dom.js';
import { connection, live, nameOf, rememberStock } from '../live.js';
import { heading, row, table } from '../ui.js';

const CHECKS = ['Check', 'Status', 'Detail'];
const CHANGES = ['When', 'Who', 'Action', 'Target', 'Change'];
const AMOUNTS = ['price', 'amount', 'totalAmount', 'refundedAmount'];
/** The types of targets that have a view, and its path. */
const VIEWS = { product: 'products', order: 'orders' };

/** Returns what the server says about itself to an admin, also if it is not ready. */
async function readiness(options) {
  try {
    return await get('/readyz', options);
  } catch (problem) {
    if (problem instanceof Problem && problem.checks) return { status: problem.message, checks: problem.checks };
    throw problem;
  }
}

export async function system({ signal }) {
  const [health, audit, currency, { body: newest, headers }] = await Promise.all([
    readiness(), get('/admin/audit?limit=12'), shopCurrency(), api('GET', '/products?limit=100', { quiet: true }),
  ]);
  rememberStock(newest.data, headers); // for the names
  const checks = el('tbody', {});
  const state = el('span', { class: 'hint' });
  const showHealth = ({ status, checks: all }) => {
    state.textContent = status;
    checks.replaceChildren(...(all ?? []).map((check) => row(CHECKS, [check.name, el('span', { class: 'check-status', 'data-status': check.status }, check.status), check.detail])));
  };
  showHealth(health);
  every(10, signal, () => readiness({ quiet: true }).then(showHealth, ({ message }) => { state.textContent = message; }));

  const events = el('ol', { class: 'events', 'aria-live': 'polite' }, el('li', { class: 'hint' }, 'Waiting for the next change of stock…'));
  live.addEventListener('update', ({ detail }) => {
    events.querySelector('.hint')?.remove();
    const changes = detail.products.map(({ id, stockQuantity, deleted }) => el('span', {}, el('a', { href: `#/admin/products/${id}` }, nameOf(id) ?? shortId(id)), deleted ? ' deleted' : ` → ${stockQuantity}`));
    events.prepend(el('li', {}, el('code', {}, `#${detail.seq}`), ' ', time(detail.at), ' ', changes));
    while (events.children.length > 50) events.lastElementChild.remove();
  }, { signal });

  const value = (field, it) => (AMOUNTS.includes(field) && Number.isInteger(it) ? money(it, currency) : short(it));
  const entry = ({ at, actor, action, target, changes }) => row(CHANGES, [
    date(at), actor.name, action, targetOf(target),
    changes.slice(0, 3).map(({ field, from, to }) => `${field}: ${value(field, from)} → ${value(field, to)}`).join('; '),
  ]);
  return [
    heading('System'),
    el('section', { 'aria-labelledby': 'health-title' }, el('h2', { id: 'health-title' }, 'Health ', state), table('Checks', CHECKS, checks)),
    el('section', { 'aria-labelledby': 'events-title' }, el('h2', { id: 'events-title' }, 'Live events ', el('span', { class: 'hint' }, connection.isOpen ? 'connected' : 'reconnecting')), events),
    el('section', { 'aria-labelledby': 'changes-title' }, el('h2', { id: 'changes-title' }, 'Latest changes'), table('Audit log', CHANGES, audit.data.map(entry))),
  ];
}

/** Returns the name of an entry's target, with a link if the console has a view of it. */
function targetOf({ type, id }) {
  if (!id) return type;
  const text = nameOf(id) ?? `${type} ${shortId(id)}`;
  return VIEWS[type] ? el('a', { href: `#/admin/${VIEWS[type]}/${id}` }, text) : text;
}

function short(value) {
  const text = value === null || value === undefined ? '–' : typeof value === 'object' ? JSON.stringify(value) : String(value);
  return text.length > 40 ? `${text.slice(0, 40)}…` : text;
}
