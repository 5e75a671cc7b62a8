import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { it } from "node:test";
import { load } from "./bundle.mjs";

const { world, states } = await load("map/shapes.ts");
const asset = async (name) => JSON.parse(await readFile(new URL(`../../node_modules/${name}.json`, import.meta.url)));

it("the world's countries have the API's codes", async () => {
  const w = world(await asset("world-atlas/countries-110m"));
  const codes = w.areas.map((a) => a.code).filter(Boolean);
  assert.equal(new Set(codes).size, codes.length);
  for (const code of ["US", "BR", "DE", "FR", "IN", "ZA", "AU", "JP", "GB", "NO"]) assert.ok(codes.includes(code), code);
  assert.ok(!codes.includes("AQ"));
  // The three without an ISO number stay without a code.
  assert.deepEqual(w.areas.filter((a) => !a.code).map((a) => a.name).sort(), ["Kosovo", "N. Cyprus", "Somaliland"]);
  const names = new Intl.DisplayNames("en", { type: "region" });
  const odd = w.areas.filter((a) => a.code && names.of(a.code)[0] != a.name[0]).map((a) => a.name).sort();
  assert.deepEqual(odd, ["Dem. Rep. Congo", "Macedonia", "eSwatini"]); // by their names of today
});

it("places lie where they should on the map", async () => {
  const w = world(await asset("world-atlas/countries-110m"));
  for (const [lon, lat] of [[-46.6, -23.5], [139.7, 35.7], [151.2, -33.9]]) {
    const [x, y] = w.at(lon, lat);
    assert.ok(x > 0 && x < w.width && y > 0 && y < w.height);
  }
  assert.ok(w.at(-46.6, -23.5)[0] < w.at(139.7, 35.7)[0]);
  assert.ok(w.at(139.7, 35.7)[1] < w.at(151.2, -33.9)[1]);
  assert.ok(w.middle("SG"), "Singapore has no shape, but a middle");
  assert.equal(w.middle("XX"), null);
});

it("the states have postal codes, and projected points lie in them", async () => {
  const us = states(await asset("us-atlas/states-albers-10m"));
  assert.equal(us.areas.filter((a) => a.code && a.path).length, 51);
  const [x, y] = us.at(-89.65, 39.8); // Springfield
  const [mx, my] = us.middle("IL");
  assert.ok(Math.hypot(x - mx, y - my) < 20, `${x},${y} is far from ${mx},${my}`);
  assert.equal(us.at(2.35, 48.86), null);
});
