// The catalog: search, filters and live stock.

import { api, get, withQuery } from './api.js';
import { change } from './cart-state.js';
import { el, money, newId } from './dom.js';
import { live, rememberStock } from './live.js';
import { button, empty, field, notify, pages, picture, select, stock } from './ui.js';

const SORTS = [['-createdAt', 'Newest'], ['price', 'Lowest price'], ['-price', 'Highest price'], ['name', 'Name']];

/** Puts one unit into the cart. `selection` has the id of the variant, or of a product with only one. */
export async function addToCart(selection, name) {
  await change('POST', '/cart', { ...selection, quantity: 1 });
  notify(`${name} is in your cart.`);
}

function card(product, signal) {
  const title = newId('product');
  const { id, name, price, priceMax, variantCount, currency } = product;
  const add = variantCount > 1
    ? el('a', { class: 'button', href: `#/products/${id}`, 'aria-describedby': title }, 'Choose')
    : button('Add to cart', () => addToCart({ productId: id }, name), { about: title });
  const level = stock(product, signal, ({ quantity, deleted }) => { add.disabled = deleted || !quantity; });
  return el('li', { class: 'card' },
    el('a', { class: 'card-link', href: `#/products/${product.id}` },
      picture(product),
      el('span', { class: 'card-title', id: title }, product.name)),
    el('p', { class: 'card-facts' }, el('span', { class: 'price' }, priceMax > price && 'from ', money(price, currency)), level),
    add);
}

const filtersOf = (query) => Object.fromEntries(['q', 'category', 'sort', 'inStock', 'page'].map((name) => [name, query.get(name) ?? '']));

export async function catalog({ query, signal, reload }) {
  const filters = filtersOf(query);
  // From the address, which may be ahead of the view: the list of the last choice may still be loading.
  const hrefOf = (changes) => withQuery('#/', { ...filtersOf(new URLSearchParams(location.hash.split('?')[1])), page: '', ...changes });
  const go = (changes) => { location.hash = hrefOf(changes); };
  const sort = filters.sort || (filters.q ? '' : '-createdAt');
  const [{ data: categories }, { body: list, headers }] = await Promise.all([
    get('/categories', { quiet: true }),
    api('GET', withQuery('/products', { ...filters, sort, limit: 36 })),
  ]);
  rememberStock(list.data, headers);
  live.addEventListener('resync', reload, { signal });

  const search = el('input', { type: 'search', name: 'q', value: filters.q, placeholder: 'Search products', 'aria-label': 'Search products', 'data-focus': 'q' });
  const searchForm = el('form', { class: 'search', role: 'search', onsubmit: (event) => { event.preventDefault(); go({ q: search.value.trim(), sort: '' }); } }, search);
  const chip = (text, slug) => el('a', {
    href: hrefOf({ category: slug }), 'aria-current': filters.category === slug ? 'true' : undefined,
    onclick: ({ currentTarget }) => { currentTarget.href = hrefOf({ category: slug }); },
  }, text);
  const inStock = el('input', { type: 'checkbox', checked: filters.inStock === 'true', onchange: () => go({ inStock: inStock.checked ? 'true' : '' }) });
  const sorts = filters.q ? [['', 'Best match'], ...SORTS] : SORTS;
  return [
    el('p', { class: 'lead' },
      'This is a real shop, run by one program on this machine; the page uses only its public API. ',
      'Put something into the cart, pay with the simulator, and open a second window to watch the stock change in both.'),
    el('div', { class: 'heading' }, el('h1', { tabIndex: -1 }, 'Catalog'), searchForm),
    el('div', { class: 'filters' },
      el('nav', { class: 'chips', 'aria-label': 'Categories' }, chip('Everything', ''), categories.filter((it) => it.productCount > 0).map(({ name, slug }) => chip(name, slug))),
      el('label', { class: 'check' }, inStock, 'In stock'),
      el('div', { class: 'inline' }, field('Sort', select('sort', sorts, filters.sort || sorts[0][0], (event) => go({ sort: event.target.value }))))),
    list.data.length
      ? el('ul', { class: 'cards' }, list.data.map((product) => card(product, signal)))
      : empty('No product matches. ', el('a', { href: '#/' }, 'Show everything'), '.'),
    pages(list, (page) => hrefOf({ page })),
  ];
}
