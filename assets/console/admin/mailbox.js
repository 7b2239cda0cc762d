// Every email of the shop, for admins.

import { get, withQuery } from '../api.js';
import { date, el } from '../dom.js';
import { follow } from '../orders.js';
import { cursorList, empty, heading } from '../ui.js';

export async function mailbox({ params, signal, reload }) {
  const load = (cursor, options) => get(withQuery('/admin/mail', { cursor, limit: 25 }), options);
  const rows = el('ul', { class: 'mail-list' });
  let shown = params.id; // else the newest
  const entry = (mail) => {
    shown ??= mail.id;
    return el('li', {}, el('a', { href: `#/admin/mailbox/${mail.id}`, 'aria-current': mail.id === shown ? 'true' : undefined, 'data-focus': mail.id },
      el('span', { class: 'mail-to' }, mail.to), el('span', { class: 'mail-date' }, date(mail.createdAt)),
      el('span', { class: 'mail-subject' }, mail.subject ?? '(no subject)'),
      mail.state !== 'sent' && el('span', { class: 'warning' }, mail.state)));
  };
  const list = await cursorList(rows, load, entry, 'The shop has not sent any mail yet.');
  const message = shown ? await show(shown) : null;
  follow(signal, async () => {
    await list.refresh({ quiet: true });
    if (!message && shown) reload(); // the first email
  });
  return [
    heading('Mailbox'),
    el('div', { class: 'mailbox', 'data-open': String(Boolean(params.id)) }, el('div', { class: 'mail-pane' }, rows, list.below), message),
  ];
}

async function show(id) {
  const mail = await get(`/admin/mail/${encodeURIComponent(id)}`);
  return el('article', { class: 'mail', 'aria-label': mail.subject ?? 'Email' },
    el('p', { class: 'mail-back' }, el('a', { href: '#/admin/mailbox' }, 'All mail')),
    el('h2', {}, mail.subject ?? '(no subject)'),
    el('p', { class: 'hint' }, 'To ', mail.to, ' · ', date(mail.createdAt), ' · ', mail.state, mail.lastError && ` · ${mail.lastError}`),
    mail.html ? frame(mail.html) : mail.text ? el('pre', { class: 'mail-text' }, mail.text) : empty('The content of this email was not kept.'));
}

/**
 * Returns a frame with an email. It is sandboxed: no scripts, no forms, no navigation. The page's policy allows no inline
 * styles, so they are applied one by one.
 */
function frame(html) {
  const box = el('iframe', { class: 'mail-frame', title: 'Email', sandbox: 'allow-same-origin allow-popups allow-popups-to-escape-sandbox' });
  // Under another name, so that the policy does not refuse the attributes while they are parsed.
  const inert = html.replace(/\sstyle=/gi, ' data-style=').replace(/<(\/?)style\b/gi, '<$1template');
  box.addEventListener('load', () => {
    const target = box.contentDocument;
    const source = new DOMParser().parseFromString(inert, 'text/html');
    const sheets = [...source.querySelectorAll('template')].map((template) => {
      const sheet = new target.defaultView.CSSStyleSheet();
      sheet.replaceSync(template.content.textContent);
      template.remove();
      return sheet;
    });
    for (const node of source.querySelectorAll('script, link, meta, base, img[src^="http"]')) node.remove();
    for (const link of source.querySelectorAll('a')) {
      if (/^https?:/i.test(link.getAttribute('href') ?? '')) Object.assign(link, { target: '_blank', rel: 'noopener' });
      else link.removeAttribute('href');
    }
    target.adoptedStyleSheets = sheets;
    target.documentElement.lang = source.documentElement.lang || 'en';
    target.title = source.title || 'Email';
    target.body.className = source.body.className;
    target.body.append(...source.body.childNodes);
    if (source.body.dataset.style) target.body.style.cssText = source.body.dataset.style;
    for (const node of target.body.querySelectorAll('[data-style]')) {
      node.style.cssText = node.dataset.style;
      delete node.dataset.style;
    }
    const fit = () => { box.height = target.documentElement.scrollHeight; };
    fit();
    new target.defaultView.ResizeObserver(fit).observe(target.body);
  }, { once: true });
  box.srcdoc = '<!doctype html><title>Email</title>';
  return box;
}
