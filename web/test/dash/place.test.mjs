import assert from "node:assert/strict";
import { it } from "node:test";
import { load } from "./bundle.mjs";

const p = await load("lib/place.ts");
const t = await load("ui/table.tsx");

it("a place is read from the address", () => {
  const at = p.place({ pathname: "/catchments/gru/", search: "?scheme=global&day=2026-11-23" });
  assert.equal(at.path, "/catchments/gru");
  assert.equal(at.query.get("scheme"), "global");
  assert.equal(p.place({ pathname: "/", search: "" }).path, "/");
  assert.equal(p.place({ pathname: "/docs/caf%C3%A9", search: "" }).path, "/docs/café");
});

it("equal views have equal addresses", () => {
  const a = p.withQuery(new URLSearchParams("sort=-views&in=BR"), { filter: "são", in: null, page: "" });
  const b = p.withQuery(new URLSearchParams("filter=x&sort=-views"), { filter: "são" });
  assert.equal(p.href("/compare", a), p.href("/compare", b));
  assert.equal(p.href("/compare"), "/compare");
  assert.equal(p.href("/compare", { in: "country:BR", by: "a,b" }), "/compare?by=a,b&in=country:BR");
});

it("what is set in an address is read again", () => {
  for (const value of ["a&b=c", "100 %", "?#", "US-CA", "São Paulo, SP", "+", "%2C", "%3A"]) {
    const url = new URL(p.href("/x", { v: value }), "http://h");
    assert.equal(p.place(url).query.get("v"), value, value);
  }
});

it("a sort order goes into an address and back", () => {
  for (const s of [{ key: "views", down: true }, { key: "place", down: false }]) assert.deepEqual(t.parseSort(t.sortText(s), "x"), s);
  assert.deepEqual(t.parseSort(null, "-views"), { key: "views", down: true });
});

it("what is not known comes last, either way", () => {
  const columns = [{ key: "x", value: (r) => r, cell: String }];
  assert.deepEqual(t.sorted([2, null, 1, NaN, 3], columns, { key: "x", down: false }).slice(0, 3), [1, 2, 3]);
  assert.deepEqual(t.sorted([2, null, 1, NaN, 3], columns, { key: "x", down: true }).slice(0, 3), [3, 2, 1]);
  assert.deepEqual(t.sorted(["b", "a"], columns, { key: "x", down: false }), ["a", "b"]);
  assert.deepEqual(t.sorted([2, 1], columns, { key: "none", down: false }), [2, 1]);
});
