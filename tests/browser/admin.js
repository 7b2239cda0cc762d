// What admins do in a demo: products, stock, imports, accounts, mail, and watching the shop.

const assert = require('node:assert/strict');
const path = require('node:path');
const { story } = require('./browser');
const { buy, call, cancelOrder, createAccount, orderIs, productCard, section, sees, stockOf } = require('./people');

const { SHOP_ADMIN_LINK } = process.env;
const PICTURE = path.join(__dirname, '../../assets/demo/teapot.webp');

/** Opens the console as an admin. */
async function openAsAdmin(open) {
  const admin = await open(SHOP_ADMIN_LINK);
  await sees(admin, 'You are signed in as Asha Admin.');
  return admin;
}

story('an admin adds a product, and a customer sees each change of it', async ({ open }) => {
  const admin = await openAsAdmin(open);
  await section(admin, 'Products').click();
  await admin.getByRole('link', { name: 'New product' }).click();
  await admin.getByLabel('Name').fill('Enamel Jug');
  await admin.getByLabel('Description').fill('A jug of white enamel with a blue rim.');
  await admin.getByLabel('Price in INR').fill('799.50');
  await admin.getByLabel('Stock').fill('12');
  await admin.getByLabel('Category').selectOption('New category…');
  await admin.getByRole('dialog').getByLabel('Name').fill('Enamel');
  await admin.getByRole('dialog').getByRole('button', { name: 'Create' }).click();
  await admin.getByLabel('Category').locator('option:checked', { hasText: 'Enamel' }).waitFor({ state: 'attached' });
  await admin.getByLabel('Pictures').setInputFiles(PICTURE);
  await admin.getByRole('button', { name: 'Create product' }).click();
  await admin.getByRole('heading', { name: 'Enamel Jug' }).waitFor();

  const guest = await open('/');
  const card = productCard(guest, 'Enamel Jug');
  await card.getByText('₹799.50').waitFor();
  await guest.waitForFunction((picture) => picture.complete && picture.naturalWidth > 0, await card.locator('img').elementHandle());
  // The thumbnails of a new demo, which its first visitor waits for, would delay an upload.
  await guest.waitForLoadState('networkidle');

  const movements = admin.getByRole('table', { name: 'Stock movements' });
  await movements.getByRole('row', { name: /\+12 created/ }).waitFor();
  await admin.getByLabel('Change by').fill('-4');
  await admin.getByLabel('Reason').fill('broken');
  await admin.getByRole('button', { name: 'Change stock' }).click();
  await movements.getByRole('row', { name: /−4 changed by an admin: broken/ }).waitFor();
  await card.getByText('8 in stock').waitFor();

  await admin.getByLabel('Add pictures').setInputFiles(PICTURE);
  await sees(admin, 'The pictures are uploaded.');
  const remove = admin.getByRole('region', { name: 'Pictures' }).getByRole('button', { name: 'Remove' });
  await remove.nth(1).click();
  const dialog = admin.getByRole('dialog');
  assert.ok(await dialog.getByRole('button', { name: 'Cancel' }).evaluate((node) => node === document.activeElement));
  await dialog.getByRole('button', { name: 'Remove' }).click();
  await sees(admin, 'The picture is removed.');
  assert.equal(await remove.count(), 1);
  await admin.getByLabel('Price in INR').fill('699');
  await admin.getByRole('button', { name: 'Save' }).click();
  await sees(admin, 'Saved.');
  await card.getByRole('link').click();
  await sees(guest, '₹699.00');

  await admin.getByRole('button', { name: 'Delete' }).click();
  await admin.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await sees(admin, 'Enamel Jug is deleted.');
  await sees(guest, 'No longer available');
});

