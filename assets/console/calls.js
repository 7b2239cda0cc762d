// The panel at the bottom: the API calls behind each click, as curl.

import { calls } from './api.js';
import { el } from './dom.js';

const KEPT = 30;
const SECRET = /("(?:password|newPassword|currentPassword|refreshToken|token|cartToken)":")[^"]*(")/g;
// Opening the next view makes calls of its own; what a click has changed stays in sight for so long, in ms.
const WRITE_SHOWN = 4000;
const recent = [];
let lastWrite = { at: -WRITE_SHOWN, call: null };
let isOpen = false;
let selected = null;

const quote = (text) => `'${text.replaceAll("'", "'\\''")}'`;

const TOKENS = ['Authorization', 'Cart-Token'];

/** Returns a call as a command. Passwords are left out; tokens in headers are shortened unless `withToken`. */
function curl({ method, url, headers, body }, withToken) {
  const parts = [`curl ${method === 'GET' ? '' : `-X ${method} `}${quote(url)}`];
  for (const [name, value] of Object.entries(headers)) {
    const shown = TOKENS.includes(name) && !withToken ? `${value.slice(0, 14)}…` : value;
    parts.push(`-H ${quote(`${name}: ${shown}`)}`);
  }
  if (body instanceof FormData) {
    for (const [name, value] of body) parts.push(`-F ${quote(value instanceof File ? `${name}=@${value.name}` : `${name}=${value}`)}`);
  } else if (typeof body === 'string') {
    parts.push('--data-binary @products.csv');
  } else if (body) {
    parts.push(`-d ${quote(JSON.stringify(body).replace(SECRET, '$1…$2'))}`);
  }
  return parts.join(' \\\n  ');
}

const path = ({ url }) => decodeURI(url.slice(location.origin.length));

function summary(call) {
  return [el('b', { class: 'method' }, call.method), ' ', el('span', { class: 'path' }, path(call)), ' ',
    el('span', { class: 'outcome', 'data-ok': String(call.status >= 200 && call.status < 400) }, call.status || 'no answer'),
    el('span', { class: 'duration' }, ` ${call.milliseconds} ms`)];
}

function render(box) {
  const isFresh = performance.now() - lastWrite.at < WRITE_SHOWN;
  const last = isFresh ? lastWrite.call : recent[0];
  const toggle = el('button', { type: 'button', class: 'calls-toggle', 'aria-expanded': String(isOpen), 'aria-controls': 'calls-body' },
    el('span', { class: 'calls-title' }, 'API'),
    el('span', { class: 'calls-last' }, last ? summary(last) : 'The call behind each click appears here.'),
    el('span', { class: 'calls-action' }, isOpen ? 'Hide' : 'Show as curl'));
  toggle.onclick = () => {
    isOpen = !isOpen;
    render(box);
    box.querySelector('.calls-toggle').focus();
  };
  const shown = selected ?? last;
  const body = el('div', { id: 'calls-body', class: 'calls-body', hidden: !isOpen });
  if (isOpen && shown) {
    const copy = el('button', { type: 'button' }, 'Copy');
    copy.onclick = async () => {
      // Browsers offer no clipboard to pages of plain HTTP, except on localhost.
      if (!navigator.clipboard) getSelection().selectAllChildren(box.querySelector('pre'));
      await navigator.clipboard?.writeText(curl(shown, true));
      copy.textContent = navigator.clipboard ? 'Copied' : 'Selected';
    };
    const list = el('ul', { class: 'calls-list' }, recent.map((call) => {
      const item = el('button', { type: 'button', 'aria-pressed': String(call === shown) }, summary(call));
      item.onclick = () => { selected = call; render(box); box.querySelector('[aria-pressed=true]').focus(); };
      return el('li', {}, item);
    }));
    body.append(list, el('div', { class: 'calls-curl' }, el('pre', { tabIndex: 0, role: 'region', 'aria-label': 'Command' }, curl(shown, false)), copy));
  }
  box.replaceChildren(toggle, body);
}

/** Shows the panel in `box`. */
export function showCalls(box) {
  calls.addEventListener('call', ({ detail }) => {
    recent.unshift(detail);
    if (detail.method !== 'GET') lastWrite = { at: performance.now(), call: detail };
    recent.length = Math.min(recent.length, KEPT);
    selected = null;
    const hadFocus = box.contains(document.activeElement);
    render(box);
    if (hadFocus) box.querySelector('.calls-toggle').focus();
  });
  render(box);
}
