// What people do in several stories.

const assert = require('node:assert/strict');

const PASSWORD = 'correct horse battery';

/** Waits until a page shows a text. */
const sees = (page, text) => page.getByText(text).first().waitFor();

/** Returns a part of the console's navigation. */
const section = (page, name) => page.getByRole('navigation', { name: 'Sections' }).getByRole('link', { name });

/** Returns the entry of a product in the catalog. */
const productCard = (page, name) => page.getByRole('main').getByRole('listitem').filter({ hasText: name });

/** Creates an account in the console and signs in. Returns its email address. */
async function createAccount(page, name) {
  const email = `${name.toLowerCase()}@example.com`;
  await page.getByRole('link', { name: 'Sign in' }).click();
  await page.getByRole('link', { name: 'Create an account' }).click();
  await page.getByLabel('Name').fill(name);
  await page.getByLabel('Email').fill(email);
  await page.getByLabel('Password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Create an account' }).click();
  await sees(page, `You are signed in as ${name}.`);
  return email;
}

/** Calls the API as the user who is signed in to the console in a page. Returns the body of the response. */
const call = (page, method, path, body) => page.evaluate(async (given) => {
  const { api, newKey } = await import('/console/api.js');
  return (await api(given.method, given.path, { body: given.body, key: newKey() })).body;
}, { method, path, body });

/** Puts products into the cart, one unit for each name, and checks out. Returns the number of the order. */
async function buy(page, ...names) {
  await section(page, 'Catalog').click();
  for (const name of names) {
    const added = page.waitForResponse((response) => response.request().method() === 'POST' && response.url().endsWith('/cart'));
    await productCard(page, name).getByRole('button', { name: 'Add to cart' }).click();
    await added;
  }
  await section(page, 'Cart').click();
  await page.getByRole('button', { name: 'Check out' }).click();
  const heading = page.getByRole('heading', { name: /^Order \w/ });
  return (await heading.innerText()).replace('Order ', '');
}

/** Pays for the order that a page shows. */
async function pay(page, outcome = 'It works') {
  await page.getByRole('radio', { name: outcome }).check();
  await page.getByRole('button', { name: 'Pay', exact: true }).click();
}

/** Cancels the order of this amount that a page shows. */
async function cancelOrder(page, amount = '') {
  await page.getByRole('button', { name: 'Cancel order' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByText(`The order of ${amount}`).waitFor();
  await dialog.getByRole('button', { name: 'Cancel the order' }).click();
}

/** Waits until the order that a page shows has a status. */
async function orderIs(page, status) {
  const current = page.locator('[aria-current=step], .progress .badge').filter({ hasText: status });
  await current.waitFor();
}

/** Returns how many units of a product a page shows. */
async function stockOf(page, name) {
  const text = await productCard(page, name).getByText('in stock').innerText();
  const [, units] = /^(\d+) in stock$/.exec(text) ?? assert.fail(text);
  return Number(units);
}

module.exports = { PASSWORD, buy, call, cancelOrder, createAccount, orderIs, pay, productCard, section, sees, stockOf };
