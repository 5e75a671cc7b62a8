// Time series. uPlot draws on a canvas, which screen readers and people who
// copy figures cannot read: every chart has its table behind a disclosure.

import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import { moment, percent } from "../lib/format";
import { useTheme } from "./theme";
import { Table } from "./table";

export interface Series {
  name: string;
  values: (number | null)[];
  /** Custom property that holds its color, without the dashes. */
  color: string;
  dash?: number[];
  /** An interval around it. */
  low?: (number | null)[];
  high?: (number | null)[];
  width?: number;
  points?: boolean;
  /** Goes on with the last value until the next: shares that are set. */
  steps?: boolean;
}

export interface Mark {
  at: number; // seconds since 1970
  text: string;
}

interface Props {
  label: string;
  times: number[]; // seconds since 1970
  series: Series[];
  marks?: Mark[];
  format?: (x: number | null | undefined) => string;
  height?: number;
  range?: [number, number];
  /** Charts with the same key share their cursor. */
  sync?: string;
}

export function TimeChart({ label, times, series, marks = [], format = percent, height = 240, range, sync }: Props) {
  const at = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const theme = useTheme();
  const shape = theme + sync + height + range + series.map((s) => s.name + s.color + !!s.low).join();
  const marksNow = useRef(marks);
  marksNow.current = marks;
  const data = dataOf(times, series);

  useEffect(() => {
    const box = at.current!;
    const css = getComputedStyle(box);
    const color = (name: string) => css.getPropertyValue("--" + name).trim();
    const grid = { stroke: color("line"), width: 1 };
    const font = `12px ${css.fontFamily}`;
    const lines: uPlot.Series[] = [];
    const bands: uPlot.Band[] = [];
    for (const s of series) {
      if (s.low && s.high) {
        const fill = color(s.color) + "2e";
        lines.push({ label: s.name + " high", stroke: "transparent", points: { show: false } }, { label: s.name + " low", stroke: "transparent", points: { show: false } });
        bands.push({ series: [lines.length - 1, lines.length], fill });
      }
      lines.push({
        label: s.name,
        stroke: color(s.color),
        width: s.width ?? 2,
        ...(s.dash && { dash: s.dash }),
        points: { show: s.points ?? times.length < 3, size: 5 },
        ...(s.steps && { paths: uPlot.paths.stepped!({ align: 1 }) }),
        value: (_, v) => format(v),
      });
    }
    const drawMarks = (u: uPlot) => {
      const { ctx, bbox } = u;
      ctx.save();
      ctx.strokeStyle = ctx.fillStyle = color("ink-soft");
      ctx.lineWidth = devicePixelRatio;
      ctx.setLineDash([3 * devicePixelRatio, 3 * devicePixelRatio]);
      ctx.font = `${11 * devicePixelRatio}px ${css.fontFamily}`;
      let free = -Infinity;
      for (const m of marksNow.current) {
        const x = Math.round(u.valToPos(m.at, "x", true));
        if (x < bbox.left || x > bbox.left + bbox.width) continue;
        ctx.beginPath();
        ctx.moveTo(x, bbox.top);
        ctx.lineTo(x, bbox.top + bbox.height);
        ctx.stroke();
        const width = ctx.measureText(m.text).width + 6 * devicePixelRatio;
        if (x < free) continue;
        const left = x + width > bbox.left + bbox.width ? x - width : x + 3 * devicePixelRatio;
        ctx.fillText(m.text, left, bbox.top + 10 * devicePixelRatio);
        free = left + width;
      }
      ctx.restore();
    };
    const u = new uPlot(
      {
        width: box.clientWidth || 600,
        height,
        series: [{ value: (_, v) => (v == null ? "–" : moment(new Date(1000 * v).toISOString())) }, ...lines],
        bands,
        tzDate: (s) => uPlot.tzDate(new Date(1000 * s), "UTC"),
        axes: [
          { stroke: color("ink-soft"), grid, ticks: grid, font, size: 32, space: 72, values: (_, all, __, ___, step) => timeLabels(all, step) },
          { stroke: color("ink-soft"), grid, ticks: grid, font, size: 58, values: (_, all) => all.map((x) => format(x)) },
        ],
        scales: { x: { time: true }, y: range ? { range } : { range: (_, low, high) => padded(low, high) } },
        legend: { show: false },
        cursor: { y: false, drag: { x: false, y: false }, points: { size: 6 }, ...(sync && { sync: { key: sync } }) },
        hooks: { draw: [drawMarks], setCursor: [(u) => readout(u, box, series, format)] },
      },
      data,
      box,
    );
    plot.current = u;
    const watch = new ResizeObserver(() => box.clientWidth && u.setSize({ width: box.clientWidth, height }));
    watch.observe(box);
    return () => {
      watch.disconnect();
      u.destroy();
      plot.current = null;
    };
  }, [shape]);
  const key = times.length + ":" + times.at(-1) + ":" + series.map((s) => s.values.at(-1) + "," + s.values[0]).join(";") + marks.length;
  useEffect(() => plot.current?.setData(data), [key]);

  return (
    <figure class="chart">
      <figcaption>
        {series.map((s) => (
          <span class="key">
            <svg width="22" height="8" aria-hidden="true" class={`of-${s.color}`}>
              <line x1="1" x2="21" y1="4" y2="4" stroke-dasharray={s.dash?.join(" ")} />
            </svg>{" "}
            {s.name}
          </span>
        ))}
        <output class="readout" aria-hidden="true" />
      </figcaption>
      <div ref={at} class="plot" role="img" aria-label={label} />
      <details class="figures-of">
        <summary>Figures as a table</summary>
        <Table
          caption={label}
          rows={times.map((_, i) => times.length - 1 - i)}
          id={String}
          columns={[
            { key: "at", title: "Until", cell: (i) => moment(new Date(1000 * times[i]!).toISOString()) },
            ...series.map((s) => ({
              key: s.name,
              title: s.name,
              num: true,
              cell: (i: number) => format(s.values[i]) + (s.low?.[i] != null && s.high?.[i] != null ? ` (${format(s.low[i])} to ${format(s.high[i])})` : ""),
            })),
          ]}
        />
      </details>
    </figure>
  );
}

const label = (at: number, o: Intl.DateTimeFormatOptions) => new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", ...o }).format(1000 * at);

/** Ticks: the day where one begins, the hour elsewhere. */
const timeLabels = (all: number[], step: number) =>
  all.map((t) => (step >= 86_400 || t % 86_400 == 0 ? label(t, { day: "numeric", month: "short" }) : label(t, { hour: "2-digit", minute: "2-digit" })));

function padded(low: number, high: number): [number, number] {
  if (low == null || high == null) return [0, 1];
  const pad = (high - low || Math.abs(high) || 1) * 0.12;
  return [low >= 0 ? Math.max(0, low - pad) : low - pad, high <= 1 && high > 0.5 ? Math.min(1, high + pad) : high + pad];
}

function dataOf(times: number[], series: Series[]): uPlot.AlignedData {
  const columns: (number | null)[][] = [];
  for (const s of series) {
    if (s.low && s.high) columns.push(s.high, s.low);
    columns.push(s.values);
  }
  return [times, ...columns] as uPlot.AlignedData;
}

function readout(u: uPlot, box: HTMLElement, series: Series[], format: (x: number | null | undefined) => string) {
  const out = box.parentElement?.querySelector(".readout");
  if (!out) return;
  const i = u.cursor.idx;
  out.textContent = i == null ? "" : `${moment(new Date(1000 * u.data[0][i]!).toISOString())}: ${series.map((s) => `${s.name} ${format(s.values[i])}`).join(" · ")}`;
}
