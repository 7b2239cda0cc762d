// The options and variants of a product, for admins.

import { api, newKey } from '../api.js';
import { decimals, el, money, replace, toDecimal } from '../dom.js';
import { fullName, stockKey } from '../live.js';
import { amountIn, ask, button, field, form, notify, row, select, stock, table } from '../ui.js';

const HEADINGS = ['Variant', 'SKU', 'Price', 'Stock', ''];
const MAX_OPTIONS = 3;

/** Returns what a variant is called among those of its product. */
export const titleOf = ({ title }) => title || 'The only variant';

/** Returns the options and the variants of a product, with the forms that change them. */
export function variantsSection(product, currency, signal, reload) {
  const editor = el('div', {});
  const edit = (variant) => replace(editor, variantForm(product, variant, currency, reload, () => replace(editor)));
  const remove = async (variant) => {
    const text = 'It leaves the catalog and all carts, and stays in past orders.';
    if (!await ask({ title: `Delete ${variant.title}?`, text, confirm: 'Delete', danger: true })) return;
    await api('DELETE', `/variants/${variant.id}`);
    notify(`${variant.title} is deleted.`);
    reload();
  };
  const rows = product.variants.map((variant) => row(HEADINGS, [
    titleOf(variant), variant.sku ?? '–', money(variant.price, currency), stock({ ...variant, id: stockKey(variant), name: fullName(product.name, variant.title) }, signal),
    [button('Edit', () => edit(variant), { quiet: true, focus: `edit ${variant.id}` }),
      product.variants.length > 1 && button('Delete', () => remove(variant), { quiet: true, focus: `delete ${variant.id}` })].filter(Boolean),
  ]));
  return el('section', { 'aria-labelledby': 'variants-title', class: 'stack' },
    el('h2', { id: 'variants-title' }, 'Variants'),
    table('Variants', HEADINGS, rows),
    product.options.length > 0 && el('p', { class: 'actions' }, button('New variant', () => edit(null), { focus: 'new variant' })),
    editor,
    el('details', {}, el('summary', {}, 'Options'), optionsForm(product, reload)));
}

/** Returns the form of a variant; `variant` is `null` for a new one. */
function variantForm(product, variant, currency, reload, close) {
  const input = (name, value, props) => el('input', { name, value: value ?? '', ...props });
  const price = (name, amount, props) => input(name, amount ? toDecimal(amount, currency) : '', { inputMode: 'decimal', placeholder: (0).toFixed(decimals(currency)), ...props });
  const key = newKey(); // a retry creates one variant
  const chosen = (name) => variant?.options.find((option) => option.name === name)?.value;
  const options = product.options.map(({ name, values }, at) => field(name, select(`option${at}`, values.map(({ value }) => [value, value]), chosen(name))));
  const images = [['', 'None'], ...product.images.map(({ id }, at) => [id, `Picture ${at + 1}`])];
  const submit = async (node) => {
    const { elements } = node;
    const text = (name) => elements.namedItem(name).value.trim() || null;
    const fields = {
      sku: text('sku'), barcode: text('barcode'), imageId: text('imageId'),
      price: amountIn(elements.namedItem('price'), 'Price', currency),
      compareAtPrice: text('compareAtPrice') && amountIn(elements.namedItem('compareAtPrice'), 'Earlier price', currency),
      weightGrams: text('weightGrams') && Number(text('weightGrams')),
      ...(product.options.length && { options: Object.fromEntries(product.options.map(({ name }, at) => [name, text(`option${at}`)])) }),
    };
    if (variant) {
      await api('PATCH', `/variants/${variant.id}`, { body: fields });
    } else {
      const body = { ...fields, stockQuantity: Number(text('stockQuantity') ?? 0) };
      await api('POST', `/products/${product.id}/variants`, { body, key });
    }
    notify('Saved.');
    reload();
  };
  return form({ class: 'stack', 'aria-label': variant ? titleOf(variant) : 'New variant' }, submit,
    options.length > 0 && el('div', { class: 'pair' }, options),
    el('div', { class: 'pair' },
      field('SKU', input('sku', variant?.sku, { maxLength: 64 })),
      field('Barcode', input('barcode', variant?.barcode, { maxLength: 64 })),
      field(`Price in ${currency}`, price('price', variant?.price, { required: true })),
      field('Earlier price', price('compareAtPrice', variant?.compareAtPrice)),
      field('Weight in grams', input('weightGrams', variant?.weightGrams, { type: 'number', min: 0 })),
      field('Picture', select('imageId', images, variant?.imageId ?? '')),
      !variant && field('Stock', input('stockQuantity', '', { type: 'number', min: 0, placeholder: '0' }))),
    el('p', { class: 'actions' },
      el('button', { class: 'primary' }, variant ? 'Save variant' : 'Create variant'), button('Cancel', close, { quiet: true })));
}

/** Returns the form of a product's options. Values are compared as text, so one that is renamed here is another value. */
function optionsForm(product, reload) {
  const inputs = Array.from({ length: MAX_OPTIONS }, (_, at) => {
    const option = product.options[at];
    const name = el('input', { name: `options[${at}].name`, value: option?.name ?? '', placeholder: at ? '' : 'Size' });
    const values = el('input', { name: `options[${at}].values`, value: option?.values.map(({ value }) => value).join(', ') ?? '', placeholder: at ? '' : 'S, M, L' });
    return { id: option?.id, name, values };
  });
  const submit = async () => {
    const used = inputs.filter(({ name, values }) => name.value.trim() || values.value.trim());
    const options = used.map(({ id, name, values }) => ({
      ...(id && { id }), name: name.value.trim(),
      values: values.value.split(',').map((value) => ({ value: value.trim() })).filter(({ value }) => value),
    }));
    const added = options.filter(({ id, values }) => !id && values.length);
    const assign = Object.fromEntries(added.map(({ name, values }) => [name, values[0].value]));
    await api('PUT', `/products/${product.id}/options`, { body: { options, assign } });
    notify('The options are saved.');
    reload();
  };
  return form({ class: 'stack', 'aria-label': 'Options' }, submit,
    inputs.map(({ name, values }, at) => el('div', { class: 'pair' }, field(`Option ${at + 1}`, name), field(`Values of option ${at + 1}`, values))),
    el('p', { class: 'hint' }, 'Values are separated by commas. The variants that exist get the first value of a new option.'),
    el('p', { class: 'actions' }, el('button', {}, 'Save options')));
}
