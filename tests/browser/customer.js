// What customers do in a demo: search, watch the stock, buy, pay, and follow their orders.

const assert = require('node:assert/strict');
const { screenshot, story } = require('./browser');
const { buy, cancelOrder, createAccount, orderIs, pay, productCard, section, sees, stockOf } = require('./people');

const { SHOP_CUSTOMER_LINK, SHOP_ADMIN_LINK } = process.env;

story('a customer buys and pays; an admin ships, delivers and refunds', async ({ open }) => {
  const customer = await open(SHOP_CUSTOMER_LINK);
  await sees(customer, 'You are signed in as Chetan Customer.');
  assert.ok(!customer.url().includes('sign-in'), 'the token leaves the address bar');
  await customer.getByRole('searchbox').fill('kettle');
  await customer.getByRole('searchbox').press('Enter');
  await productCard(customer, 'Stovetop Kettle').getByRole('button', { name: 'Add to cart' }).click();
  await sees(customer, 'Stovetop Kettle is in your cart.');
  await section(customer, 'Cart').click();
  await customer.getByRole('button', { name: 'Check out' }).click();
  await orderIs(customer, 'PENDING');
  const number = (await customer.getByRole('heading', { name: 'Order' }).innerText()).replace('Order ', '');
  await customer.getByRole('button', { name: 'Pay', exact: true }).click();
  await orderIs(customer, 'PAID');

  const admin = await open(SHOP_ADMIN_LINK);
  const row = admin.getByRole('row', { name: number });
  await row.getByRole('button', { name: 'Ship' }).click();
  await orderIs(customer, 'SHIPPED');
  await screenshot(admin, 'console-admin');
  await row.getByRole('button', { name: 'Deliver' }).click();
  await orderIs(customer, 'DELIVERED');
  await row.getByRole('link', { name: number }).click();
  const refund = admin.getByRole('button', { name: 'Refund', exact: true });
  const amount = admin.getByLabel('Amount in INR');
  const paid = await amount.inputValue();
  for (const [text, error] of [
    ['10.005', 'Amount: a number with at most 2 decimals'], ['abc', 'Amount: a number'], ['100000', /^At most ₹[\d,.]+ can be refunded$/],
  ]) {
    await amount.fill(text);
    await refund.click();
    await admin.getByRole('alert').getByText(error).waitFor();
  }
  await amount.fill(paid);
  await refund.click();
  await admin.getByRole('dialog').getByRole('button', { name: /^Refund ₹/ }).click();
  await orderIs(customer, 'REFUNDED');

  await section(admin, 'Mailbox').click();
  for (const subject of [
    `Your order ${number} at`, `We've received your payment for order ${number}`, `Your order ${number} is on its way`,
    `Your order ${number} has been delivered`, `Your refund for order ${number}`,
  ]) {
    await admin.getByRole('link', { name: subject }).click();
    await admin.getByRole('heading', { name: subject }).waitFor();
    await admin.frameLocator('iframe').getByText('Chetan Customer').first().waitFor();
  }
});

story('two windows see one sale', async ({ open }) => {
  const customer = await open(SHOP_CUSTOMER_LINK);
  await sees(customer, 'You are signed in');
  await customer.getByLabel('Sort').selectOption('Name');
  await customer.reload(); // the session stays
  const before = await stockOf(customer, 'Assam Breakfast Tea');
  const guest = await open('/');
  assert.equal(await stockOf(guest, 'Assam Breakfast Tea'), before);
  const buyer = await open('/');
  await createAccount(buyer, 'Bela');
  await buy(buyer, 'Assam Breakfast Tea');
  for (const page of [customer, guest]) {
    const stock = productCard(page, 'Assam Breakfast Tea').locator('.stock');
    await stock.filter({ hasText: `${before - 1} in stock` }).waitFor();
    assert.match(await stock.getAttribute('class'), /flash/, 'the change is highlighted');
    if (page === customer) await screenshot(page, 'console');
  }
});

story('nobody can buy the last unit twice', async ({ open }) => {
  const guest = await open('/');
  const rival = await open('/');
  await createAccount(rival, 'Cleo');
  await productCard(rival, 'Brass Spice Box').getByRole('button', { name: 'Add to cart' }).click();
  await section(rival, 'Cart').click();
  const checkOut = rival.getByRole('button', { name: 'Check out' });
  await sees(rival, 'only 2 left');
  assert.ok(await checkOut.isEnabled());
  const buyer = await open('/');
  await createAccount(buyer, 'Cara');
  await buy(buyer, 'Brass Spice Box', 'Brass Spice Box');
  const card = productCard(guest, 'Brass Spice Box');
  await card.getByText('Sold out').waitFor();
  assert.ok(await card.getByRole('button', { name: 'Add to cart' }).isDisabled());
  await sees(rival, 'sold out');
  await sees(rival, 'Not enough in stock: Brass Spice Box.');
  assert.ok(await checkOut.isDisabled());
  await buyer.getByRole('button', { name: 'Cancel order' }).click();
  await buyer.getByRole('dialog').getByRole('button', { name: 'Keep it' }).click();
  await orderIs(buyer, 'PENDING');
  await cancelOrder(buyer);
  await orderIs(buyer, 'CANCELLED');
  await sees(rival, 'only 2 left');
  assert.ok(await checkOut.isEnabled());
  await card.getByText('Only 2 left').waitFor();
  assert.ok(await card.getByRole('button', { name: 'Add to cart' }).isEnabled());
});

