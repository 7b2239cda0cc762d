// Windows of a headless Chromium for the stories of a file. A story fails if one of its pages logs an error, throws, breaks
// its content security policy, asks another origin, or gets an error response that the story does not expect.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { after, before, test } = require('node:test');
const { chromium } = require('playwright-core');

const { SHOP_URL, SHOP_TEST_SCREENSHOTS, SHOP_TEST_CHROMIUM } = process.env;
const FLAGS = [
  '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync',
];
const TIMEOUT = 120_000; // ms; a busy machine is slow
const WINDOW = { viewport: { width: 1280, height: 800 }, locale: 'en-US', timezoneId: 'UTC' };

let browser;
before(async () => {
  browser = await chromium.launch({ executablePath: SHOP_TEST_CHROMIUM, args: FLAGS });
});
after(() => browser?.close());

/**
 * Defines a story. It gets `open(url)`, which returns a page in the window of a new visitor, and `refused`, a list to which
 * it adds each error response that it expects, e.g. `409 /api/v1/orders`.
 */
function story(title, tell) {
  test(title, async () => {
    const windows = [];
    const seen = { faults: [], refused: [] };
    const refused = [];
    const open = async (url, options) => {
      const window = await browser.newContext({ ...WINDOW, ...options });
      window.setDefaultTimeout(TIMEOUT);
      windows.push(window);
      await watch(window, seen);
      const page = await window.newPage();
      // Not until all pictures are loaded: a notice is shown for a few seconds only.
      await page.goto(new URL(url, SHOP_URL).href, { waitUntil: 'domcontentloaded' });
      return page;
    };
    try {
      await tell({ open, refused });
    } catch (error) {
      throw new Error([...seen.faults, ...seen.refused, ...await texts(windows)].join('\n'), { cause: error });
    } finally {
      for (const window of windows) await window.close();
    }
    assert.deepEqual(seen.faults, []);
    assert.deepEqual(seen.refused.sort(), refused.sort());
  });
}

/** Records what must not happen in the pages of a window, and the error responses that they get. */
async function watch(window, { faults, refused }) {
  const checkOrigin = (url) => {
    if (/^(http|ws)s?:/.test(url) && new URL(url).host !== new URL(SHOP_URL).host) faults.push(`asks another origin: ${url}`);
  };
  await window.exposeBinding('reportViolation', ({ frame }, directive, blocked) => {
    faults.push(`${frame.url()} violates its ${directive}: ${blocked}`);
  });
  await window.addInitScript(() => {
    addEventListener('securitypolicyviolation', ({ effectiveDirective, blockedURI }) => reportViolation(effectiveDirective, blockedURI));
  });
  window.on('page', (page) => page.on('websocket', (socket) => checkOrigin(socket.url())));
  window.on('request', (request) => checkOrigin(request.url()));
  window.on('response', (response) => {
    if (response.status() >= 400) refused.push(`${response.status()} ${new URL(response.url()).pathname}`);
  });
  window.on('weberror', (error) => faults.push(`throws ${error.error().stack}`));
  window.on('console', (message) => {
    // Chromium logs each error response, too.
    const isResponse = message.text().startsWith('Failed to load resource: the server responded');
    if (['error', 'warning'].includes(message.type()) && !isResponse) faults.push(`${message.location().url} logs ${message.text()}`);
  });
}

/** Returns the address and the text of each open page, for the report of a failure. */
function texts(windows) {
  const pages = windows.flatMap((window) => window.pages());
  return Promise.all(pages.map(async (page) => `--- ${page.url()}\n${await page.innerText('body').catch(String)}`));
}

/** Writes a picture of a page to the folder `SHOP_TEST_SCREENSHOTS`, if it is set. */
async function screenshot(page, name) {
  if (!SHOP_TEST_SCREENSHOTS) return;
  fs.mkdirSync(SHOP_TEST_SCREENSHOTS, { recursive: true });
  await page.screenshot({ path: path.join(SHOP_TEST_SCREENSHOTS, `${name}.png`) });
}

module.exports = { screenshot, story };
