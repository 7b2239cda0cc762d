// Accounts, for admins.

import { api, get, user, withQuery } from '../api.js';
import { date, el } from '../dom.js';
import { ask, button, empty, heading, notify, pages, row, table } from '../ui.js';

const HEADINGS = ['Name', 'Email', 'Role', 'Since', ''];

export async function users({ query, reload }) {
  const email = query.get('email') ?? '';
  const list = await get(withQuery('/admin/users', { email, page: query.get('page') ?? 1, limit: 25 }));
  const search = el('input', { type: 'search', value: email, placeholder: 'Email address', 'aria-label': 'Email address' });
  const searchForm = el('form', { class: 'search', role: 'search', onsubmit: (event) => { event.preventDefault(); location.hash = withQuery('#/admin/users', { email: search.value.trim() }); } }, search);
  const rows = list.data.map((account) => {
    const role = account.role === 'ADMIN' ? 'CUSTOMER' : 'ADMIN';
    const setRole = async () => {
      const title = `Make ${account.name} ${role === 'ADMIN' ? 'an admin' : 'a customer'}?`;
      if (!await ask({ title, text: `${account.email} is signed out everywhere.`, confirm: role === 'ADMIN' ? 'Make admin' : 'Make customer' })) return;
      await api('PATCH', `/admin/users/${account.id}`, { body: { role } });
      notify(`${account.email} is now ${role === 'ADMIN' ? 'an admin' : 'a customer'}.`);
      reload();
    };
    const address = el('span', { id: `user-${account.id}` }, account.email, account.isEmailVerified ? '' : el('span', { class: 'hint' }, ' not confirmed'));
    return row(HEADINGS, [
      account.name, address, account.role.toLowerCase(), date(account.createdAt),
      account.id === user().id ? '' : button(role === 'ADMIN' ? 'Make admin' : 'Make customer', setRole, { quiet: true, about: `user-${account.id}` }),
    ]);
  });
  return [
    heading('Users', searchForm),
    rows.length ? table('Accounts', HEADINGS, rows) : empty('No account has this address.'),
    pages(list, (page) => withQuery('#/admin/users', { email, page })),
  ];
}