story('payments fail, come twice, late, or never', async ({ open }) => {
  const late = await open('/');
  await createAccount(late, 'Dina');
  await buy(late, 'Stoneware Mug');
  await pay(late, 'Reported late');
  await sees(late, 'The webhooks arrive in 15 seconds.');
  await cancelOrder(late);
  await orderIs(late, 'CANCELLED');

  const again = await open('/');
  await createAccount(again, 'Esra');
  await buy(again, 'Stoneware Mug');
  await pay(again, 'It fails');
  await sees(again, 'The payment failed.');
  await pay(again, 'Reported twice');
  await orderIs(again, 'PAID');

  const lost = await open('/');
  await createAccount(lost, 'Fred');
  await buy(lost, 'Stoneware Mug');
  await pay(lost, 'Lost');
  await sees(lost, 'the shop has not been told');
  await orderIs(lost, 'PENDING');

  // The money for the order that was cancelled meanwhile.
  await late.getByRole('main').getByText('refunded', { exact: true }).first().waitFor();
});

story('a customer uses only the keyboard', async ({ open }) => {
  const page = await open(SHOP_CUSTOMER_LINK);
  await sees(page, 'You are signed in');
  const tabTo = async (target) => {
    for (let presses = 0; !await target.evaluate((node) => node === document.activeElement); presses += 1) {
      assert.ok(presses < 100, `${target} cannot be reached`);
      await page.keyboard.press('Tab');
    }
  };
  const press = async (role, name) => {
    const target = page.getByRole(role, { name }).first();
    await target.waitFor();
    await tabTo(target);
    await page.keyboard.press('Enter');
  };
  await tabTo(page.getByRole('searchbox'));
  await page.keyboard.type('notebook');
  await page.keyboard.press('Enter');
  await page.waitForURL(/q=notebook/);
  await productCard(page, 'Dotted Notebook').waitFor();
  await press('button', 'Add to cart');
  await sees(page, 'Dotted Notebook is in your cart.');
  await press('link', /^Cart/);
  await press('button', 'Check out');
  await orderIs(page, 'PENDING');
  await tabTo(page.getByRole('radio', { name: 'It works' }));
  await page.keyboard.press('ArrowDown'); // it fails
  await press('button', 'Pay');
  await sees(page, 'The payment failed.');
  await page.keyboard.press('Shift+Tab');
  await page.keyboard.press('ArrowUp');
  await press('button', 'Pay');
  await orderIs(page, 'PAID');
});

story('a guest finds a product, and signs in to buy it', async ({ open }) => {
  const guest = await open('/', { viewport: { width: 390, height: 844 } });
  await guest.getByRole('link', { name: 'Tea & Coffee' }).click();
  await guest.getByLabel('Sort').selectOption('Lowest price');
  const names = guest.locator('.card-title');
  await names.first().filter({ hasText: 'Stoneware Mug' }).waitFor();
  assert.equal(await names.count(), 4);
  await guest.getByRole('link', { name: 'Everything' }).click();
  await productCard(guest, 'Walnut Wall Clock').waitFor();
  await guest.getByLabel('In stock').check();
  await productCard(guest, 'Walnut Wall Clock').waitFor({ state: 'detached' });
  await guest.getByRole('searchbox').fill('xylophone');
  await guest.getByRole('searchbox').press('Enter');
  await sees(guest, 'No product matches.');
  await guest.getByRole('link', { name: 'Show everything' }).click();
  await guest.getByRole('link', { name: 'Desk Globe' }).click();
  await guest.getByRole('heading', { name: 'Desk Globe', level: 1 }).waitFor();
  await guest.getByRole('button', { name: 'Add to cart' }).click();
  await sees(guest, 'Desk Globe is in your cart.');
  await section(guest, 'Cart').click();
  await guest.reload(); // the cart stays
  await guest.getByRole('link', { name: 'Sign in to check out' }).click();
  await guest.getByRole('link', { name: 'Create an account' }).click();
  await guest.getByLabel('Name').fill('Gita');
  await guest.getByLabel('Email').fill('gita@example.com');
  await guest.getByLabel('Password').fill('correct horse battery');
  await guest.getByRole('button', { name: 'Create an account' }).click();
  await guest.getByRole('listitem').filter({ hasText: 'Desk Globe' }).waitFor();
  await guest.getByRole('button', { name: 'Check out' }).click();
  await orderIs(guest, 'PENDING');
});

story('a customer chooses a colour and a size, and others see the last one go', async ({ open }) => {
  const [buyer, guest] = [await open('/'), await open('/')];
  await createAccount(buyer, 'Hugo');
  for (const page of [buyer, guest]) {
    const card = productCard(page, 'Cotton T-Shirt');
    await card.getByText('₹899.00').waitFor();
    await card.getByRole('link', { name: 'Choose' }).click();
    await page.getByLabel('Colour').selectOption('Terracotta');
    await page.getByLabel('Size').selectOption('M');
    await sees(page, 'SKU T-SHIRT-TERRACOTTA-M');
    await sees(page, 'Only 1 left');
  }
  await screenshot(buyer, 'console-options');
  await buyer.getByLabel('Size').selectOption('XL');
  await sees(buyer, 'Sold out');
  assert.ok(await buyer.getByRole('button', { name: 'Add to cart' }).isDisabled());
  await buyer.getByLabel('Size').selectOption('M');
  await buyer.getByRole('button', { name: 'Add to cart' }).click();
  await sees(buyer, 'Cotton T-Shirt, Terracotta / M is in your cart.');
  await section(buyer, 'Cart').click();
  await sees(buyer, 'Terracotta / M · ₹899.00 each');
  await buyer.getByRole('button', { name: 'Check out' }).click();
  await orderIs(buyer, 'PENDING');
  await sees(buyer, 'Cotton T-Shirt, Terracotta / M');
  await sees(guest, 'Sold out');
  assert.ok(await guest.getByRole('button', { name: 'Add to cart' }).isDisabled());
  await guest.getByLabel('Size').selectOption('L');
  await sees(guest, '14 in stock');
});
