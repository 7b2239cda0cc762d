// Health, the live event stream, and what admins have changed.

import { get, Problem } from '../api.js';
import { date, el, every, time } from '../dom.js';
import { connection, live } from '../live.js';
import { heading, row, table } from '../ui.js';

const CHECKS = ['Check', 'Status', 'Detail'];
const CHANGES = ['When', 'Who', 'Action', 'Change'];

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
  const [health, audit] = await Promise.all([readiness(), get('/admin/audit?limit=12')]);
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
    const changes = detail.products.map(({ id, stockQuantity, deleted }) => el('span', {}, el('a', { href: `#/admin/products/${id}` }, id.slice(-8)), deleted ? ' deleted' : ` → ${stockQuantity}`));
    events.prepend(el('li', {}, el('code', {}, `#${detail.seq}`), ' ', time(detail.at), ' ', changes));
    while (events.children.length > 50) events.lastElementChild.remove();
  }, { signal });

  const entry = ({ at, actor, action, target, changes }) => row(CHANGES, [
    date(at), actor.name ?? actor.type, action,
    (changes ?? []).slice(0, 3).map(({ field, from, to }) => `${field}: ${short(from)} → ${short(to)}`).join('; ') || target?.id || '',
  ]);
  return [
    heading('System'),
    el('section', { 'aria-labelledby': 'health-title' }, el('h2', { id: 'health-title' }, 'Health ', state), table('Checks', CHECKS, checks)),
    el('section', { 'aria-labelledby': 'events-title' }, el('h2', { id: 'events-title' }, 'Live events ', el('span', { class: 'hint' }, connection.isOpen ? 'connected' : 'reconnecting')), events),
    el('section', { 'aria-labelledby': 'changes-title' }, el('h2', { id: 'changes-title' }, 'Latest changes'), table('Audit log', CHANGES, audit.data.map(entry))),
  ];
}

function short(value) {
  const text = value === null || value === undefined ? '–' : typeof value === 'object' ? JSON.stringify(value) : String(value);
  return text.length > 40 ? `${text.slice(0, 40)}…` : text;
}
