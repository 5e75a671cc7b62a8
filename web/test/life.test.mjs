import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { collectors, dead, idle, open, pops, site, spy } from "./browser.mjs";

describe("the life of a page view", { concurrency: 4, timeout: 300_000 }, () => {
  it("starts after load and the delay, and holds nothing up", async () => {
    const collector = collectors.add({ global: pops.url() });
    const page = await open({ attributes: { collector: collector.base, delay: 300 } });
    await collector.first();
    const [load, plan] = await page.evaluate((base) => [
      performance.getEntriesByType("navigation")[0].loadEventEnd,
      performance.getEntriesByName(`${base}/v1/plan`)[0].startTime,
    ], collector.base);
    assert.ok(load > 0 && plan - load >= 299, `load ${load}, plan ${plan}`);
    await page.context().close();
  });

  it("waits for a prerendered page to be visited", async () => {
    const collector = collectors.add({});
    const page = await open({
      attributes: { collector: collector.base },
      before: `prerendered = true; (${spy})();
        Object.defineProperty(document, "prerendering", {get: () => prerendered});
        Object.defineProperty(document, "hidden", {get: () => prerendered});`,
    });
    await page.waitForFunction(() => document.readyState == "complete");
    assert.ok(!(await page.evaluate(() => calls)).includes("setTimeout"));
    await page.evaluate(() => {
      prerendered = false;
      document.dispatchEvent(new Event("prerenderingchange"));
    });
    const { beacon } = await collector.first();
    assert.deepEqual(beacon.flags, ["webdriver", "prerender", "hidden"]);
    await page.context().close();
  });

  it("flags a page that came back before it was measured", async () => {
    const collector = collectors.add({});
    const page = await open({
      attributes: { collector: collector.base, consent: "mayMeasure" },
      before: "mayMeasure = () => new Promise((resolve) => { agree = resolve })",
    });
    await page.waitForFunction(() => globalThis.agree);
    await page.evaluate(() => {
      dispatchEvent(new PageTransitionEvent("pagehide", { persisted: true }));
      dispatchEvent(new PageTransitionEvent("pageshow", { persisted: true }));
      agree(true);
    });
    const { beacon } = await collector.first();
    assert.deepEqual([...beacon.flags].sort(), ["bfcache", "hidden", "webdriver"]);
    await page.context().close();
  });

  describe("when the page goes", { concurrency: 4, timeout: 300_000 }, () => {
    it("to another one, sends what there is by sendBeacon", async () => {
      const collector = collectors.add({ global: pops.url("/hang") });
      const hung = pops.hung();
      const page = await open({ attributes: { collector: collector.base } });
      await hung;
      await page.goto(`${site.origin}/elsewhere`);
      const { beacon, headers } = await collector.first();
      assert.equal(headers["sec-fetch-mode"], "no-cors");
      assert.equal(headers["content-type"], "text/plain;charset=UTF-8");
      assert.deepEqual([...beacon.flags].sort(), ["hidden", "webdriver"]);
      assert.deepEqual(beacon.probes, [{ target: "global", warm: [], flags: [], error: "aborted" }]);
      assert.equal(collector.got.length, 1);
      await page.context().close();
    });
    it("out of sight, ends the probe and does nothing more", async () => {
      const collector = collectors.add({ global: pops.url("/hang"), unicast: pops.url("/hang") });
      const hung = pops.hung();
      const page = await open({ attributes: { collector: collector.base, fallback: dead } });
      await hung;
      const aborted = page.waitForEvent("requestfailed");
      await page.evaluate(() => {
        catchment.onBeacon((b) => (globalThis.kept = b));
        Object.defineProperty(document, "hidden", { value: true });
        document.dispatchEvent(new Event("visibilitychange"));
        document.dispatchEvent(new Event("visibilitychange"));
        dispatchEvent(new PageTransitionEvent("pagehide"));
      });
      const { beacon } = await collector.first();
      assert.match((await aborted).failure().errorText, /ABORTED/);
      await page.evaluate(idle);
      assert.deepEqual(JSON.parse(await page.evaluate(() => JSON.stringify(kept))), beacon);
      assert.equal(beacon.probes.length, 1);
      assert.equal(collector.got.length, 1);
      assert.equal(collector.requests.length, 2);
      assert.deepEqual(page.errors, []);
      await page.context().close();
    });
    it("before it was measured, is left alone", async () => {
      const collector = collectors.add({});
      const page = await open({
        attributes: { collector: collector.base },
        before: `Object.defineProperty(document, "hidden", {value: true}); (${spy})();`,
      });
      await page.waitForFunction(() => calls.includes("requestIdleCallback"));
      await page.evaluate(idle);
      await page.goto(`${site.origin}/elsewhere`);
      assert.deepEqual(collector.requests, []);
      await page.context().close();
    });
  });

  it("works under a strict Content-Security-Policy", async () => {
    const collector = collectors.add({ global: pops.url() });
    const own = new URL(collector.base).origin;
    const page = await open({
      attributes: { collector: collector.base },
      headers: { "content-security-policy": `default-src 'none'; script-src ${own}; connect-src ${own} http://*.localhost:${pops.port}; require-trusted-types-for 'script'; trusted-types 'none'` },
    });
    const { beacon } = await collector.first();
    assert.equal(beacon.probes[0].pop, "iad");
    assert.deepEqual(await page.evaluate(() => violations), []);
    await page.context().close();
  });

  it("leaves the page's timing buffer alone, and does not need it", async () => {
    const collector = collectors.add({ global: pops.url() });
    const page = await open({
      attributes: { collector: collector.base },
      before: () => {
        performance.setResourceTimingBufferSize(1); // the script itself fills it
        globalThis.touched = [];
        for (const name of ["clearResourceTimings", "setResourceTimingBufferSize", "getEntriesByName", "getEntries"]) {
          performance[name] = () => touched.push(name);
        }
      },
    });
    const { beacon } = await collector.first();
    assert.equal(beacon.probes[0].warm.length, 3);
    assert.deepEqual(await page.evaluate(() => [touched, performance.getEntriesByType("resource").length]), [[], 1]);
    await page.context().close();
  });
});
