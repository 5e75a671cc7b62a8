// What pages say when there is nothing to show, or something is wrong. Answers
// are made up here where the demo has no such trouble.

const json = (status, body) => ({ status, contentType: "application/json", body: JSON.stringify(body) });

export async function troubles(w) {
  const { page } = w;
  const main = () => page.textContent("main");
  const answer = async (pattern, reply, then) => {
    await page.route(pattern, reply);
    try {
      await then();
    } finally {
      await page.unroute(pattern);
    }
  };
  w.expected = /status of (404|503)|ERR_/; // Chromium logs what was asked for

  await w.open("/catchments/gone");
  w.expect("a PoP that vanished is told of", /there is no |no such PoP|not in the fleet/i.test(await main()));
  await w.open("/ramps/gone");
  w.expect("a ramp that vanished is told of", (await page.locator(".notice").count()) > 0);
  await w.open("/nowhere");
  w.expect("an unknown address is told of", (await main()).includes("/nowhere"));

  await answer("**/api/v1/compare*", (r) => r.fulfill(json(503, { error: "the disk is full", hint: "Free some space in `--data`." })), async () => {
    await w.open("/compare?days=14");
    const text = await main();
    w.expect("a store that is down is told of, and what to do", text.includes("the disk is full") && text.includes("Free some space"));
    await w.accessible("a store that is down");
  });

  await w.open("/compare");
  const rows = await page.locator("main tbody tr").count();
  await answer("**/api/v1/compare*", (r) => r.abort(), async () => {
    await page.evaluate(() => {
      Object.defineProperty(document, "hidden", { value: false });
      Date.now = ((now) => () => now() + 60_000)(Date.now); // a minute later
      document.dispatchEvent(new Event("visibilitychange"));
    });
    await page.waitForSelector(".notice.warn");
    w.expect("stale figures are told of", /Not refreshed since/.test(await main()));
    w.equal("and stay", await page.locator("main tbody tr").count(), rows);
  });

  const many = Array.from({ length: 10_000 }, (_, i) => ({
    group: { asn: 64_512 + i },
    as_name: `Example ${i}`,
    views: 10_000 - i,
    schemes: Object.fromEntries(["unicast", "global", "regional"].map((s) => [s, { views: 10_000 - i, optimal: 0.9, low: 0.88, high: 0.92, penalty_p50: 0, penalty_p90: 10 }])),
    difference: {},
    verdicts: {},
    best_pop: "gru",
  }));
  await w.open("/compare");
  const page1 = (rows, q) => {
    const sorted = [...rows].sort((a, b) => (q.get("sort") == "views" ? a.views - b.views : b.views - a.views)).filter((r) => r.as_name.includes(q.get("q") ?? ""));
    return { total: sorted.length, rows: sorted.slice(0, q.get("limit") ?? 1000) };
  };
  const real = await (await page.request.get(w.base + "/api/v1/compare?by=asn&days=7")).json();
  await answer("**/api/v1/compare*", (r) => r.fulfill(json(200, { ...real, ...page1(many, new URL(r.request().url()).searchParams) })), async () => {
    const begin = Date.now();
    await w.go("/compare?by=asn&days=30");
    const shown = Date.now() - begin;
    w.expect("ten thousand networks are shown piece by piece", (await page.locator("main tbody tr").count()) <= 200);
    await page.click("thead button:has-text('Page views')");
    await page.waitForFunction(() => document.querySelector("main tbody th").textContent.includes("Example 9999"));
    await page.fill("input[type=search]", "4711");
    await page.waitForFunction(() => document.querySelectorAll("main tbody tr").length == 1);
    w.expect("the filter finds one of them", (await main()).includes("Example 4711"));
    console.log(`figures: 10,000 networks: shown after ${shown} ms, sorted and filtered after ${Date.now() - begin - shown} ms`);
  });

  await answer("**/api/v1/overview*", (r) => r.fulfill(json(200, { state: "empty", hint: "Put rum.js into a page.", views: 0, schemes: {}, places: [] })), async () => {
    await w.open("/");
    const text = await main();
    w.expect("an empty store is told of, and what to do", text.includes("Put rum.js into a page."));
    w.expect("PoPs are there all the same", text.includes("gru"));
  });
  await login(w, answer);
  w.expected = null;
}

/** Whoever is not logged in gets no further, and a wrong token does not help. */
async function login(w, answer) {
  const { page } = w;
  w.expected = /status of 401/;
  await answer("**/api/v1/session", (r) => r.fulfill(json(401, { error: "want a token" })), async () => {
    await w.open("/compare");
    w.equal("there is no menu", await page.locator("nav.main").count(), 0);
    await w.accessible("the login");
    await page.fill("input[name=token]", "not a token");
    await page.click("button.primary");
    await page.waitForSelector(".error");
  });
  const viewer = { id: "wall", role: "viewer" };
  await answer("**/api/v1/session", (r) => r.fulfill(json(200, viewer)), async () => {
    await w.open("/pops");
    await page.waitForSelector("button[aria-label^='Drain']");
    w.equal("a viewer's buttons are off", await page.locator("main td button:enabled").count(), 0);
  });
}
