import { useAPI } from "../lib/api";
import type { Overview as Answer, PlaceLost, PoPState, SchemeOverview } from "../lib/contract";
import { count, country, ms, percent, points, short } from "../lib/format";
import { href, setQuery, usePlace } from "../lib/place";
import { placeName } from "../lib/place-name";
import { lost } from "../lib/scale";
import { schemeHelp, schemeInText, schemeName, schemes } from "../lib/scheme";
import { GeoMap, type Area, type Dot } from "../map/map";
import { Bar, Spark } from "../ui/bars";
import { TimeChart } from "../ui/chart";
import { Choice } from "../ui/choice";
import { Figure, Figures, Head, Panel } from "../ui/panel";
import { Fresh } from "../ui/period";
import { PoPBadge } from "../ui/pop";
import { Show } from "../ui/standing";
import { Table } from "../ui/table";
import { open, type Status } from "./ramp-types";
import { RampTable } from "./ramps";

/** Whether there are no figures at all. */
const without = (d: Answer) => !d.views && !d.places.length;

/** What an operator keeps on the second screen. */
export function Overview({ pops }: { pops: PoPState[] }) {
  const answer = useAPI<Answer>("/api/v1/overview");
  const ramps = useAPI<Status[]>("/api/v1/ramps");
  const { query } = usePlace();
  const scheme = query.get("scheme") ?? "unicast";
  const extent = query.get("map") == "US" ? "US" : "world";
  // What is done does not wait for what is measured: these are here in any case.
  const openRamps = (
    <Panel title="Open ramps" tools={<a href="/ramps">Ramps</a>}>
      <Show of={ramps} tall={false}>{(all) => <RampTable ramps={all.filter(open)} />}</Show>
    </Panel>
  );
  const allPoPs = (
    <Panel title="PoPs" className="s5" tools={<a href="/pops">All about them</a>}>
      <PoPs pops={pops} />
    </Panel>
  );
  return (
    <>
      <Head title="Overview" lead="Where users are, where they should be, and what is under way." tools={<Fresh of={answer.data} />} />
      <Show of={answer} empty={without}>
        {(d) => (
          <>
            <Figures>
              <Figure name="Page views today" value={short(d.views)} detail={d.views_before != null && `${short(d.views_before)} by this time a week ago`} />
              {schemes.map((s) => d.schemes[s] && <SchemeFigure name={s} of={d.schemes[s]} />)}
            </Figures>
            <div class="grid">
              <Panel
                title="Where users are lost"
                className="s7"
                note={`Share of page views that do not reach an optimal PoP under ${schemeInText(scheme)}.`}
                tools={
                  <>
                    <Choice name="Scheme" value={scheme} of={schemes.map((s) => [s, schemeName[s]!])} set={(s) => setQuery({ scheme: s == "unicast" ? "" : s })} />
                    <Choice name="Map" value={extent} of={[["world", "World"], ["US", "US states"]]} set={(m) => setQuery({ map: m == "world" ? "" : m })} />
                  </>
                }
              >
                <LostMap places={d.places} pops={pops} scheme={scheme} extent={extent} />
              </Panel>
              <Panel title="Most lost" className="s5" note="Page views not at an optimal PoP: countries, and subdivisions of large ones.">
                <MostLost places={d.places} scheme={scheme} extent={extent} />
              </Panel>
            </div>
            <div class="grid">
              <div class="column s7">
                <Panel title="The last days" note="Share of page views at an optimal PoP, by UTC day, with 95 % intervals.">
                  <Days schemes={d.schemes} />
                </Panel>
                {openRamps}
                <Panel title="Stability" tools={<a href="/stability">More</a>}>
                  <StabilityLine of={d.stability} />
                </Panel>
              </div>
              {allPoPs}
            </div>
          </>
        )}
      </Show>
      {(answer.error || answer.data && without(answer.data)) && (
        <div class="grid">
          <div class="column s7">{openRamps}</div>
          {allPoPs}
        </div>
      )}
    </>
  );
}

function SchemeFigure({ name, of: s }: { name: string; of: SchemeOverview }) {
  const delta = s.optimal != null && s.before != null ? s.optimal - s.before : null;
  return (
    <Figure
      name={schemeName[name]!}
      tone={name}
      value={<span title={schemeHelp[name]}>{percent(s.optimal)}</span>}
      detail={
        <>
          optimal
          {delta != null && (
            <>
              , <span class={`delta ${Math.abs(delta) < 0.0005 ? "" : delta > 0 ? "up" : "down"}`}>{Math.abs(delta) < 0.0005 ? "as" : `${delta > 0 ? "▲" : "▼"} ${points(delta)}`}</span> a week ago
            </>
          )}
          <br />
          lost p50 {ms(s.penalty_p50)}, p90 {ms(s.penalty_p90)}
        </>
      }
    >
      <Spark values={s.days.map((x) => x.optimal)} tone={name} label={`${schemeName[name]}: share optimal by day`} />
    </Figure>
  );
}

const notOptimal = (p: PlaceLost, scheme: string) => {
  const x = p.schemes[scheme]?.optimal;
  return x == null ? null : 1 - x;
};

