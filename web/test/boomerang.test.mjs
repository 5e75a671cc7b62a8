import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { describe, it } from "node:test";
import { collectors, idle, open, pops, site } from "./browser.mjs";

// The real boomerang, as npm has it.
const javascript = { "content-type": "text/javascript" };
const serve = async (path) => site.add(await readFile(new URL(path, import.meta.url), "utf8"), javascript);
const boomerang = await Promise.all([
  serve("../node_modules/boomerangjs/boomerang.js"),
  serve("../node_modules/boomerangjs/plugins/rt.js"),
  serve("../../internal/beacon/rum/boomerang-catchment.js"),
]);
const scripts = boomerang.map((src) => `<script src="${src}"></script>`).join("");

// Boomerang's beacons as they arrive: an array to be read with next().
function receiver() {
  const r = collectors.add();
  r.beacons = (body) => {
    r.got.push(Object.fromEntries(new URLSearchParams(body)));
    r.wake?.();
    return 204;
  };
  r.next = async () => {
    while (!r.got.length) await new Promise((resolve) => (r.wake = resolve));
    return r.got.shift();
  };
  return r;
}

const init = (r, more = "") => `<script>BOOMR.init({beacon_url: "${r.base}/v1/beacons", beacon_type: "POST", RT: {cookie: ""}${more}})</script>`;

describe("boomerang", { timeout: 300_000 }, () => {
  it("gets a beacon of its own once the page-load beacon is out", async () => {
    const collector = collectors.add({ global: pops.url(), "pop:lax": pops.url("/replayed") });
    const r = receiver();
    const page = await open({ attributes: { collector: collector.base, delay: 200 }, markup: scripts + init(r) });
    const load = await r.next();
    assert.equal(load["http.initiator"], undefined);
    assert.equal(load.ct, undefined);
    const { beacon } = await collector.first();
    const own = await r.next();
    assert.equal(own["http.initiator"], "catchment");
    // The same beacon, but for the moment at which it was written down.
    assert.deepEqual({ ...JSON.parse(own.ct), t: 0 }, { ...beacon, t: 0 });
    const probe = beacon.probes.find((p) => p.target == "global");
    assert.deepEqual(Object.fromEntries(Object.entries(own).filter(([k]) => k.startsWith("ct."))), {
      "ct.id": beacon.id,
      "ct.rate": "1",
      "ct.flags": "webdriver",
      "ct.global.pop": "iad",
      "ct.global.rtt": String(probe.rtt),
      "ct.pop:lax.pop": "lax",
      "ct.pop:lax.err": "mismatch",
    });
    await page.evaluate(idle);
    assert.deepEqual(r.got, []);
    assert.deepEqual(page.errors, []);
    await page.context().close();
  });

  it("has the fields in the page-load beacon where that waits", async () => {
    const collector = collectors.add({ global: pops.url() });
    const r = receiver();
    const page = await open({ attributes: { collector: collector.base, send: "none" }, markup: scripts + init(r, ", autorun: false") });
    await page.evaluate(() => new Promise((resolve) => catchment.onBeacon(resolve)));
    assert.deepEqual(r.got, []);
    await page.evaluate(() => BOOMR.page_ready());
    const load = await r.next();
    assert.equal(load["http.initiator"], undefined);
    assert.equal(load["ct.global.pop"], "iad");
    assert.equal(load["ct.id"], JSON.parse(load.ct).id);
    await page.context().close();
  });

  it("sends it when the page goes", async () => {
    const hung = pops.hung();
    const collector = collectors.add({ global: pops.url("/hang") });
    const r = receiver();
    const page = await open({ attributes: { collector: collector.base, send: "none" }, markup: scripts + init(r) });
    await r.next();
    await hung;
    await page.goto(`${site.origin}/elsewhere`);
    let own;
    do own = await r.next(); // boomerang has a beacon for leaving, too
    while (!own.ct);
    assert.equal(own["http.initiator"], "catchment");
    assert.equal(own["ct.global.err"], "aborted");
    await page.context().close();
  });
});
