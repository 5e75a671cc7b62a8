import assert from "node:assert/strict";
import { it } from "node:test";
import { load } from "./bundle.mjs";

const { announcementsOf, popState } = await load("lib/pops.ts");
const pop = (more) => ({ pop: "iad", speaks: true, health: { state: "up" }, ...more });

it("announced is what a neighbor was really told", () => {
  const all = announcementsOf(
    pop({
      wanted: [
        { prefix: "198.51.100.0/24", vip: "global", announced: true, reason: "healthy" },
        { prefix: "203.0.113.0/24", vip: "americas", announced: true, reason: "healthy" },
      ],
      neighbors: [{ address: "192.0.2.1", asn: 64496, state: "established", sent: [{ prefix: "198.51.100.0/24" }, { prefix: "192.0.2.0/24" }] }, { address: "192.0.2.2", asn: 64497, state: "idle", sent: null }],
    }),
  );
  assert.deepEqual(
    all.map((a) => [a.prefix, a.wanted, a.announced]),
    [["198.51.100.0/24", true, true], ["203.0.113.0/24", true, false], ["192.0.2.0/24", false, true]],
  );
});

it("a PoP of which nothing is known is unknown, and announces nothing", () => {
  const p = popState({ pop: "iad", speaks: false, health: { state: "" } });
  assert.equal(p.state, "unknown");
  assert.deepEqual([p.load, p.drain, p.shed, p.announcements], [null, null, null, []]);
});

it("a drain has the operator's reason and its own progress", () => {
  const ordered = { by: "alice", why: "new disks", since: "2026-11-23T12:00:00Z" };
  const drain = { phase: "ttl", since: "2026-11-23T12:00:05Z", next: "connections", waiting: "for 30s of TTL", why: "" };
  assert.deepEqual(popState(pop({ ordered, drain })).drain, { ...drain, why: "new disks", by: "alice", until: undefined, back: false });
  // Ordered, and the PoP does not speak: name servers are all there is to wait for.
  assert.match(popState(pop({ speaks: false, ordered, dns: { out: true, waiting: ["ns1"] } })).drain.waiting, /ns1/);
  // Ended by the operator, and on its way back.
  assert.equal(popState(pop({ drain: { ...drain, phase: "reannounce" } })).drain.back, true);
});
