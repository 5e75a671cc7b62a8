import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { beaconOf, collectors, dead, open, pops } from "./browser.mjs";

// The rtt of a probe that nothing stands in front of.
const rttOf = (p) => Math.min(p.cold[1] || Infinity, Math.min(...p.warm) - p.srv);

const probeOf = async (behaviour) => (await beaconOf({ global: pops.url(behaviour) })).probes[0];

describe("measuring", { concurrency: 4, timeout: 300_000 }, () => {
  it("reports what it measured", async () => {
    const collector = collectors.add({ global: pops.url(), unicast: pops.url(), "pop:iad": pops.url() });
    const page = await open({
      attributes: { collector: collector.base },
      headers: { "server-timing": 'pop;desc="lax", vip;desc="americas"' },
    });
    const { beacon } = await collector.first();
    const timing = await page.evaluate(() => performance.getEntriesByType("navigation")[0].toJSON());
    await page.context().close();
    const ms = (from, to) => +(timing[to] - timing[from]).toFixed(2) || undefined;
    assert.equal(beacon.v, 1);
    assert.match(beacon.id, /^[0-9a-f]{32}$/);
    assert.match(beacon.plan, /^plan-/);
    assert.equal(beacon.rate, 1);
    assert.ok(Math.abs(Date.now() - beacon.t) < 10_000);
    assert.deepEqual(beacon.flags, ["webdriver"]);
    assert.equal(beacon.net.type, "4g");
    assert.deepEqual({ dns: undefined, connect: undefined, tls: undefined, ...beacon.page }, {
      pop: "lax",
      vip: "americas",
      dns: ms("domainLookupStart", "domainLookupEnd"),
      connect: ms("connectStart", "connectEnd"),
      tls: undefined,
      ttfb: ms("requestStart", "responseStart"),
      load: ms("startTime", "loadEventEnd"),
    });
    assert.deepEqual(beacon.probes.map((p) => p.target).sort(), ["global", "pop:iad", "unicast"]);
    for (const p of beacon.probes) {
      const { target, rtt, warm, cold, ...rest } = p;
      assert.deepEqual(rest, { pop: "iad", vip: "global", srv: 0.05, mrtt: 0.01, proto: "http/1.1", af: 4, flags: [] });
      assert.equal(warm.length, 3);
      assert.equal(cold.length, 3);
      assert.equal(cold[2], 0);
      assert.ok(rtt > 0 && Math.abs(rtt - rttOf(p)) < 0.011, `rtt ${rtt}, from connect and warm ${rttOf(p)}`);
      for (const ms of [rtt, ...warm, ...cold]) assert.equal(ms, +ms.toFixed(2));
    }
  });

  it("probes one target after another, in random order, cold once and warm three times", async () => {
    const probes = Object.fromEntries("abcdefgh".split("").map((c) => [`pop:${c}`, pops.url()]));
    const beacon = await beaconOf(probes);
    const targets = beacon.probes.map((p) => p.target);
    assert.deepEqual([...targets].sort(), Object.keys(probes));
    assert.notDeepEqual(targets, Object.keys(probes)); // by chance once in 40,320 runs
    const hosts = Object.entries(probes).map(([target, url]) => [new URL(url).host, target]);
    const order = pops.requests.map((r) => hosts.find(([host]) => host == r.headers.host)?.[1]).filter(Boolean);
    assert.deepEqual(order, targets.flatMap((t) => [t, t, t, t]));
  });

  it("asks plainly: no cookie, no referrer, no preflight, no header of its own", async () => {
    const collector = collectors.add({ global: pops.url() });
    const page = await open({ attributes: { collector: collector.base }, headers: { "set-cookie": "secret=1" } });
    await collector.first();
    await page.context().close();
    const probe = new URL(collector.plan().probes[0].url).host;
    const requests = [...collector.requests, ...pops.requests.filter((r) => r.headers.host == probe)];
    assert.equal(requests.length, 1 + 4 + 1);
    for (const { headers } of requests) {
      assert.equal(headers.cookie, undefined);
      assert.equal(headers.referer, undefined);
      assert.equal(headers["sec-fetch-mode"], "cors");
      // What the browser adds by itself, and nothing else.
      const own = Object.keys(headers).filter((h) => !/^(host|connection|content-length|content-type|pragma|cache-control|sec-.*|user-agent|accept.*|origin|priority|dnt)$/.test(h));
      assert.deepEqual(own, []);
    }
    assert.equal(collector.requests.at(-1).headers["content-type"], "text/plain;charset=UTF-8");
    assert.equal(new Set(requests.map((r) => r.url)).size, requests.length);
    assert.ok(![...collector.requests, ...pops.requests].some((r) => r.method == "OPTIONS"));
  });

  describe("names what is wrong with a probe", { concurrency: 4, timeout: 300_000 }, () => {
    it("timeout", async () => {
      const start = Date.now();
      const p = await probeOf("/hang");
      assert.equal(p.error, "timeout");
      assert.ok(Date.now() - start > 3900);
      assert.equal(p.rtt, undefined);
    });
    it("net", async () => {
      const beacon = await beaconOf({ global: `${dead}/o` });
      assert.deepEqual(beacon.probes, [{ target: "global", warm: [], flags: [], error: "net" }]);
    });
    it("net, midway: keeps what was measured, without an rtt", async () => {
      const p = await probeOf("/break");
      assert.equal(p.error, "net");
      assert.equal(p.pop, "iad");
      assert.equal(p.warm.length, 1);
      assert.equal(p.cold.length, 3);
      assert.equal(p.rtt, undefined);
    });
    it("http", async () => {
      const p = await probeOf("/503");
      assert.equal(p.error, "http");
      assert.equal(p.status, 503);
      assert.equal(p.pop, "iad");
    });
    it("tao", async () => {
      const p = await probeOf("/no-tao");
      assert.deepEqual(p, { target: "global", pop: "iad", warm: [], flags: [], error: "tao" });
    });
    it("mismatch, where two PoPs are named", async () => assert.equal((await probeOf("/replayed")).error, "mismatch"));
    it("mismatch, where none is", async () => {
      const p = await probeOf("/anonymous");
      assert.equal(p.error, "mismatch");
      assert.equal(p.pop, undefined);
    });
    it("nothing, where one of the two names is missing or spoilt", async () => {
      for (const behaviour of ["/no-header", "/merged"]) {
        const p = await probeOf(behaviour);
        assert.equal(p.error, undefined);
        assert.equal(p.pop, "iad");
        assert.ok(p.rtt > 0);
      }
    });
  });

  it("flags a flip, and measures only the first PoP", async () => {
    const p = await probeOf("/flip");
    assert.equal(p.error, undefined);
    assert.equal(p.pop, "iad");
    assert.equal(p.warm.length, 1);
    assert.deepEqual([...new Set(p.served)], ["iad", "lax"]);
    assert.deepEqual(p.flags, ["flip"]);
  });

  it("disbelieves a connect far below the rest", async () => {
    const p = await probeOf("/far");
    assert.deepEqual(p.flags, ["split"]);
    assert.ok(p.rtt >= 299 && p.cold[1] < p.rtt / 2, `rtt ${p.rtt}, connect ${p.cold[1]}`);
  });

  it("takes the server's own time off", async () => {
    const p = await probeOf("/busy");
    assert.equal(p.srv, 60);
    const least = Math.min(...p.warm);
    assert.ok(least >= 60 && p.rtt <= least - 60 + 0.011, `warm ${p.warm}, rtt ${p.rtt}`);
  });

  it("calls nothing cold that was open already", async () => {
    const [global, unicast] = [pops.url(), pops.url()].map((u, i, all) => all[0] + (i ? "?again" : ""));
    const beacon = await beaconOf({ global, unicast });
    const [first, second] = beacon.probes;
    assert.equal(first.cold.length, 3);
    assert.equal(second.cold, undefined);
    assert.ok(second.rtt > 0);
  });

  it("flags a coarse clock", async () => {
    // 100 ms steps, as with Firefox's resistance to fingerprinting; never down to 0, which means no timing.
    const beacon = await beaconOf({ global: pops.url("/far") }, {
      before: () => {
        for (const [name, d] of Object.entries(Object.getOwnPropertyDescriptors(PerformanceResourceTiming.prototype))) {
          if (!/(Start|End)$/.test(name)) continue;
          Object.defineProperty(PerformanceResourceTiming.prototype, name, { get() { return Math.ceil(d.get.call(this) / 100) * 100; } });
        }
      },
    });
    assert.ok(beacon.flags?.includes("coarse"), JSON.stringify(beacon));
  });
});
