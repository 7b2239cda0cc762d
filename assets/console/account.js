// Signing in, and creating an account.

import { api, isAdmin, isDemo, startSession, user } from './api.js';
import { el } from './dom.js';
import { field, form, heading, notify } from './ui.js';

export function signIn({ query, reload }) {
  const registers = query.has('register');
  const next = query.get('next');
  const input = (name, type, autocomplete) => el('input', { name, type, autocomplete, required: true });
  const submit = async (node) => {
    const { name, email, password } = Object.fromEntries(new FormData(node));
    if (registers) await api('POST', '/auth/register', { body: { name, email, password } });
    startSession((await api('POST', '/auth/login', { body: { email, password } })).body);
    notify(`You are signed in as ${user().name}.`);
    location.hash = next?.startsWith('#/') ? next : isAdmin() ? '#/admin/orders' : '#/';
    if (location.hash === '#/sign-in') reload();
  };
  const title = registers ? 'Create an account' : 'Sign in';
  const other = (text, more) => el('a', { href: `#/sign-in?${new URLSearchParams({ ...(next && { next }), ...more })}` }, text);
  return [
    heading(title),
    el('div', { class: 'narrow' },
      isDemo && el('p', { class: 'lead' }, 'The terminal in which the demo runs shows a sign-in link and a password each for a customer and an admin.', !registers && ' You can also create an account.'),
      form({ class: 'stack' }, submit,
        registers && field('Name', input('name', 'text', 'name')),
        field('Email', input('email', 'email', 'username')),
        field('Password', input('password', 'password', registers ? 'new-password' : 'current-password'), registers && 'At least 8 characters'),
        el('p', { class: 'actions' }, el('button', { class: 'primary' }, title),
          isDemo && (registers ? other('Sign in instead', {}) : other('Create an account', { register: '' }))))),
  ];
}
