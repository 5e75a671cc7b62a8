// Color scales and axes. Colors are viridis' (Smith and van der Walt), whose
// lightness rises evenly: they are told apart in gray, too, and by people who
// do not tell red from green. What they mean is always written as well.

/** From dark to light: the more, the lighter. */
export const viridis = ["#440154", "#443983", "#31688e", "#21918c", "#35b779", "#90d743", "#fde725"] as const;

/** Bounds of the classes of a map, in the value's unit; class i is below bounds[i]. */
export interface Classes {
  bounds: number[];
  colors: readonly string[];
  /** What class i is called in the legend. */
  label: (i: number) => string;
}

export function classOf(c: Classes, x: number | null | undefined): number {
  if (typeof x != "number" || !Number.isFinite(x)) return -1;
  const i = c.bounds.findIndex((b) => x < b);
  return i < 0 ? c.bounds.length : i;
}

/** Shares of users who are not where they should be: more is worse and darker. */
export const lost: Classes = ladder([0.02, 0.05, 0.1, 0.2, 0.3, 0.5], (x) => `${Math.round(100 * x)} %`, [...viridis].reverse());

/** Milliseconds lost, likewise. */
export const penalty: Classes = ladder([1, 5, 10, 20, 50, 100], (x) => `${x} ms`, [...viridis].reverse());

export function ladder(bounds: number[], text: (x: number) => string, colors: readonly string[]): Classes {
  return {
    bounds,
    colors,
    label: (i) => (i == 0 ? `under ${text(bounds[0]!)}` : i == bounds.length ? `${text(bounds[i - 1]!)} and more` : `${text(bounds[i - 1]!)} to ${text(bounds[i]!)}`),
  };
}

/** Whether text on a color should be white: by relative luminance (WCAG 2.2). */
export function dark(color: string): boolean {
  const n = parseInt(color.slice(1), 16);
  const [r, g, b] = [n >> 16, (n >> 8) & 255, n & 255].map((c) => {
    const x = c / 255;
    return x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r! + 0.7152 * g! + 0.0722 * b! < 0.18;
}

// Colors of PoPs on a map: as many as stay distinct (Okabe and Ito's, and
// lighter and darker ones between them). PoPs are labeled as well.
const qualitative = [
  "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#9a8c00", "#7f5fc0",
  "#004c76", "#a06d00", "#00624a", "#8f4a72", "#8fd0f5", "#ff9a56", "#cfc23a", "#b79cf0",
  "#555f6b", "#9aa5b1",
];

/** A color for each id; the same id has the same color whatever else is there. */
export function palette(ids: readonly string[]): (id: string) => string {
  const order = [...ids].sort();
  return (id) => qualitative[Math.max(0, order.indexOf(id)) % qualitative.length]!;
}

/** Where x lies between low and high, 0 to 1. */
export const fraction = (x: number, low: number, high: number) => Math.min(1, Math.max(0, high > low ? (x - low) / (high - low) : 0.5));

/** Round bounds around values: those of a bar that has to show all of them. */
export function extent(values: (number | null | undefined)[], step: number, least = 0, most = 1): [number, number] {
  const all = values.filter((x): x is number => typeof x == "number" && Number.isFinite(x));
  if (!all.length) return [least, most];
  const low = Math.max(least, Math.floor(Math.min(...all) / step + 1e-9) * step);
  const high = Math.min(most, Math.ceil(Math.max(...all) / step - 1e-9) * step);
  return high > low ? [low, high] : [Math.max(least, low - step), Math.min(most, high + step)];
}

/** Points of a sparkline in a box; gaps where values are missing begin a new line. */
export function sparkline(values: (number | null)[], width: number, height: number, pad = 2): string {
  const all = values.filter((x): x is number => x != null);
  if (!all.length) return "";
  const low = Math.min(...all);
  const span = Math.max(...all) - low || 1;
  const dx = (width - 2 * pad) / Math.max(1, values.length - 1);
  let path = "";
  let pen = false;
  values.forEach((x, i) => {
    if (x == null) return void (pen = false);
    path += `${pen ? "L" : "M"}${(pad + i * dx).toFixed(1)} ${(height - pad - ((x - low) / span) * (height - 2 * pad)).toFixed(1)}`;
    pen = true;
  });
  return path;
}
