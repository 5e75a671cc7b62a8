// Figures as people read them. Unknown values are an en dash everywhere, and
// every function takes what the API has: null for what is not known.

type Maybe = number | null | undefined;

export const unknown = "–";
const known = (x: Maybe): x is number => typeof x == "number" && Number.isFinite(x);
const locale = "en-US";

const whole = new Intl.NumberFormat(locale, { maximumFractionDigits: 0 });
const compact = new Intl.NumberFormat(locale, { notation: "compact", maximumFractionDigits: 1 });
const one = new Intl.NumberFormat(locale, { minimumFractionDigits: 1, maximumFractionDigits: 1 });

/** 12,345 */
export const count = (x: Maybe) => (known(x) ? whole.format(x) : unknown);

/** 1.2M; below ten thousand in full. */
export const short = (x: Maybe) => (known(x) ? (Math.abs(x) < 10_000 ? whole.format(x) : compact.format(x)) : unknown);

/** A share of 0 to 1 as 87.3 %, with a no-break space. */
export const percent = (x: Maybe, digits = 1) => (known(x) ? `${(100 * x).toFixed(digits)}\u00a0%` : unknown);

/** A difference of shares in points: +3.2, −1.0, 0.0. */
export function points(x: Maybe, digits = 1) {
  if (!known(x)) return unknown;
  const text = Math.abs(100 * x).toFixed(digits);
  return +text == 0 ? text : (x > 0 ? "+" : "−") + text;
}

/** Milliseconds: 8.4 ms below ten, 84 ms from there. */
export const ms = (x: Maybe) => (known(x) ? `${Math.abs(x) < 10 ? one.format(x) : whole.format(x)}\u00a0ms` : unknown);

/** An interval of shares in words, for titles and screen readers. */
export const interval = (value: Maybe, low: Maybe, high: Maybe) =>
  known(value) ? percent(value) + (known(low) && known(high) ? ` (95 % interval ${percent(low)} to ${percent(high)})` : "") : "not known";

const units: [string, number][] = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];

/** Seconds as 45 s, 3 min, 5 h 20 min, 12 d. */
export function duration(seconds: Maybe): string {
  if (!known(seconds)) return unknown;
  const s = Math.max(0, Math.round(seconds));
  const i = units.findIndex(([, n]) => s >= n);
  if (i < 0) return "0\u00a0s";
  const [name, n] = units[i]!;
  const next = units[i + 1];
  const rest = next && i < 2 && s < 10 * n ? Math.floor((s % n) / next[1]) : 0;
  return `${Math.floor(s / n)}\u00a0${name}` + (rest ? ` ${rest}\u00a0${next![0]}` : "");
}

/** Go's durations (1h30m0s, 500ms) in seconds. */
export function seconds(text: string | number | null | undefined): number | null {
  if (typeof text == "number") return text;
  if (!text) return null;
  let sum = 0;
  for (const [, n, unit] of text.matchAll(/([\d.]+)(ms|h|m|s)/g)) sum += +n! * { ms: 0.001, s: 1, m: 60, h: 3600 }[unit as "s"]!;
  return sum;
}

/** "3 min ago" of an RFC 3339 time; "in 2 h" of one to come. */
export function ago(at: string | null | undefined, now = Date.now()): string {
  const t = at ? Date.parse(at) : NaN;
  if (!(t > 0)) return unknown;
  const s = (now - t) / 1000;
  if (Math.abs(s) < 2) return "now";
  return s > 0 ? `${duration(s)} ago` : `in ${duration(-s)}`;
}

const dayFormat = new Intl.DateTimeFormat(locale, { timeZone: "UTC", weekday: "short", day: "numeric", month: "short" });
const clock = new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });

/** "Mon, Nov 23" of 2026-11-23: days are UTC days. */
export function day(text: string | null | undefined) {
  const t = text ? Date.parse(text) : NaN;
  return Number.isNaN(t) ? unknown : dayFormat.format(t);
}

/** "23 Nov, 14:05 UTC". */
export function moment(at: string | null | undefined) {
  const t = at ? Date.parse(at) : NaN;
  return t > 0 ? clock.format(t) + " UTC" : unknown;
}

const names = new Intl.DisplayNames("en", { type: "region" });
const continents: Record<string, string> = {
  AF: "Africa", AN: "Antarctica", AS: "Asia", EU: "Europe", NA: "North America", OC: "Oceania", SA: "South America",
};

/** The name of an ISO 3166-1 alpha-2 code, or the code. */
export function country(code: string): string {
  try {
    return /^[A-Z]{2}$/.test(code) ? (names.of(code) ?? code) : code;
  } catch {
    return code;
  }
}

export const continent = (code: string) => continents[code] ?? code;

/** "AS64500 Name" or "AS64500". */
export const network = (asn: Maybe, name?: string | null) => (known(asn) && asn > 0 ? `AS${asn}${name ? " " + name : ""}` : name || unknown);

export const plural = (n: number, word: string, more = word + "s") => `${count(n)} ${n == 1 ? word : more}`;
