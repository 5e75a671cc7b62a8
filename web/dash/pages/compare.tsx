import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { useAPI } from "../lib/api";
import type { Comparison, Row } from "../lib/contract";
import { continent, country, count, ms, network, points, short } from "../lib/format";
import { href, setQuery, usePlace, withQuery } from "../lib/place";
import { extent } from "../lib/scale";
import { schemeName, schemes } from "../lib/scheme";
import { DifferenceBar, IntervalBar } from "../ui/bars";
import { Copy } from "../ui/dialog";
import { Fresh, Period, periodOf } from "../ui/period";
import { Head, Panel } from "../ui/panel";
import { Notice, Show } from "../ui/standing";
import { parseSort, sortText, Table, type Column } from "../ui/table";
import { Verdict } from "../ui/verdict";

const levels = ["continent", "country", "subdivision", "asn"] as const;
type Level = (typeof levels)[number];
const levelName: Record<Level, string> = { continent: "Continents", country: "Countries", subdivision: "Subdivisions", asn: "Networks" };

/** What a drill is within: the keys of the groups it came through. */
interface Within {
  continent?: string;
  country?: string;
  subdivision?: string;
}

/** The table of the method: geography by scheme, with intervals and verdicts. */
export function Compare() {
  const { query } = usePlace();
  const by = (levels as readonly string[]).includes(query.get("by") ?? "") ? (query.get("by") as Level) : "country";
  const within: Within = { continent: query.get("continent") ?? undefined, country: query.get("country") ?? undefined, subdivision: query.get("subdivision") ?? undefined };
  const filter = query.get("filter") ?? "";
  const sort = parseSort(query.get("sort"), "-views");
  const asked = withQuery(new URLSearchParams(), { ...periodOf(query), by: by == "subdivision" ? "country,subdivision" : by, ...within });
  // Networks are too many to be sent all: those that are sent, the API sorts and filters.
  const wanted = useLater(filter, 250);
  const sent = by == "asn" ? withQuery(asked, { q: wanted, sort: sortText(sort), limit: most }) : asked;
  const now = useAPI<Comparison>(href("/api/v1/compare", sent));
  // While another order or filter of the same view is awaited, what was there stays.
  const last = useRef<{ view: string; data?: Comparison }>({ view: "" });
  const view = asked.toString();
  if (now.data || last.current.view != view) last.current = { view, data: now.data };
  const answer = now.data || now.error ? now : { ...now, data: last.current.data };
  return (
    <>
      <Head title="Compare" lead="Which share of page views reaches an optimal PoP under each scheme, with 95 % intervals, and what to make of it." tools={<Fresh of={answer.data} />} />
      <div class="panel controls">
        <Period />
        <div class="field">
          <span id="by-label">By</span>
          <div class="segments" role="group" aria-labelledby="by-label">
            {levels.map((l) => (
              <a href={href("/compare", withQuery(query, { by: l, filter: null }))} aria-current={l == by ? "true" : undefined} data-keep-scroll="">
                {levelName[l]}
              </a>
            ))}
          </div>
        </div>
        <label class="field grow">
          <span>Filter</span>
          <input type="search" value={filter} placeholder="name, code or AS number" onInput={(e) => setQuery({ filter: e.currentTarget.value })} />
        </label>
        <span class="tools">
          <a class="button" href={href("/api/v1/compare", withQuery(asked, { format: "csv" }))} download="compare.csv">
            CSV
          </a>
          <Copy text={location.href} label="Copy link" />
        </span>
      </div>
      <Crumbs within={within} query={query} by={by} />
      <Panel title={levelName[by]}>
        <Show of={answer} empty={(d) => !d.rows.length && !filter}>{(d) => (
            <>
              {d.total > d.rows.length && <p class="note">{count(d.rows.length)} of {count(d.total)} are here. Sort and filter to see others; the CSV has them all.</p>}
              <Rows rows={d.rows} by={by} filter={by == "asn" ? "" : filter} sort={sort} query={query} margin={d.margin} />
            </>
          )}</Show>
      </Panel>
    </>
  );
}

/** How many networks are asked for. */
const most = 500;

/** A value once it has not changed for so many ms. */
function useLater<T>(value: T, ms: number): T {
  const [later, set] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => set(value), ms);
    return () => clearTimeout(timer);
  }, [value]);
  return later;
}

const drop: Record<string, null> = { filter: null };

function Crumbs({ within, query, by }: { within: Within; query: URLSearchParams; by: Level }) {
  if (!within.continent && !within.country && !within.subdivision) return null;
  const to = (set: Record<string, string | null>) => href("/compare", withQuery(query, { ...drop, ...set }));
  const parts: [string, string][] = [["The world", to({ by: "continent", continent: null, country: null, subdivision: null })]];
  if (within.continent) parts.push([continent(within.continent), to({ by: "country", country: null, subdivision: null })]);
  if (within.country) parts.push([country(within.country), to({ by: "subdivision", subdivision: null })]);
  if (within.subdivision) parts.push([within.subdivision, to({ by: "asn" })]);
  return (
    <nav class="crumbs" aria-label="Drilled down to">
      <ol>
        {parts.map(([name, link]) => (
          <li>
            <a href={link}>{name}</a>
          </li>
        ))}
        <li aria-current="page">{levelName[by].toLowerCase()}</li>
      </ol>
    </nav>
  );
}

