import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { beaconOf, collectors, dead, idle, open, pops, spy, tag } from "./browser.mjs";

describe("plan and beacon", { concurrency: 4, timeout: 300_000 }, () => {
  describe("when the collector", { concurrency: 4, timeout: 300_000 }, () => {
    const failing = (name, { plan, beacons, base, flags, probes }) =>
      it(name, async () => {
        const [first, second] = [collectors.add({ global: pops.url() }), collectors.add({ global: pops.url() })];
        if (plan) first.plan = plan;
        if (beacons) first.beacons = beacons;
        const page = await open({ attributes: { collector: base ?? first.base, fallback: second.base } });
        const { beacon } = await second.first();
        assert.deepEqual([...beacon.flags].sort(), flags);
        assert.equal(beacon.probes.length, probes);
        assert.equal(beacon.plan, plan || base ? second.plan().id : first.plan().id);
        assert.deepEqual(first.got, []);
        assert.deepEqual(page.errors, []);
        await page.context().close();
      });
    const flags = ["fallback", "webdriver"];
    failing("is down, uses the second address", { base: dead, flags, probes: 1 });
    failing("has no plan, uses the second address", { plan: () => 503, flags, probes: 1 });
    failing("breaks off the beacon, sends it to the second address", { beacons: () => undefined, flags, probes: 1 });
    failing("refuses the beacon, sends it to the second address", { beacons: () => 503, flags, probes: 1 });
    failing("never answers the beacon, sends it to the second address", { beacons: () => null, flags, probes: 1 });

    it("has no plan and there is no second, says that", async () => {
      const collector = collectors.add();
      collector.plan = () => 503;
      const page = await open({ attributes: { collector: collector.base } });
      const { beacon } = await collector.first();
      assert.deepEqual([...beacon.flags].sort(), ["noplan", "webdriver"]);
      assert.deepEqual(beacon.probes, []);
      assert.ok(beacon.page.load > 0);
      await page.context().close();
    });
    it("is down and so is the second, stays quiet", async () => {
      const page = await open({
        attributes: { collector: dead, fallback: dead },
        before: () => {
          const original = fetch;
          globalThis.failed = 0;
          globalThis.fetch = (...args) => original(...args).finally(() => failed++);
        },
      });
      await page.waitForFunction(() => failed == 3); // plan, plan, beacon: only the second is left by then
      await page.evaluate(idle);
      assert.deepEqual(page.errors, []);
      await page.context().close();
    });
  });

  it("takes a plan from the page", async () => {
    const collector = collectors.add();
    const plan = { id: "inline", ttl: 60, probes: [{ target: "global", url: pops.url() }] };
    const page = await open({ attributes: { collector: collector.base, plan: JSON.stringify(plan) } });
    const { beacon } = await collector.first();
    assert.equal(beacon.plan, "inline");
    assert.equal(beacon.probes[0].pop, "iad");
    assert.equal(collector.requests.length, 1);
    await page.context().close();
  });

  it("says that a plan from the page is none", async () => {
    const beacon = await beaconOf({}, { attributes: { plan: "{oops" } });
    assert.ok(beacon.flags.includes("noplan"));
  });

  it("hands the beacon to the page before it sends it", async () => {
    const collector = collectors.add({ global: pops.url() });
    const page = await open({
      attributes: { collector: collector.base },
      before: `catchment = {q: [], onBeacon(f) { this.q.push(f) }};
        catchment.onBeacon(() => { throw Error("of the page") });
        catchment.onBeacon((b) => { b.page = {}; seen.push(JSON.stringify(b)) });`,
    });
    const { beacon } = await collector.first();
    await page.evaluate(() => catchment.onBeacon((b) => seen.push(JSON.stringify(b)))); // late
    const [early, late] = await page.evaluate(() => seen);
    assert.deepEqual(JSON.parse(early).probes, beacon.probes);
    assert.deepEqual(JSON.parse(late), beacon);
    assert.deepEqual(beacon.page, {});
    assert.deepEqual(page.errors, ["Error: of the page"]);
    await page.context().close();
  });

  it("leaves the sending to the page", async () => {
    const collector = collectors.add({ global: pops.url() });
    const page = await open({
      attributes: { collector: collector.base, send: "none" },
      before: `catchment = {q: [(b) => seen.push(b)]}; catchment.onBeacon = (f) => catchment.q.push(f);`,
    });
    await page.waitForFunction(() => seen.length);
    await page.evaluate(idle);
    assert.equal((await page.evaluate(() => seen[0])).probes.length, 1);
    assert.deepEqual(collector.requests.map((r) => r.method), ["GET"]);
    await page.context().close();
  });

  it("measures once where it is included twice", async () => {
    const collector = collectors.add({ global: pops.url() });
    const attributes = { collector: collector.base };
    const page = await open({ attributes, markup: tag({ delay: 0, ...attributes }), before: spy });
    await collector.first();
    await page.evaluate(idle);
    assert.deepEqual(collector.requests.map((r) => r.method), ["GET", "POST"]);
    await page.context().close();
  });
});
