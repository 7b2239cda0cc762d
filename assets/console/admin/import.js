// CSV import, for admins.

import { api } from '../api.js';
import { count, el } from '../dom.js';
import { field, form, heading, row, table } from '../ui.js';

const HEADINGS = ['Line', 'What is wrong'];
const COLUMNS = ['id', 'name', 'description', 'price', 'stockQuantity', 'stockAtExport', 'category', 'images'];

export function importProducts() {
  const outcome = el('div', { 'aria-live': 'polite' });
  const file = el('input', { type: 'file', name: 'file', accept: '.csv,text/csv', required: true });
  const submit = async () => {
    outcome.replaceChildren();
    if (!file.files.length) {
      file.focus();
      return;
    }
    try {
      const { body } = await api('POST', '/admin/products/import', { body: await file.files[0].text(), type: 'text/csv' });
      outcome.replaceChildren(el('p', { class: 'done' },
        `${count(body.created, 'product')} created, ${body.updated} updated, ${body.unchanged} unchanged; ${count(body.categories, 'category', 'categories')} created.`));
    } catch (problem) {
      if (problem.code !== 'validation-failed') throw problem;
      outcome.replaceChildren(
        el('h2', {}, `Nothing was imported: ${count(problem.errors.length, 'error')}`),
        table('Errors', HEADINGS, problem.errors.map(({ field: line, message }) => row(HEADINGS, [line.replace('line ', ''), message]))));
    }
  };
  return [
    el('p', { class: 'eyebrow' }, el('a', { href: '#/admin/products' }, 'Products')),
    heading('Import products'),
    el('div', { class: 'narrow' },
      el('p', { class: 'lead' }, 'A CSV file, as a spreadsheet saves it. The whole file is checked first: either every line is imported, or none.'),
      form({ class: 'stack' }, submit,
        field('File', file, 'Up to 4 MiB. The first line names the columns.'),
        el('p', { class: 'actions' }, el('button', { class: 'primary' }, 'Import'))),
      el('p', { class: 'hint' }, 'Columns: ', COLUMNS.flatMap((name, at) => [at ? ', ' : '', el('code', {}, name)]),
        '. New products need a name and a price in the minor unit, e.g. 129900 for 1,299.00. A line with an id updates that product.')),
    outcome,
  ];
}
