// Opens the product page of the examples in Chromium, from another origin than the shop's.
// Arguments: the program, the URL of the shop, and an account's email and password.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { chromium } from 'playwright-core';

const [executablePath, shop, email, password] = process.argv.slice(2);

const html = readFileSync('examples/product-page/index.html', 'utf8').replaceAll('http://127.0.0.1:8080', shop);
const server = createServer(({ url }, response) => {
  const isPage = url.startsWith('/?');
  response.writeHead(isPage ? 200 : 204, { 'Content-Type': 'text/html' }).end(isPage ? html : undefined);
});
await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });

/** Returns the body of a response of the API. */
async function api(method, path, body, headers = {}) {
  const init = { method, headers: { 'Content-Type': 'application/json', ...headers }, body: body && JSON.stringify(body) };
  const response = await fetch(`${shop}/api/v1${path}`, init);
  assert.ok(response.ok, `${path}: ${response.status}`);
  return response.json();
}

const browser = await chromium.launch({ executablePath, args: ['--disable-gpu', '--disable-quic'] });
try {
  const page = await browser.newPage({ locale: 'en-US' });
  const faults = [];
  page.on('console', (message) => { if (message.type() === 'error') faults.push(`${message.text()} ${message.location().url}`); });
  page.on('pageerror', (error) => faults.push(error));
  const { data: products } = await api('GET', '/products?inStock=true');
  const product = products.find(({ stockQuantity }) => stockQuantity > 2);
  await page.goto(`http://127.0.0.1:${server.address().port}/?product=${product.id}`);
  await page.getByRole('heading', { name: product.name }).waitFor();
  await page.getByText(`${product.stockQuantity} in stock`).waitFor();
  assert.match(await page.locator('#price').textContent(), /^₹[\d,]+\.\d\d$/);
  await page.waitForFunction(() => document.querySelector('#picture').naturalWidth > 0);

  await page.getByLabel('Email').fill(email);
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Add to cart' }).click();
  await page.getByText('Your cart has 1 item.').waitFor();
  await page.getByRole('button', { name: 'Add to cart' }).click();
  await page.getByText('Your cart has 2 items.').waitFor();

  // The customer checks out somewhere else.
  const { accessToken } = await api('POST', '/auth/login', { email, password });
  await api('POST', '/orders', {}, { Authorization: `Bearer ${accessToken}` });
  await page.getByText(`${product.stockQuantity - 2} in stock`).waitFor();
  assert.deepEqual(faults, []);
} finally {
  await browser.close();
  server.close();
}
