// One product.

import { api, isAdmin } from './api.js';
import { addToCart } from './catalog.js';
import { el, money, newId } from './dom.js';
import { live, rememberStock } from './live.js';
import { button, heading, picture, stock } from './ui.js';

export async function product({ params, signal, reload }) {
  const { body, headers } = await api('GET', `/products/${encodeURIComponent(params.id)}`);
  rememberStock([body], headers);
  live.addEventListener('resync', reload, { signal });
  const about = newId('product');
  const add = button('Add to cart', () => addToCart(body), { primary: true, about });
  const level = stock(body, signal, ({ quantity, deleted }) => { add.disabled = deleted || !quantity; });
  const more = body.images.slice(1).map((image) => picture({ name: body.name, images: [image] }, 320));
  return el('article', { class: 'product' },
    el('div', { class: 'product-pictures' }, picture(body, 1280), more.length > 0 && el('div', { class: 'thumbnails' }, more)),
    el('div', { class: 'product-text' },
      body.category && el('p', { class: 'eyebrow' }, el('a', { href: `#/?category=${body.category.slug}` }, body.category.name)),
      heading(body.name),
      el('p', { class: 'product-facts' }, el('span', { class: 'price', id: about }, money(body.price, body.currency)), level),
      el('p', { class: 'actions' }, add, isAdmin() && el('a', { href: `#/admin/products/${body.id}` }, 'Edit this product')),
      body.description && el('p', { class: 'prose' }, body.description)));
}
