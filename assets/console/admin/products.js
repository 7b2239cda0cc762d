// Products, for admins: create, edit, pictures, stock.

import { api, get, isDemo, newKey, shopCurrency, withQuery } from '../api.js';
import { decimals, el, money, newId, replace, toDecimal } from '../dom.js';
import { fullName, live, rememberStock } from '../live.js';
import { follow } from '../orders.js';
import { amountIn, ask, button, cursorList, empty, field, form, heading, notify, pages, picture, row, run, select, showError, stock, table } from '../ui.js';
import { MOVEMENTS, movementRow, movementsOf } from './stock.js';
import { titleOf, variantsSection } from './variants.js';

const HEADINGS = ['Product', 'Category', 'Price', 'Stock'];

export async function adminProducts({ query, signal, reload }) {
  const q = query.get('q') ?? '';
  const page = query.get('page') ?? 1;
  const { body: list, headers } = await api('GET', withQuery('/products', { q, page, limit: 50, sort: q ? '' : '-createdAt' }));
  rememberStock(list.data, headers);
  live.addEventListener('resync', reload, { signal });
  const search = el('input', { type: 'search', value: q, placeholder: 'Search products', 'aria-label': 'Search products', 'data-focus': 'q' });
  const searchForm = el('form', { class: 'search', role: 'search', onsubmit: (event) => { event.preventDefault(); location.hash = withQuery('#/admin/products', { q: search.value.trim() }); } }, search);
  const rows = list.data.map((product) => row(HEADINGS, [
    el('a', { class: 'with-picture', href: `#/admin/products/${product.id}` }, picture(product, 320), el('span', {}, product.name)),
    product.category?.name ?? '–', [product.priceMax > product.price && 'from ', money(product.price, product.currency)].filter(Boolean), stock(product, signal),
  ]));
  return [
    heading('Products', searchForm, el('a', { class: 'button', href: '#/admin/products/import' }, 'Import CSV'), el('a', { class: 'button primary', href: '#/admin/products/new' }, 'New product')),
    rows.length ? table('Products', HEADINGS, rows) : empty('No product matches.'),
    pages(list, (to) => withQuery('#/admin/products', { q, page: to })),
  ];
}

export async function adminProduct({ params, signal, reload }) {
  const isNew = params.id === 'new';
  const read = async (options) => {
    const { body, headers } = await api('GET', `/products/${encodeURIComponent(params.id)}`, options);
    rememberStock([body], headers);
    return body;
  };
  const [{ data: categories }, product] = await Promise.all([get('/categories', { quiet: true }), isNew ? null : read()]);
  // Only the stock, so that edits are not lost.
  if (product) live.addEventListener('resync', () => read({ quiet: true }).catch(showError), { signal });
  const currency = product?.currency ?? await shopCurrency();
  const back = el('p', { class: 'eyebrow' }, el('a', { href: '#/admin/products' }, 'Products'));
  if (isNew) return [back, heading('New product'), el('div', { class: 'narrow' }, details(null, currency, categories))];

  const remove = button('Delete', async () => {
    const text = 'It leaves the catalog and all carts, and stays in past orders.';
    if (!await ask({ title: `Delete ${product.name}?`, text, confirm: 'Delete', danger: true })) return;
    await api('DELETE', `/products/${product.id}`);
    notify(`${product.name} is deleted.`);
    location.hash = '#/admin/products';
  }, { danger: true });
  const level = stock(product, signal);
  return [
    back,
    heading(product.name, ...(isDemo ? [el('a', { href: `#/products/${product.id}` }, 'Show in the shop')] : []), remove),
    el('div', { class: 'columns' },
      el('section', { 'aria-labelledby': 'details-title' }, el('h2', { id: 'details-title' }, 'Details'), details(product, currency, categories, reload)),
      el('div', { class: 'stack wide' }, variantsSection(product, currency, signal, reload), images(product), await stockSection(product, level, signal))),
  ];
}

