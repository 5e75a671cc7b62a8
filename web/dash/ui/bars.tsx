import { fraction, sparkline } from "../lib/scale";
import { interval, percent } from "../lib/format";

/** A share with its 95 % interval on a common scale from low to high. */
export function IntervalBar({ value, low, high, from = 0, to = 1, tone = "" }: { value?: number | null; low?: number | null; high?: number | null; from?: number; to?: number; tone?: string }) {
  if (value == null) return <span class="unknown">–</span>;
  const x = (v: number) => 2 + 96 * fraction(v, from, to);
  return (
    <span class="interval">
      <span class="value">{percent(value)}</span>
      <svg viewBox="0 0 100 12" width="56" height="12" preserveAspectRatio="none" class={tone} role="img" aria-label={interval(value, low, high)}>
        <title>{interval(value, low, high)}</title>
        <line class="track" x1="2" x2="98" y1="6" y2="6" />
        {low != null && high != null && <rect class="range" x={x(low)} y="3" width={Math.max(1.5, x(high) - x(low))} height="6" rx="1.5" />}
        <line class="mark" x1={x(value)} x2={x(value)} y1="1" y2="11" />
      </svg>
    </span>
  );
}

/** A difference with its interval around zero. */
export function DifferenceBar({ value, low, high, reach, label }: { value: number; low: number; high: number; reach: number; label: string }) {
  const x = (v: number) => 50 + 48 * Math.max(-1, Math.min(1, v / reach));
  return (
    <svg viewBox="0 0 100 12" width="44" height="12" preserveAspectRatio="none" class="difference" role="img" aria-label={label}>
      <title>{label}</title>
      <line class="track" x1="2" x2="98" y1="6" y2="6" />
      <line class="zero" x1="50" x2="50" y1="0" y2="12" />
      <rect class="range" x={x(low)} y="3" width={Math.max(1.5, x(high) - x(low))} height="6" rx="1.5" />
      <line class="mark" x1={x(value)} x2={x(value)} y1="1" y2="11" />
    </svg>
  );
}

/** The course of a figure, beside the figure itself. */
export function Spark({ values, label, width = 96, height = 24, tone = "" }: { values: (number | null)[]; label: string; width?: number; height?: number; tone?: string }) {
  if (values.filter((x) => x != null).length < 2) return null;
  return (
    <svg class={`spark ${tone}`} viewBox={`0 0 ${width} ${height}`} width={width} height={height} role="img" aria-label={label}>
      <title>{label}</title>
      <path d={sparkline(values, width, height)} />
    </svg>
  );
}

/** A share of something, as a bar: load of capacity, users of a PoP. */
export function Bar({ share, label, tone }: { share: number | null | undefined; label: string; tone?: string }) {
  if (share == null) return <span class="unknown">–</span>;
  return (
    <svg class={`bar ${tone ?? (share > 1 ? "bad" : share > 0.8 ? "warn" : "")}`} viewBox="0 0 100 8" width="100" height="8" preserveAspectRatio="none" role="img" aria-label={label}>
      <title>{label}</title>
      <rect class="track" width="100" height="8" rx="2" />
      <rect class="fill" width={Math.max(share > 0 ? 1 : 0, Math.min(100, 100 * share))} height="8" rx="2" />
    </svg>
  );
}
