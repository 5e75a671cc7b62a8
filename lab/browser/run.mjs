// Drives headless Chromium for browser_test.go: one page view per line of JSON
// on stdin, its outcome as one line of JSON on stdout. What a view consists of
// is the test's business; here are only the steps it is made of.
//
// The first line configures the browser: {"executable", "args": [flag, …]}.
// It is answered by {"version"}. Each following line is {"watch", "steps"}:
//
//   {"goto": url}      navigate; the result follows the load event
//   {"beacon": n}      wait until n beacons of this view were answered
//   {"until": expr}    wait until the page's expression is true
//   {"eval": expr}     the result is the expression's value, promises awaited
//   {"back": true}     go back in history, as the button does
//   {"close": true}    close the tab, as the user does
//
// and is answered by {"results", "beacons", "errors", "preflights", "error"}.
// Every view has a browser context of its own: no connection, cache or service
// worker is left from the one before. With "watch" the network is observed for
// CORS preflights, at the expense of the main thread.
import { createInterface } from 'node:readline';
import { chromium } from 'playwright-core';

const timeout = 30_000; // ms; a view that takes longer is an error

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const answer = (value) => process.stdout.write(JSON.stringify(value) + '\n');

const { executable, args } = JSON.parse((await lines.next()).value);
const browser = await chromium.launch({
  executablePath: executable,
  args,
  chromiumSandbox: false, // the lab runs as root
  ignoreDefaultArgs: ['--disable-back-forward-cache'],
});
answer({ version: browser.version() });

for await (const line of lines) answer(await view(JSON.parse(line)));
await browser.close();

async function view({ watch, steps }) {
  const seen = { results: [], beacons: [], errors: [], preflights: [] };
  const context = await browser.newContext();
  try {
    context.setDefaultTimeout(timeout);
    const beacons = countBeacons(context, seen.beacons);
    context.on('weberror', (e) => seen.errors.push(String(e.error())));
    context.on('console', (m) => m.type() === 'error' && seen.errors.push(m.text()));
    await context.addInitScript(() => {
      addEventListener('securitypolicyviolation', (e) => console.error(`CSP: ${e.violatedDirective} ${e.blockedURI}`));
    });
    const page = await context.newPage();
    if (watch) {
      const cdp = await context.newCDPSession(page);
      cdp.on('Network.requestWillBeSent', (e) => e.request.method === 'OPTIONS' && seen.preflights.push(e.request.url));
      await cdp.send('Network.enable');
    }
    for (const step of steps) seen.results.push((await perform(page, step, beacons)) ?? null);
  } catch (e) {
    seen.error = String(e);
  }
  // What a closed tab has still to send must not be cut off.
  if (context.pages().length) await context.close();
  return seen;
}

async function perform(page, step, beacons) {
  const [[verb, object]] = Object.entries(step);
  switch (verb) {
    case 'goto':
      return void (await page.goto(object, { waitUntil: 'load' }));
    case 'beacon':
      return await beacons(object).catch((e) => explain(page, e));
    case 'until':
      return void (await page.waitForFunction(object));
    case 'eval':
      return await page.evaluate(object);
    case 'back':
      return void (await page.goBack({ waitUntil: 'commit' }));
    case 'close':
      return void (await page.close());
  }
  throw new Error(`no such step: ${verb}`);
}

// explain throws an error again with what may keep the page from measuring.
async function explain(page, error) {
  const state = await page
    .evaluate(() => ({
      ready: document.readyState,
      hidden: document.hidden,
      connection: navigator.connection?.effectiveType,
      requested: performance.getEntriesByType('resource').map((e) => new URL(e.name).pathname),
    }))
    .catch(String);
  throw new Error(`${error.message}; the page: ${JSON.stringify(state)}`);
}

// countBeacons appends the beacons that the context sends to list, once they
// are answered, and returns a function that waits until there are n of them.
function countBeacons(context, list) {
  let wake = () => {};
  context.on('response', async (response) => {
    const request = response.request();
    if (request.method() !== 'POST' || !request.url().endsWith('/v1/beacons')) return;
    list.push({ status: response.status(), body: request.postData() });
    wake();
  });
  return (n) =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${list.length} of ${n} beacons after ${timeout} ms`)), timeout);
      wake = () => list.length >= n && (clearTimeout(timer), resolve());
      wake();
    });
}
