// What developers do on the API reference: sign in, and try routes.

const assert = require('node:assert/strict');
const { story } = require('./browser');
const { PASSWORD, call, createAccount, sees } = require('./people');

const { SHOP_ADMIN_LINK } = process.env;

/** Opens the entry of an operation, executes it, and waits for the status of the response. */
async function execute(page, operation, status) {
  const block = page.locator(`[id$="-${operation}"]`);
  await block.locator('.opblock-summary-control').click();
  await block.getByRole('button', { name: 'Execute' }).click();
  await block.locator('.live-responses-table .response-col_status').filter({ hasText: status }).waitFor();
  return block;
}

story('a developer tries routes without and with an account', async ({ open, refused }) => {
  const page = await open('/');
  const email = await createAccount(page, 'Kira');
  const { data: [{ name }] } = await call(page, 'GET', '/products');
  await page.goto(new URL('/docs', page.url()).href);
  const products = await execute(page, 'listProducts', '200');
  await products.getByText(name).first().waitFor();

  await execute(page, 'getCart', '401');
  refused.push('401 /api/v1/cart');
  await page.getByRole('textbox', { name: 'Email' }).fill(email);
  await page.getByRole('textbox', { name: 'Password' }).fill('not my password');
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  await sees(page, 'the email address or the password is wrong');
  refused.push('401 /api/v1/auth/login');
  await page.getByRole('textbox', { name: 'Password' }).fill(PASSWORD);
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  await sees(page, `${email} (CUSTOMER)`);
  await execute(page, 'getMe', '200');
  await page.reload();
  await sees(page, `${email} (CUSTOMER)`);
  await execute(page, 'listOrders', '200');
  await page.getByRole('button', { name: 'Sign out', exact: true }).click();
  await sees(page, 'You are signed out.');
  await page.reload();
  await execute(page, 'getCart', '401');
  refused.push('401 /api/v1/cart');
});

story('a session that has ended is forgotten', async ({ open, refused }) => {
  const page = await open('/');
  const email = await createAccount(page, 'Kim');
  await page.clock.install();
  await page.goto(new URL('/docs', page.url()).href);
  await page.getByRole('textbox', { name: 'Email' }).fill(email);
  await page.getByRole('textbox', { name: 'Password' }).fill(PASSWORD);
  const answer = page.waitForResponse(/auth\/login$/);
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  await sees(page, `${email} (CUSTOMER)`);
  const { refreshToken } = await (await answer).json();
  await page.request.post(new URL('/api/v1/auth/logout', page.url()).href, { data: { refreshToken } });
  await page.clock.fastForward('15:00');
  await sees(page, 'The session has ended. Sign in again.');
  refused.push('401 /api/v1/auth/refresh');
  await page.reload();
  await page.locator('.opblock').first().waitFor();
  assert.ok(await page.getByRole('textbox', { name: 'Email' }).isVisible());
});

story('the examples of live stock receive a change', async ({ open }) => {
  const admin = await open(SHOP_ADMIN_LINK);
  await sees(admin, 'You are signed in');
  const { data: [{ id, stockQuantity }] } = await call(admin, 'GET', '/products?inStock=true&limit=1');
  const page = await open('/docs');
  // What shows that the connection of an example is open.
  const opened = {
    followInventory: async () => (await page.waitForEvent('websocket')).waitForEvent('framereceived'),
    streamInventory: () => page.waitForResponse(/inventory\/events$/),
  };
  for (const [at, operation] of Object.keys(opened).entries()) {
    await page.reload(); // ends the example before
    const block = page.locator(`[id$="-${operation}"]`);
    await block.locator('.opblock-summary-control').click();
    const example = await block.locator('pre code').filter({ hasText: 'onmessage' }).innerText();
    const isOpen = opened[operation]();
    const logged = page.waitForEvent('console', (message) => message.type() === 'table');
    await page.evaluate(example);
    await isOpen;
    await call(admin, 'POST', `/admin/products/${id}/stock`, { delta: 1, reason: 'delivery' });
    const [products] = (await logged).args();
    assert.deepEqual(await products.jsonValue(), [{ id, stockQuantity: stockQuantity + at + 1 }]);
  }
});
