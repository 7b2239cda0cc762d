// Payments, for admins: those of orders, and what matches no order.

import { api, get, shopCurrency, withQuery } from '../api.js';
import { date, el, money, newId, shortId } from '../dom.js';
import { ask, badge, button, empty, heading, notify, pages, row, table } from '../ui.js';

const STATUSES = ['unmatched', 'captured', 'refunded', 'failed', 'resolved'];
const HEADINGS = ['When', 'Amount', 'Status', 'Order', 'Reason', ''];

export async function payments({ query, reload }) {
  const status = query.get('status') ?? 'unmatched';
  const currency = await shopCurrency();
  const list = await get(withQuery('/admin/payments', { status: status === 'all' ? '' : status, page: query.get('page') ?? 1, limit: 25 }));
  const chip = (name) => el('a', { href: `#/admin/payments?status=${name}`, 'aria-current': status === name ? 'true' : undefined }, name);
  const rows = list.data.map((entry) => {
    const about = newId('payment');
    const resolve = async () => {
      const note = await ask({ title: 'Resolve this payment', label: 'How was it resolved?', confirm: 'Resolve' });
      if (!note) return;
      await api('POST', `/admin/payments/${entry.id}/resolve`, { body: { note } });
      notify('The payment is resolved.');
      reload();
    };
    return row(HEADINGS, [
      el('span', { id: about }, date(entry.createdAt)),
      entry.amount === null ? '–' : money(entry.amount, currency),
      badge(entry.status.toUpperCase()),
      entry.orderId ? el('a', { class: 'number', href: `#/admin/orders/${entry.orderId}` }, shortId(entry.orderId)) : '–',
      entry.resolution?.note ?? entry.reason ?? '–',
      entry.status === 'unmatched' ? button('Resolve', resolve, { about }) : '',
    ]);
  });
  return [
    heading('Payments'),
    status === 'unmatched' && el('p', { class: 'lead' }, 'Unmatched is money that belongs to no order, or arrived in a wrong amount. A person has to decide about it.'),
    el('nav', { class: 'chips', 'aria-label': 'Status' }, STATUSES.map(chip), chip('all')),
    rows.length ? table('Payments', HEADINGS, rows) : empty(status === 'unmatched' ? 'Nothing is unmatched.' : 'No payments here.'),
    pages(list, (page) => `#/admin/payments?status=${status}&page=${page}`),
  ];
}
