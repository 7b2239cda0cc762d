// One product. If it has options, the customer chooses a variant.

import { api, isAdmin } from './api.js';
import { addToCart } from './catalog.js';
import { el, money, newId, replace } from './dom.js';
import { fullName, live, rememberStock, stockKey, stockOf } from './live.js';
import { button, empty, field, heading, picture, select, stock } from './ui.js';

/** Returns the price and the stock of a variant, with the button that puts it into the cart. */
function offer(product, variant, signal) {
  const about = newId('variant');
  const name = fullName(product.name, variant.title);
  const add = button('Add to cart', () => addToCart({ variantId: variant.id }, name), { primary: true, about });
  const level = stock({ ...variant, id: stockKey(variant), name }, signal, ({ quantity, deleted }) => { add.disabled = deleted || !quantity; });
  return [
    el('p', { class: 'product-facts' },
      el('span', { class: 'price', id: about }, money(variant.price, variant.currency)),
      variant.compareAtPrice > variant.price && el('s', { class: 'hint' }, money(variant.compareAtPrice, variant.currency)),
      level),
    el('p', { class: 'actions' }, add, isAdmin() && el('a', { href: `#/admin/products/${product.id}` }, 'Edit this product')),
    variant.sku && el('p', { class: 'hint' }, `SKU ${variant.sku}`),
  ];
}

/** Returns a control for each option. `choose` is called with the variant of the chosen values, or `undefined`. */
function optionControls({ options, variants }, first, choose) {
  const chosen = Object.fromEntries(first.options.map(({ name, value }) => [name, value]));
  return options.map(({ name, values }) => {
    const control = select(name, values.map(({ value }) => [value, value]), chosen[name], () => {
      chosen[name] = control.value;
      choose(variants.find((variant) => variant.options.every((option) => chosen[option.name] === option.value)));
    });
    return field(name, control);
  });
}

export async function product({ params, signal, reload }) {
  const { body, headers } = await api('GET', `/products/${encodeURIComponent(params.id)}`);
  rememberStock([body], headers);
  live.addEventListener('resync', reload, { signal });
  const [main, box] = [el('div', {}), el('div', { class: 'stack', 'aria-live': 'polite' })];
  const offers = new Map(); // variant id → its offer, which follows the stock
  let isDeleted = false;
  const choose = (variant) => {
    if (isDeleted) return;
    const image = variant && body.images.find(({ id }) => id === variant.imageId);
    replace(main, picture(image ? { ...body, images: [image] } : body, 1280));
    if (!variant) {
      replace(box, empty('There is no such combination.'));
      return;
    }
    if (!offers.has(variant.id)) offers.set(variant.id, offer(body, variant, signal));
    replace(box, ...offers.get(variant.id));
  };
  // Its variants are not part of that message.
  live.addEventListener('change', ({ detail }) => {
    if (detail.id !== body.id || !detail.deleted || !body.options.length) return;
    isDeleted = true;
    replace(box, empty('No longer available'));
  }, { signal });
  const first = body.variants.find((variant) => stockOf(stockKey(variant))?.quantity) ?? body.variants[0];
  choose(first);
  const more = body.images.slice(1).map((image) => picture({ name: body.name, images: [image] }, 320));
  return el('article', { class: 'product' },
    el('div', { class: 'product-pictures' }, main, more.length > 0 && el('div', { class: 'thumbnails' }, more)),
    el('div', { class: 'product-text' },
      body.category && el('p', { class: 'eyebrow' }, el('a', { href: `#/?category=${body.category.slug}` }, body.category.name)),
      heading(body.name),
      body.options.length > 0 && el('div', { class: 'options' }, optionControls(body, first, choose)),
      box,
      body.description && el('p', { class: 'prose' }, body.description)));
}
