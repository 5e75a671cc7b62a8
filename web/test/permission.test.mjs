import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { beaconOf, collectors, idle, open, spy } from "./browser.mjs";

describe("permission", { concurrency: 4, timeout: 300_000 }, () => {
  describe("does nothing at all", { concurrency: 4, timeout: 300_000 }, () => {
    const quiet = (name, attributes, before = "") =>
      it(name, async () => {
        const collector = collectors.add();
        const page = await open({ attributes: { collector: collector.base, ...attributes }, before: `(${spy})(); ${before}` });
        await page.waitForFunction(() => document.readyState == "complete");
        assert.deepEqual(await page.evaluate(() => [typeof catchment.onBeacon, calls]), ["function", []]);
        assert.deepEqual(collector.requests, []);
        await page.context().close();
      });
    const set = (object, property, value) => `Object.defineProperty(${object}, "${property}", {value: ${value}});`;
    quiet("at rate 0", { rate: "0" });
    quiet("at a rate that is no number", { rate: "1%" });
    quiet("where the page is not sampled", { rate: "0.5" }, "Math.random = () => 0.6;");
    quiet("under Global Privacy Control", {}, set("navigator", "globalPrivacyControl", "true"));
    quiet("under Do Not Track", {}, set("navigator", "doNotTrack", '"1"'));
    quiet("in data-saver mode", {}, set("navigator", "connection", "{saveData: true, effectiveType: '4g'}"));
    quiet("over 2g", {}, set("navigator", "connection", "{saveData: false, effectiveType: 'slow-2g'}"));
    quiet("without PerformanceObserver", {}, "delete window.PerformanceObserver;");
    quiet("without sendBeacon", {}, set("navigator", "sendBeacon", "undefined"));
  });

  it("measures where the page is sampled, and says at which rate", async () => {
    const beacon = await beaconOf({}, { attributes: { rate: "0.5" }, before: "Math.random = () => 0.4;" });
    assert.equal(beacon.rate, 0.5);
  });

  it("ignores the signals where the site says so", async () => {
    await beaconOf({}, {
      attributes: { dnt: "ignore" },
      before: `for (const [k, v] of [["globalPrivacyControl", true], ["doNotTrack", "1"]]) Object.defineProperty(navigator, k, {value: v})`,
    });
  });

  describe("asks for consent", { concurrency: 4, timeout: 300_000 }, () => {
    const refused = (name, before) =>
      it(name, async () => {
        const collector = collectors.add();
        const page = await open({ attributes: { collector: collector.base, consent: "mayMeasure" }, before });
        await page.waitForFunction(() => globalThis.asked);
        await page.evaluate(idle);
        assert.deepEqual(collector.requests, []);
        await page.context().close();
      });
    refused("and takes no for an answer", "mayMeasure = () => { asked = true; return false }");
    refused("and takes a promise of no", "mayMeasure = async () => { asked = true; return false }");
    it("and waits for it", async () => {
      const collector = collectors.add();
      const page = await open({
        attributes: { collector: collector.base, consent: "mayMeasure" },
        before: "mayMeasure = () => new Promise((resolve) => { agree = resolve })",
      });
      await page.waitForFunction(() => globalThis.agree);
      await page.evaluate(idle);
      assert.deepEqual(collector.requests, []);
      await page.evaluate(() => agree(true));
      await collector.first();
      await page.context().close();
    });
    it("and a hook that is missing is no consent", async () => {
      const collector = collectors.add();
      const page = await open({ attributes: { collector: collector.base, consent: "mayMeasure" } });
      await page.waitForFunction(() => document.readyState == "complete");
      await page.evaluate(idle);
      assert.deepEqual(collector.requests, []);
      await page.context().close();
    });
  });
});
