import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { load } from "./bundle.mjs";

const f = await load("lib/format.ts");
const plain = (s) => s.replaceAll("\u00a0", " ");

describe("figures as people read them", () => {
  const cases = (name, of, ...all) =>
    it(name, () => {
      for (const [x, want] of all) assert.equal(plain(of(x)), want, `${name}(${x})`);
    });
  cases("count", f.count, [1234567, "1,234,567"], [0, "0"], [null, "–"], [NaN, "–"], [undefined, "–"]);
  cases("short", f.short, [9999, "9,999"], [12_345, "12.3K"], [5_000_000, "5M"], [null, "–"]);
  cases("percent", f.percent, [0.8731, "87.3 %"], [1, "100.0 %"], [0, "0.0 %"], [null, "–"]);
  cases("points", f.points, [0.032, "+3.2"], [-0.01, "−1.0"], [0, "0.0"], [-0.0001, "0.0"], [null, "–"]);
  cases("ms", f.ms, [8.44, "8.4 ms"], [84.4, "84 ms"], [1234, "1,234 ms"], [0, "0.0 ms"], [null, "–"]);
  cases("duration", f.duration, [45, "45 s"], [60, "1 min"], [200, "3 min"], [3600, "1 h"], [19_200, "5 h 20 min"], [90_000, "1 d 1 h"], [12 * 86_400 + 5, "12 d"], [0, "0 s"], [-3, "0 s"], [null, "–"]);
  it("seconds of Go's durations", () => {
    for (const [text, want] of [["1h30m0s", 5400], ["500ms", 0.5], ["72h", 259_200], ["", null], [7, 7]]) assert.equal(f.seconds(text), want);
  });
  cases("day", f.day, ["2026-11-23", "Mon, Nov 23"], [null, "–"], ["yesterday", "–"]);
  cases("moment", f.moment, ["2026-11-23T14:05:09Z", "23 Nov, 14:05 UTC"], ["0001-01-01T00:00:00Z", "–"], [undefined, "–"]);
  cases("country", f.country, ["BR", "Brazil"], ["??", "??"], ["", ""]);
  cases("continent", f.continent, ["SA", "South America"], ["XX", "XX"]);

  it("ago", () => {
    const now = Date.parse("2026-11-23T12:00:00Z");
    for (const [at, want] of [
      ["2026-11-23T11:57:00Z", "3 min ago"],
      ["2026-11-23T12:00:00Z", "now"],
      ["2026-11-23T14:00:00Z", "in 2 h"],
      ["2026-11-11T12:00:00Z", "12 d ago"],
      [null, "–"],
      ["0001-01-01T00:00:00Z", "–"],
    ])
      assert.equal(plain(f.ago(at, now)), want, String(at));
  });

  it("an interval in words", () => {
    assert.equal(plain(f.interval(0.9, 0.88, 0.92)), "90.0 % (95 % interval 88.0 % to 92.0 %)");
    assert.equal(plain(f.interval(0.9, null, null)), "90.0 %");
    assert.equal(f.interval(null, null, null), "not known");
  });
});
