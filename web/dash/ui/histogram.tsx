import { count, percent, short } from "../lib/format";
import { Table } from "./table";

export interface Bin {
  low: number;
  high: number;
  views: number;
}

const number = (x: number) => (x < 10 ? x.toFixed(1) : Math.round(x).toLocaleString("en-US"));

/** A distribution over bins of ms, with its table. */
export function Histogram({ bins, label }: { bins: Bin[]; label: string }) {
  const all = bins.reduce((sum, b) => sum + b.views, 0);
  if (!all) return <p class="nothing">No round-trip time was measured.</p>;
  const most = Math.max(...bins.map((b) => b.views));
  const [w, h, base] = [480, 180, 160];
  const step = w / bins.length;
  const every = Math.max(1, Math.ceil(bins.length / 8));
  return (
    <figure class="chart">
      <svg class="histogram" viewBox={`0 0 ${w} ${h}`} role="img" aria-label={`${label}: ${short(all)} page views; the table has the figures`}>
        {bins.map((b, i) => (
          <g>
            <title>{`${number(b.low)} to ${number(b.high)} ms: ${count(Math.round(b.views))} page views, ${percent(b.views / all)}`}</title>
            <rect class="hit" x={i * step} y="0" width={step} height={base} />
            <rect class="fill" x={i * step + 0.5} y={base - (base - 6) * (b.views / most)} width={Math.max(0.5, step - 1)} height={(base - 6) * (b.views / most)} />
            {i % every == 0 && (
              <text x={i * step} y={h - 5}>
                {number(b.low)}
              </text>
            )}
          </g>
        ))}
        <line x1="0" x2={w} y1={base} y2={base} />
        <text x={w} y={h - 5} text-anchor="end">
          ms
        </text>
      </svg>
      <details class="figures-of">
        <summary>Figures as a table</summary>
        <Table
          caption={label}
          rows={bins}
          id={(b) => String(b.low)}
          columns={[
            { key: "ms", title: "ms", cell: (b) => `${number(b.low)} to ${number(b.high)}` },
            { key: "views", title: "Page views", num: true, cell: (b) => count(Math.round(b.views)) },
            { key: "share", title: "Share", num: true, cell: (b) => percent(b.views / all) },
          ]}
        />
      </details>
    </figure>
  );
}
