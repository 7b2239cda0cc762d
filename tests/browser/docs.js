// What developers do on the API reference: sign in, and try routes.

const { story } = require('./browser');
const { PASSWORD, createAccount, sees } = require('./people');

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
  await page.goto(new URL('/docs', page.url()).href);
  const products = await execute(page, 'listProducts', '200');
  await products.getByText('Desert Cactus').first().waitFor();

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
  await page.getByRole('button', { name: 'Sign out', exact: true }).click();
  await sees(page, 'You are signed out.');
});
