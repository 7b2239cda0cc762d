// What the owner of a new shop does first, with the link that `shop serve` prints.

const assert = require('node:assert/strict');
const { Links, reportsNothing } = require('./checks');
const { story } = require('./browser');
const { PASSWORD, section, sees } = require('./people');

const { SHOP_FIRST_ADMIN_LINK } = process.env;

story('the owner creates the first admin, signs in and adds a product', async ({ open }) => {
  const page = await open('/', { reducedMotion: 'reduce' });
  const links = new Links();
  await page.getByRole('link', { name: 'API reference' }).waitFor();
  await reportsNothing(page);
  await links.collect(page);
  await links.work(page);

  await page.goto(SHOP_FIRST_ADMIN_LINK);
  await page.getByLabel('Your name').waitFor();
  await reportsNothing(page);
  await page.getByLabel('Your name').fill('Olga');
  const create = page.getByRole('button', { name: 'Create admin' });
  await create.click();
  await sees(page, 'Fill in this field.');
  const email = page.getByLabel('Email address');
  for (const wrong of ['olga', 'olga@', '@example.com']) {
    await email.fill(wrong);
    await create.click();
    await sees(page, 'Enter an email address, such as you@example.com.');
    await sees(page, 'Enter a new password.'); // all fields are checked
    assert.ok(await email.evaluate((node) => node === document.activeElement), wrong);
  }
  await email.fill('olga@example.com');
  await page.getByLabel('Password', { exact: true }).fill(PASSWORD);
  await page.getByLabel('Repeat the password').fill(PASSWORD);
  await create.click();
  await sees(page, 'Sign in as olga@example.com');

  await page.goto(new URL('/console', page.url()).href);
  await page.getByLabel('Email').fill('olga@example.com');
  await page.getByLabel('Password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await sees(page, 'No orders here.');
  await reportsNothing(page);
  await section(page, 'Products').click();
  await page.getByRole('link', { name: 'New product' }).click();
  await page.getByLabel('Name').fill('Kettle');
  await page.getByLabel(/^Price/).fill('12.50');
  await page.getByLabel('Stock').fill('3');
  await page.getByRole('button', { name: 'Create product' }).click();
  await page.getByRole('row', { name: '+3 created' }).waitFor();
});