function LostMap({ places, pops, scheme, extent }: { places: PlaceLost[]; pops: PoPState[]; scheme: string; extent: "world" | "US" }) {
  const areas = new Map<string, Area>();
  for (const p of places) {
    if (extent == "world" ? p.subdivision : p.country != "US" || !p.subdivision) continue;
    const x = p.schemes[scheme];
    if (!x || x.optimal == null) continue;
    areas.set(extent == "world" ? p.country : p.subdivision!, {
      value: notOptimal(p, scheme),
      text: `${percent(1 - x.optimal)} not optimal of ${short(p.views)} page views${x.wrong_pop && 1 - x.optimal > 0.005 ? `\nmost of them reach ${x.wrong_pop}${x.best_pop == x.wrong_pop ? "" : ` instead of ${x.best_pop}`}` : ""}`,
      href: href("/compare", extent == "world" ? { by: "subdivision", country: p.country } : { by: "asn", country: p.country, subdivision: p.subdivision }),
    });
  }
  const dots: Dot[] = pops.filter((p) => p.lat != null).map((p) => ({ id: p.pop, lon: p.lon!, lat: p.lat!, label: p.pop, text: `${p.city ?? ""} ${p.state}`, tone: popTone(p), href: `/catchments/${p.pop}`, size: 4.5 }));
  return <GeoMap extent={extent} label={`Map: share of page views that do not reach an optimal PoP under ${schemeInText(scheme)}. The figures are in the table beside it and under Compare.`} areas={areas} classes={lost} legend="Not at an optimal PoP" dots={dots} name={extent == "world" ? country : undefined} />;
}

export const popTone = (p: PoPState) => (p.state == "down" ? "bad" : p.drain || p.shed ? "warn" : p.state == "up" ? "" : "quiet");

function MostLost({ places, scheme, extent }: { places: PlaceLost[]; scheme: string; extent: string }) {
  const rows = places
    .filter((p) => (extent == "US" ? p.country == "US" && p.subdivision : !p.subdivision || !places.some((q) => q.country == p.country && !q.subdivision)))
    .map((p) => ({ p, lost: (notOptimal(p, scheme) ?? 0) * p.views, share: notOptimal(p, scheme) }))
    .filter((x) => x.lost > 0)
    .sort((a, b) => b.lost - a.lost)
    .slice(0, 10);
  return (
    <Table
      caption="Places with most page views not at an optimal PoP"
      rows={rows}
      id={({ p }) => p.country + (p.subdivision ?? "")}
      empty="Nobody is: every page view reaches an optimal PoP."
      columns={[
        { key: "place", title: "Place", value: ({ p }) => placeName(p), cell: ({ p }) => <a href={href("/compare", p.subdivision ? { by: "asn", country: p.country, subdivision: p.subdivision } : { by: "subdivision", country: p.country })}>{placeName(p)}</a> },
        { key: "share", title: "Lost", num: true, value: (x) => x.share, cell: (x) => percent(x.share) },
        { key: "views", title: "Page views", num: true, value: (x) => x.lost, cell: (x) => <span title={count(x.lost)}>{short(Math.round(x.lost))}</span> },
        { key: "pop", title: "Reach → should", cell: ({ p }) => { const x = p.schemes[scheme]; return x?.wrong_pop ? <span class="nowrap">{x.wrong_pop} → {x.best_pop == x.wrong_pop ? "another" : x.best_pop || "?"}</span> : "–"; } },
      ]}
    />
  );
}

function Days({ schemes: all }: { schemes: Record<string, SchemeOverview> }) {
  const days = [...new Set(Object.values(all).flatMap((s) => s.days.map((d) => d.day)))].sort();
  if (days.length < 2) return <p class="nothing">A line needs two days of page views.</p>;
  const dash: Record<string, number[] | undefined> = { unicast: undefined, global: [8, 4], regional: [2, 3] };
  return (
    <TimeChart
      label="Share of page views at an optimal PoP by day and scheme"
      times={days.map((d) => Date.parse(d) / 1000)}
      series={schemes
        .filter((s) => all[s])
        .map((s) => {
          const of = new Map(all[s]!.days.map((d) => [d.day, d]));
          return { name: schemeName[s]!, color: s, dash: dash[s], values: days.map((d) => of.get(d)?.optimal ?? null), low: days.map((d) => of.get(d)?.low ?? null), high: days.map((d) => of.get(d)?.high ?? null) };
        })}
      height={230}
    />
  );
}

function PoPs({ pops }: { pops: PoPState[] }) {
  return (
    <Table
      caption="PoPs"
      rows={pops}
      id={(p) => p.pop}
      columns={[
        { key: "pop", title: "PoP", value: (p) => p.pop, cell: (p) => <a href={`/catchments/${p.pop}`} title={p.city}>{p.pop}</a> },
        { key: "state", title: "State", value: (p) => p.state, cell: (p) => <PoPBadge pop={p} /> },
        {
          key: "load",
          title: "Load",
          num: true,
          value: (p) => p.load,
          cell: (p) => (p.load == null ? <span class="unknown">–</span> : p.capacity ? <span class="interval"><span class="value">{percent(p.load / p.capacity, 0)}</span><Bar share={p.load / p.capacity} label={`${count(p.load)} of ${count(p.capacity)} requests/s`} /></span> : `${short(p.load)}/s`),
        },
      ]}
    />
  );
}

function StabilityLine({ of: s }: { of?: Answer["stability"] }) {
  const days = s?.days ?? [];
  if (!days.length) return <p class="nothing">{s?.hint ?? "Nothing measures stability yet: run catchment synth, or the reset watcher of PoPs."}</p>;
  const downloads = days.some((x) => x.vips != null);
  return (
    <TimeChart
      label={downloads ? "Broken downloads in 1,000 minutes of connection by day" : "Resets per hour by day"}
      times={days.map((x) => Date.parse(x.day) / 1000)}
      series={
        downloads
          ? [
              { name: "Broken in 1,000 min over VIPs", color: "global", values: days.map((x) => x.vips) },
              { name: "over unicast", color: "unicast", dash: [8, 4], values: days.map((x) => x.unicast) },
            ]
          : [{ name: "Resets per hour", color: "accent", values: days.map((x) => x.per_hour) }]
      }
      format={(x) => (x == null ? "–" : x.toPrecision(2))}
      height={180}
    />
  );
}