/** Returns the form with the texts, the price and the category. A product with options has the prices of its variants. */
function details(product, currency, categories, reload) {
  const input = (name, value, props) => el('input', { name, value, ...props });
  const category = select('categoryId', [['', 'None'], ...categories.map(({ id, name }) => [id, name]), ['new', 'New category…']], product?.categoryId ?? '', () => {
    if (category.value !== 'new') chosen = category.value;
    else run(category, createCategory);
  });
  let chosen = category.value;
  const createCategory = async () => {
    category.value = chosen; // unless one is created
    const name = await ask({ title: 'New category', label: 'Name', confirm: 'Create' });
    if (!name) return;
    const { body: created } = await api('POST', '/categories', { body: { name } });
    category.lastElementChild.before(el('option', { value: created.id }, created.name));
    category.value = created.id;
    chosen = created.id;
  };
  const files = el('input', { type: 'file', name: 'images', multiple: true, accept: 'image/jpeg,image/png,image/webp,image/gif' });
  const submit = async (node) => {
    const values = Object.fromEntries(new FormData(node));
    const fields = {
      name: values.name, description: values.description, categoryId: values.categoryId || null,
      ...(node.elements.price && { price: amountIn(node.elements.price, 'Price', currency) }),
    };
    if (product) {
      // Only what was edited, so that another admin's change of another field stays. No `If-Match`: each sale changes the tag.
      const edited = Object.entries(fields).filter(([name, value]) => value !== product[name]);
      await api('PATCH', `/products/${product.id}`, { body: Object.fromEntries(edited) });
      notify('Saved.');
      reload();
      return;
    }
    const body = new FormData();
    for (const [name, value] of Object.entries({ ...fields, stockQuantity: values.stockQuantity || 0 })) {
      if (value !== null) body.set(name, value);
    }
    for (const file of files.files) body.append('images', file);
    const { body: created } = await api('POST', '/products', { body });
    notify(`${created.name} is in the catalog.`);
    location.hash = `#/admin/products/${created.id}`;
  };
  return form({ class: 'stack' }, submit,
    field('Name', input('name', product?.name ?? '', { required: true, maxLength: 200 })),
    field('Description', el('textarea', { name: 'description', rows: 5, value: product?.description ?? '' })),
    el('div', { class: 'pair' },
      !product?.options.length && field(`Price in ${currency}`, input('price', product ? toDecimal(product.price, currency) : '', { inputMode: 'decimal', required: true, placeholder: (0).toFixed(decimals(currency)) })),
      !product && field('Stock', input('stockQuantity', '', { type: 'number', min: 0, placeholder: '0' })),
      field('Category', category)),
    !product && field('Pictures', files, 'Up to 8 files of at most 5 MiB: JPEG, PNG, WebP or GIF'),
    el('p', { class: 'actions' }, el('button', { class: 'primary' }, product ? 'Save' : 'Create product')));
}

/** Returns the pictures of a product. */
function images(product) {
  const path = `/products/${product.id}/images`;
  const list = el('ul', { class: 'pictures' });
  const render = () => replace(list, product.images.map((image, at) => el('li', {},
    picture({ name: product.name, images: [image] }, 320),
    button('Remove', () => remove(image), { quiet: true, focus: `remove ${at}` }))));
  const remove = async ({ id }) => {
    if (!await ask({ title: 'Remove this picture?', text: `It is deleted from ${product.name}.`, confirm: 'Remove', danger: true })) return;
    change(await api('DELETE', `${path}/${id}`));
    notify('The picture is removed.');
  };
  const change = ({ body }) => { product.images = body.images; render(); };
  const files = el('input', { type: 'file', multiple: true, accept: 'image/jpeg,image/png,image/webp,image/gif' });
  const upload = form({ class: 'stack' }, async () => {
    if (!files.files.length) return;
    const body = new FormData();
    for (const file of files.files) body.append('images', file);
    try {
      change(await api('POST', path, { body }));
      notify('The pictures are uploaded.');
    } finally {
      files.value = '';
    }
  }, field('Add pictures', files, 'JPEG, PNG, WebP or GIF, up to 5 MiB each'));
  files.onchange = () => upload.requestSubmit();
  render();
  return el('section', { 'aria-labelledby': 'pictures-title' }, el('h2', { id: 'pictures-title' }, 'Pictures'), list, upload);
}

/** Returns the stock of a product with its movements, and the form that changes it. */
async function stockSection(product, level, signal) {
  let key = newKey(); // one per change, so that a retry is applied once
  const about = newId('stock');
  const body = el('tbody', {});
  const hasOptions = product.options.length > 0;
  const titles = new Map(product.variants.map((variant) => [variant.id, titleOf(variant)]));
  const headings = MOVEMENTS.map((name) => (name === 'Product' ? 'Variant' : name)).filter((name) => hasOptions || name !== 'Variant');
  const list = await cursorList(body, (cursor, options) => movementsOf(cursor, product.id, options), (movement) => movementRow({ ...movement, variant: titles.get(movement.variantId) ?? 'Deleted' }, headings), 'No movements.');
  follow(signal, () => list.refresh({ quiet: true }));
  const submit = async (node) => {
    const { delta, reason, variantId } = Object.fromEntries(new FormData(node));
    const path = hasOptions ? `/admin/variants/${variantId}/stock` : `/admin/products/${product.id}/stock`;
    const answer = await api('POST', path, { body: { delta: Number(delta), reason }, key });
    key = newKey();
    node.reset();
    if (!hasOptions) rememberStock([answer.body], answer.headers);
    const name = hasOptions ? fullName(product.name, titles.get(variantId)) : product.name;
    notify(`${name}: ${answer.body.stockQuantity} in stock.`);
    await list.refresh({ quiet: true });
  };
  return el('section', { 'aria-labelledby': about },
    el('h2', { id: about }, 'Stock ', level),
    form({ class: 'row-form', oninput: () => { key = newKey(); } }, submit,
      hasOptions && field('Variant', select('variantId', [...titles])),
      field('Change by', el('input', { name: 'delta', type: 'number', step: 1, required: true, placeholder: '±' })),
      field('Reason', el('input', { name: 'reason', required: true, placeholder: 'delivery' })),
      el('button', {}, 'Change stock')),
    table('Stock movements', headings, body), list.below);
}
