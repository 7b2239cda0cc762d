// Checks of any page: accessibility, and links.

const assert = require('node:assert/strict');
const axe = require('axe-core');

const SIZES = [{ width: 1280, height: 800 }, { width: 390, height: 844 }];

/**
 * Asserts that axe-core reports nothing about what a page shows, light and dark, wide and narrow. `ignored` are rules that
 * are not checked.
 */
async function reportsNothing(page, ignored = []) {
  if (!await page.evaluate(() => 'axe' in window)) await page.evaluate(axe.source);
  for (const size of SIZES) {
    await page.setViewportSize(size);
    for (const colorScheme of ['dark', 'light']) {
      await page.emulateMedia({ colorScheme });
      const found = await page.evaluate(async (rules) => (await axe.run({ iframes: false, resultTypes: ['violations'], rules })).violations,
        Object.fromEntries(ignored.map((rule) => [rule, { enabled: false }])));
      const report = found.map(({ id, nodes }) => `${id}: ${nodes.map(({ html, failureSummary }) => `${html}\n${failureSummary}`).join('\n')}`);
      assert.deepEqual(report, [], `${page.url()}, ${colorScheme}, ${size.width} px`);
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      assert.equal(overflow, 0, `${page.url()} scrolls sideways at ${size.width} px`);
    }
  }
  await page.setViewportSize(SIZES[0]);
}

/** Opens a view of the console, and waits until it is shown. */
async function openView(page, address) {
  const url = new URL(address, page.url()).href;
  await page.evaluate(() => document.querySelector('main').replaceChildren()); // so that the next heading is that of the view
  if (url === page.url()) await page.reload();
  else await page.goto(url);
  await page.locator('main:not([aria-busy])').getByRole('heading', { level: 1 }).waitFor();
}

/** The links of the pages of a story. */
class Links {
  #found = new Set();

  /** Remembers the links that a page shows. */
  async collect(page) {
    const found = await page.evaluate(() => [...document.querySelectorAll('link[href], a[href]')]
      .filter((node) => node.matches('link') || node.checkVisibility()).map(({ href }) => href));
    for (const address of found) this.#found.add(address);
  }

  /** Asserts that each link into the shop leads to a page, and each link into the console to a view. */
  async work(page) {
    const inShop = [...this.#found].map((address) => new URL(address)).filter(({ origin }) => origin === new URL(page.url()).origin);
    assert.ok(inShop.length > 0);
    for (const target of new Set(inShop.map(({ pathname, search }) => pathname + search))) {
      const response = await page.request.get(new URL(target, page.url()).href, { headers: { Accept: 'text/html,*/*' } });
      assert.equal(response.status(), 200, target);
    }
    const views = inShop.filter(({ pathname, hash }) => ['/', '/console'].includes(pathname) && hash.startsWith('#/'));
    const oneOfEachKind = new Map(views.map(({ href }) => [href.replace(/[0-9a-f-]{36}/, ':id'), href]));
    for (const address of oneOfEachKind.values()) {
      await openView(page, address);
      const title = await page.getByRole('heading', { level: 1 }).innerText();
      assert.doesNotMatch(title, /^(Nothing here|Not found|Something went wrong|For admins)$/, address);
    }
  }
}

module.exports = { Links, openView, reportsNothing };
