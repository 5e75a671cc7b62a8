import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { describe, it } from "node:test";
import { load } from "./bundle.mjs";

const s = await load("lib/scale.ts");

/** Relative luminance, WCAG 2.2. */
function luminance(color) {
  const n = parseInt(color.slice(1), 16);
  const [r, g, b] = [n >> 16, (n >> 8) & 255, n & 255].map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
const contrast = (a, b) => {
  const [x, y] = [luminance(a), luminance(b)].sort((p, q) => q - p);
  return (x + 0.05) / (y + 0.05);
};

describe("classes of a map", () => {
  it("hold their lower bound", () => {
    for (const [x, want] of [[0, 0], [0.0199, 0], [0.02, 1], [0.2, 4], [0.49, 5], [0.5, 6], [1, 6], [null, -1], [NaN, -1]]) assert.equal(s.classOf(s.lost, x), want, String(x));
  });
  it("have a color and a name each", () => {
    for (const c of [s.lost, s.penalty]) {
      assert.equal(c.colors.length, c.bounds.length + 1);
      assert.equal(new Set(c.colors.map((_, i) => c.label(i))).size, c.colors.length);
    }
    assert.equal(s.lost.label(0), "under 2 %");
    assert.equal(s.lost.label(1), "2 % to 5 %");
    assert.equal(s.lost.label(6), "50 % and more");
  });
  it("rise evenly in lightness, so that gray and color-blind eyes tell them apart", () => {
    const all = s.viridis.map(luminance);
    for (let i = 1; i < all.length; i++) assert.ok(all[i] > all[i - 1] + 0.01, `${s.viridis[i]} is no lighter than ${s.viridis[i - 1]}`);
  });
});

it("white text is for dark colors", () => {
  for (const [color, want] of [["#000000", true], ["#ffffff", false], ["#440154", true], ["#fde725", false]]) assert.equal(s.dark(color), want, color);
});

it("a PoP's color stays its own", () => {
  const ids = ["lax", "ams", "fra"];
  const color = s.palette(ids);
  assert.deepEqual(ids.map(color), ids.map(s.palette([...ids].reverse())));
  assert.equal(new Set(ids.map(color)).size, 3);
  assert.match(color("gone"), /^#/);
});

it("bars have round ends that hold all values", () => {
  assert.deepEqual(s.extent([0.62, 0.88, null], 0.1).map((x) => +x.toFixed(6)), [0.6, 0.9]);
  assert.deepEqual(s.extent([], 0.1), [0, 1]);
  const [low, high] = s.extent([0.5, 0.5], 0.1);
  assert.ok(low < 0.5 && high > 0.5);
  assert.deepEqual([s.fraction(5, 0, 10), s.fraction(-1, 0, 10), s.fraction(11, 0, 10), s.fraction(1, 1, 1)], [0.5, 0, 1, 0.5]);
});

it("a sparkline has a gap where there is no value", () => {
  assert.equal(s.sparkline([0, 1], 10, 10), "M2.0 8.0L8.0 2.0");
  assert.equal(s.sparkline([0, null, 1], 10, 10), "M2.0 8.0M8.0 2.0");
  assert.equal(s.sparkline([null], 10, 10), "");
});

describe("colors of both themes", async () => {
  const css = await readFile(new URL("../../dash/dash.css", import.meta.url), "utf8");
  const themes = [...css.matchAll(/:root(?:\[data-theme="dark"\])? \{([^}]*)\}/g)].map((m) => Object.fromEntries([...m[1].matchAll(/--([\w-]+): (#[0-9a-f]{6});/g)].map((x) => [x[1], x[2]])));
  for (const [i, name] of ["light", "dark"].entries()) {
    const t = themes[i];
    it(`${name}: text has a contrast of 4.5 (WCAG 1.4.3)`, () => {
      for (const ink of ["ink", "ink-soft", "accent", "good", "warn", "bad"])
        for (const back of ["page", "panel", "raised"]) assert.ok(contrast(t[ink], t[back]) >= 4.5, `${ink} on ${back}: ${contrast(t[ink], t[back]).toFixed(2)}`);
      for (const x of ["good", "warn", "bad"]) assert.ok(contrast(t[x], t[x + "-back"]) >= 4.5, `${x} on its back: ${contrast(t[x], t[x + "-back"]).toFixed(2)}`);
      assert.ok(contrast(t.accent, t["accent-ink"]) >= 4.5);
    });
    it(`${name}: lines have a contrast of 3 (WCAG 1.4.11)`, () => {
      for (const line of ["unicast", "global", "regional", "control", "treatment"]) assert.ok(contrast(t[line], t.panel) >= 3, `${line}: ${contrast(t[line], t.panel).toFixed(2)}`);
    });
  }
});