story('an admin gives a product sizes, and changes the stock of one', async ({ open, refused }) => {
  const admin = await openAsAdmin(open);
  const { id } = await call(admin, 'POST', '/products', { name: 'Linen Apron', price: 50_000, stockQuantity: 4 });
  await admin.evaluate((hash) => { location.hash = hash; }, `#/admin/products/${id}`);
  await admin.getByText('Options', { exact: true }).click();
  await admin.getByLabel('Option 1', { exact: true }).fill('Size');
  await admin.getByLabel('Values of option 1').fill('M, L');
  await admin.getByRole('button', { name: 'Save options' }).click();
  const variants = admin.getByRole('table', { name: 'Variants' });
  await variants.getByRole('row', { name: /^M – ₹500.00 Only 4 left/ }).waitFor();
  await admin.getByRole('button', { name: 'New variant' }).click();
  const form = admin.getByRole('form', { name: 'New variant' });
  await form.getByLabel('SKU').fill('APRON-M');
  await form.getByLabel('Price in INR').fill('550');
  await form.getByLabel('Stock').fill('9');
  await form.getByRole('button', { name: 'Create variant' }).click();
  refused.push(`409 /api/v1/products/${id}/variants`);
  await sees(admin, 'of the product has these options');
  await form.getByLabel('Size').selectOption('L');
  await form.getByRole('button', { name: 'Create variant' }).click();
  const large = variants.getByRole('row', { name: /^L APRON-M ₹550.00 9 in stock/ });
  await large.waitFor();
  await large.getByRole('button', { name: 'Edit' }).click();
  await admin.getByRole('form', { name: 'L' }).getByLabel('SKU').fill('APRON-L');
  await admin.getByRole('button', { name: 'Save variant' }).click();
  await variants.getByRole('row', { name: /^L APRON-L/ }).waitFor();
  await admin.getByLabel('Variant', { exact: true }).selectOption('L');
  await admin.getByLabel('Change by').fill('-2');
  await admin.getByLabel('Reason').fill('torn');
  await admin.getByRole('button', { name: 'Change stock' }).click();
  await sees(admin, 'Linen Apron, L: 7 in stock.');
  await admin.getByRole('table', { name: 'Stock movements' }).getByRole('row', { name: /L −2 changed by an admin: torn/ }).waitFor();
  await variants.getByRole('row', { name: /^M/ }).getByRole('button', { name: 'Delete' }).click();
  await admin.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await sees(admin, 'M is deleted.');
  await variants.getByRole('row', { name: /^M/ }).waitFor({ state: 'detached' });
});

story('a product without a name or a price is refused, and the form says so', async ({ open, refused }) => {
  const admin = await openAsAdmin(open);
  await section(admin, 'Products').click();
  await admin.getByRole('link', { name: 'New product' }).click();
  const [name, price] = [admin.getByLabel('Name'), admin.getByLabel('Price in INR')];
  const create = admin.getByRole('button', { name: 'Create product' });
  // The console sends none of these prices: it does not round or guess.
  for (const text of ['', '-1', '99.999', '1e3', '1.299', '1,299.00']) {
    await price.fill(text);
    await create.click();
    await admin.getByRole('alert').getByText('Price: a number with at most 2 decimals, e.g. 12.99').waitFor();
    assert.equal(await price.getAttribute('aria-invalid'), 'true', text);
  }
  await price.fill('12,99');
  await create.click();
  refused.push('422 /api/v1/products');
  await admin.getByRole('link', { name: 'About this error' }).waitFor();
  assert.equal(await name.getAttribute('aria-invalid'), 'true');
  assert.equal(await price.getAttribute('aria-invalid'), null);
});

story('a customer sees a new price before ordering, and an admin cancels the order', async ({ open, refused }) => {
  const customer = await open('/');
  await createAccount(customer, 'Gus');
  await productCard(customer, 'Desk Globe').getByRole('button', { name: 'Add to cart' }).click();
  await section(customer, 'Cart').click();
  const checkOut = customer.getByRole('button', { name: 'Check out' });
  await checkOut.waitFor();
  const admin = await openAsAdmin(open);
  await section(admin, 'Products').click();
  await admin.getByRole('link', { name: 'Desk Globe' }).click();
  await admin.getByLabel('Price in INR').fill('310');
  await admin.getByRole('button', { name: 'Save' }).click();
  await sees(admin, 'Saved.');
  await checkOut.click();
  refused.push('409 /api/v1/orders');
  await sees(customer, 'The price has changed to ₹310.00. Check the cart and try again.');
  await checkOut.click();
  await orderIs(customer, 'PENDING');

  await admin.getByRole('row', { name: '−1 ordered' }).getByRole('link').click();
  await admin.getByText('Customer Gus').waitFor();
  await cancelOrder(admin, '₹310.00');
  await orderIs(customer, 'CANCELLED');
});

