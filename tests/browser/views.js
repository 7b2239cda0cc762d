// Every view of a demo: axe-core reports nothing, whether light or dark, narrow or wide, and every link works.

const { Links, openView, reportsNothing } = require('./checks');
const { story } = require('./browser');
const { buy, createAccount, section, sees } = require('./people');

const { SHOP_ADMIN_LINK } = process.env;
// What Swagger UI itself does not fulfil.
const VIEWER = ['heading-order', 'nested-interactive', 'region', 'select-name'];
const STILL = { reducedMotion: 'reduce' };

/** Opens each of these views, and checks what it shows. */
async function visit(page, addresses, links) {
  for (const address of addresses) {
    await openView(page, address);
    await reportsNothing(page);
    await links.collect(page);
  }
}

/** Returns the address of a link of the console. */
const target = (page, name) => page.getByRole('main').getByRole('link', { name }).first().getAttribute('href');

story('the views of customers', async ({ open }) => {
  const page = await open('/', STILL);
  const links = new Links();
  await sees(page, 'Desk Globe');
  await visit(page, ['#/', '#/?q=nothing', await target(page, 'Desk Globe'), '#/sign-in', '#/sign-in?register'], links);
  await openView(page, '#/');
  await createAccount(page, 'Lena');
  await visit(page, ['#/cart', '#/orders'], links);
  await buy(page, 'Desk Globe');
  await visit(page, [new URL(page.url()).hash, '#/orders'], links);
  await section(page, 'Catalog').click();
  await page.getByRole('button', { name: 'Add to cart' }).first().click();
  await page.getByRole('button', { name: 'Show as curl' }).click();
  await reportsNothing(page);
  await visit(page, ['#/cart'], links);
  await links.work(page);
});

story('the views of admins', async ({ open, refused }) => {
  const page = await open(SHOP_ADMIN_LINK, STILL);
  await sees(page, 'You are signed in');
  const links = new Links();
  await visit(page, ['#/admin/orders', await target(page, /^\w{4}-\w{4}$/), '#/admin/products'], links);
  await visit(page, [
    await target(page, 'Desk Globe'), '#/admin/products/new', '#/admin/products/import', '#/admin/stock', '#/admin/payments',
    '#/admin/payments?status=all', '#/admin/users', '#/admin/mailbox', '#/admin/system',
  ], links);

  await visit(page, ['#/admin/orders/none'], links);
  refused.push('404 /api/v1/admin/orders/none');
  await sees(page, 'This order does not exist.');

  await section(page, 'Users').click();
  await page.getByRole('button', { name: 'Make admin' }).first().click();
  await reportsNothing(page);
  await page.getByRole('button', { name: 'Cancel' }).click();
  await openView(page, '#/admin/products/new');
  await page.getByLabel('Price in INR').fill('1');
  await page.getByRole('button', { name: 'Create product' }).click();
  refused.push('422 /api/v1/products');
  await page.getByRole('link', { name: 'About this error' }).waitFor();
  await reportsNothing(page);
  await links.collect(page);
  await links.work(page);
});

story('the pages outside the console', async ({ open }) => {
  const page = await open('/docs', STILL);
  const links = new Links();
  await page.locator('.opblock').first().waitFor();
  await reportsNothing(page, VIEWER);
  await links.collect(page);
  for (const path of ['/problems/not-found', '/verify-email', '/reset-password', '/reset-password#token=a']) {
    await page.goto(new URL(path, page.url()).href);
    await page.getByRole('heading', { level: 1 }).waitFor();
    await reportsNothing(page);
    await links.collect(page);
  }
  await links.work(page);
});