/** Where a row leads: one level deeper. */
function deeper(r: Row, by: Level, query: URLSearchParams): string | null {
  const g = r.group;
  const to = (set: Record<string, string | undefined>) => href("/compare", withQuery(query, { ...drop, ...set }));
  switch (by) {
    case "continent":
      return g.continent ? to({ by: "country", continent: g.continent }) : null;
    case "country":
      return g.country ? to({ by: "subdivision", country: g.country }) : null;
    case "subdivision":
      return g.country ? to({ by: "asn", country: g.country, subdivision: g.subdivision }) : null;
  }
  return null;
}

function nameOf(r: Row, by: Level): string {
  const g = r.group;
  if (by == "continent") return g.continent ? continent(g.continent) : "unknown";
  if (by == "country") return g.country ? country(g.country) : "unknown";
  if (by == "subdivision") return g.subdivision ? `${g.subdivision}, ${country(g.country ?? "")}` : `${country(g.country ?? "")}, rest`;
  return g.asn ? network(g.asn, g.as_name ?? r.as_name) : "unknown";
}

function Rows({ rows, by, filter, sort, query, margin }: { rows: Row[]; by: Level; filter: string; sort: { key: string; down: boolean }; query: URLSearchParams; margin?: number }) {
  const named = useMemo(() => rows.map((r) => ({ ...r, name: nameOf(r, by) })), [rows, by]);
  const wanted = filter.trim().toLowerCase();
  const shown = wanted ? named.filter((r) => `${r.name} ${Object.values(r.group).join(" ")} ${r.best_pop ?? ""}`.toLowerCase().includes(wanted)) : named;
  const [from, to] = extent(shown.slice(0, 400).flatMap((r) => schemes.flatMap((s) => [r.schemes[s]?.low, r.schemes[s]?.high])), 0.1);
  const reach = Math.max(0.1, ...shown.slice(0, 400).flatMap((r) => Object.values(r.difference ?? {}).flatMap((d) => (d ? [Math.abs(d.low), Math.abs(d.high)] : []))).filter((x) => x < 1));
  const columns: Column<Row & { name: string }>[] = [
    {
      key: "name",
      title: levelName[by].replace(/ies$/, "y").replace(/s$/, ""),
      value: (r) => r.name,
      cell: (r) => {
        const to = deeper(r, by, query);
        return to ? <a href={to}>{r.name}</a> : r.name;
      },
    },
    { key: "views", title: "Page views", num: true, value: (r) => r.views, cell: (r) => <span title={count(r.views)}>{short(r.views)}</span> },
    ...schemes.map((s) => ({
      key: s,
      title: schemeName[s]!,
      help: "share of page views that reach an optimal PoP",
      num: true,
      value: (r: Row) => r.schemes[s]?.optimal,
      cell: (r: Row) => {
        const x = r.schemes[s];
        return x ? <IntervalBar value={x.optimal} low={x.low} high={x.high} from={from} to={to} tone={s} /> : "–";
      },
    })),
    ...(["global", "regional"] as const).map((s) => ({
      key: "diff-" + s,
      title: s == "global" ? "Global − DNS" : "Regional − DNS",
      help: "verdict and difference in points, paired within page views",
      num: true,
      value: (r: Row) => r.difference?.[s]?.difference,
      cell: (r: Row) => {
        const d = r.difference?.[s];
        const verdict = <Verdict verdict={r.verdicts?.[s]} scheme={s} difference={d} />;
        if (!d || d.difference == null) return verdict;
        return (
          <span class="interval">
            {verdict}
            <span class="value">{points(d.difference)}</span>
            <DifferenceBar value={d.difference} low={d.low} high={d.high} reach={reach} label={`${points(d.difference)} points, 95 % interval ${points(d.low)} to ${points(d.high)}`} />
          </span>
        );
      },
    })),
    {
      key: "penalty",
      title: "Lost",
      help: "ms lost against the best PoP under geo-DNS: median and 90th percentile of page views",
      num: true,
      minor: true,
      value: (r) => r.schemes["unicast"]?.penalty_p90,
      cell: (r) => `${ms(r.schemes["unicast"]?.penalty_p50).replace("\u00a0ms", "")}, ${ms(r.schemes["unicast"]?.penalty_p90)}`,
    },
    { key: "best", title: "Best PoP", value: (r) => r.best_pop || null, cell: (r) => (r.best_pop ? <a href={`/catchments/${r.best_pop}`}>{r.best_pop}</a> : "–") },
  ];
  return (
    <>
      <p class="note">
        Bars run from {Math.round(100 * from)} % to {Math.round(100 * to)} %. A verdict needs the whole interval beyond {Math.round(100 * (margin ?? 0.05))} points. <a href="/docs/method">The method</a>
      </p>
      {shown.length ? (
        <Table caption={`${levelName[by]} by scheme`} columns={columns} rows={shown} id={(r) => JSON.stringify(r.group)} sort={sort} onSort={(s) => setQuery({ sort: sortText(s) })} presorted={by == "asn"} most={60} />
      ) : (
        <Notice title="Nothing matches the filter." tools={<button onClick={() => setQuery({ filter: "" })}>Show all</button>} />
      )}
    </>
  );
}