story('an import names each error, and imports all lines or none', async ({ open, refused }) => {
  const admin = await openAsAdmin(open);
  await section(admin, 'Products').click();
  await admin.getByRole('link', { name: 'Import CSV' }).click();
  const upload = async (text) => {
    await admin.getByLabel('File').setInputFiles({ name: 'products.csv', mimeType: 'text/csv', buffer: Buffer.from(text) });
    await admin.getByRole('button', { name: 'Import', exact: true }).click();
  };
  await upload('name,price,stockQuantity\nTin Whistle,49900,10\nTin Drum,cheap,10\n,49900,10\n');
  refused.push('422 /api/v1/admin/products/import');
  const errors = admin.getByRole('table', { name: 'Errors' });
  await errors.getByRole('row', { name: /^3 .*price/ }).waitFor();
  await errors.getByRole('row', { name: /^4 .*name/ }).waitFor();
  await upload('name,price,stockQuantity\nTin Whistle,49900,10\nTin Drum,89900,10\n');
  await sees(admin, '2 products created, 0 updated, 0 unchanged');
  await section(admin, 'Stock').click();
  await admin.getByRole('row', { name: /Tin Drum \+10 imported/ }).waitFor();
});

story('a customer becomes an admin, and a customer again', async ({ open }) => {
  const customer = await open('/');
  const email = await createAccount(customer, 'Hanna');
  const admin = await openAsAdmin(open);
  await section(admin, 'Users').click();
  await admin.getByRole('searchbox').fill(email);
  await admin.getByRole('searchbox').press('Enter');
  const row = admin.getByRole('row', { name: email });
  for (const [change, role] of [['Make admin', 'admin'], ['Make customer', 'customer']]) {
    await row.getByRole('button', { name: change }).click();
    await admin.getByRole('dialog').getByRole('button', { name: change }).click();
    await row.getByRole('cell', { name: role, exact: true }).waitFor();
  }
});

story('a new customer confirms the address with the link in the mailbox', async ({ open }) => {
  const admin = await openAsAdmin(open);
  await section(admin, 'Mailbox').click();
  await admin.getByRole('heading', { name: 'Mailbox' }).waitFor();
  const customer = await open('/');
  const email = await createAccount(customer, 'Ivan');
  await admin.getByRole('link', { name: email }).click();
  const opened = admin.waitForEvent('popup');
  await admin.frameLocator('iframe').getByRole('link').first().click();
  const page = await opened;
  await page.getByRole('button').click();
  await sees(page, `Thank you for confirming ${email}.`);
});

story('an admin watches health, live events and stock', async ({ open }) => {
  const [admin, second] = [await openAsAdmin(open), await openAsAdmin(open)];
  await section(admin, 'System').click();
  await admin.getByRole('row', { name: /^database ok/ }).waitFor();
  await section(second, 'Stock').click();
  await second.getByRole('table').waitFor();
  const customer = await open('/');
  await createAccount(customer, 'Jana');
  // Which products are on the first page depends on those that other stories have added.
  const available = customer.getByRole('main').getByRole('listitem').filter({ hasText: /\d in stock/ });
  const name = await available.locator('.card-title').first().innerText();
  const left = await stockOf(customer, name) - 1;
  await buy(customer, name);
  await admin.getByRole('region', { name: 'Live events' }).getByText(`→ ${left}`).waitFor();
  await second.getByRole('row', { name: `${name} −1 ordered` }).waitFor();
  await section(admin, 'Payments').click();
  await sees(admin, 'Nothing is unmatched.');
});

story('a list stays complete while rows arrive', async ({ open }) => {
  const admin = await openAsAdmin(open);
  const { id } = await call(admin, 'POST', '/products', { name: 'Abacus', price: 100 });
  const reasons = Array.from({ length: 28 }, (_, at) => `change ${at + 1}`);
  const change = async (some) => {
    for (const reason of some) await call(admin, 'POST', `/admin/products/${id}/stock`, { delta: 1, reason });
  };
  await change(reasons.slice(0, 25));
  await admin.evaluate((hash) => { location.hash = hash; }, `#/admin/products/${id}`);
  const rows = admin.getByRole('table', { name: 'Stock movements' }).locator('tbody tr');
  await rows.filter({ hasText: 'change 25' }).waitFor();
  // Three rows arrive while the next page is on its way.
  await admin.route(/stock-movements\?cursor=/, async (route) => {
    const response = await route.fetch();
    await change(reasons.slice(25));
    await route.fulfill({ response });
  }, { times: 1 });
  const more = admin.getByRole('button', { name: 'Show more' });
  await more.click();
  await rows.filter({ hasText: 'change 28' }).waitFor();
  while (await more.isVisible()) {
    const shown = await rows.count();
    await more.click();
    await rows.nth(shown).waitFor();
  }
  const causes = await rows.locator('td:last-child').allInnerTexts();
  assert.deepEqual(causes, [...reasons.reverse().map((reason) => `changed by an admin: ${reason}`), 'created']);
});
