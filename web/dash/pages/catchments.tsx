import { useAPI } from "../lib/api";
import type { Catchments as Answer, CatchmentPlace, Moves, PoPState } from "../lib/contract";
import { count, country, day, ms, network, percent, short } from "../lib/format";
import { href, setQuery, usePlace, withQuery } from "../lib/place";
import { placeName } from "../lib/place-name";
import { palette } from "../lib/scale";
import { schemeName, schemes, schemeInText } from "../lib/scheme";
import { GeoMap, type Arc, type Area } from "../map/map";
import { useShapes, type Shapes } from "../map/shapes";
import { Bar } from "../ui/bars";
import { Choice } from "../ui/choice";
import { Head, Panel } from "../ui/panel";
import { Fresh, Period, periodOf } from "../ui/period";
import { Show } from "../ui/standing";
import { Table } from "../ui/table";

export const schemeOf = (query: URLSearchParams) => (schemes as readonly string[]).includes(query.get("scheme") ?? "") ? query.get("scheme")! : "global";

/** Who reaches which PoP. */
export function Catchments({ pops }: { pops: PoPState[] }) {
  const { query } = usePlace();
  const scheme = schemeOf(query);
  const extent = query.get("map") == "US" ? "US" : "world";
  const asked = withQuery(new URLSearchParams(), { ...periodOf(query), scheme });
  const answer = useAPI<Answer>(href("/api/v1/catchments", asked));
  return (
    <>
      <Head title="Catchments" lead="Which PoP users of each place reach. A PoP’s page says whom it serves, and who of them belongs elsewhere." tools={<Fresh of={answer.data} />} />
      <div class="panel controls">
        <Period />
        <div class="field">
          <span>Scheme</span>
          <Choice name="Scheme" value={scheme} of={schemes.map((s) => [s, schemeName[s]!])} set={(s) => setQuery({ scheme: s == "global" ? "" : s })} />
        </div>
        <div class="field">
          <span>Map</span>
          <Choice name="Map" value={extent} of={[["world", "World"], ["US", "US states"]]} set={(m) => setQuery({ map: m == "world" ? "" : m })} />
        </div>
      </div>
      <Show of={answer} empty={(d) => !d.pops.length}>
        {(d) => (
          <>
            <Panel title={`Catchments under ${schemeInText(scheme)}`} note="A place has the color of the PoP that most of its page views reach; lines lead from places that go to another continent.">
              <CatchmentMap d={d} pops={pops} extent={extent} />
            </Panel>
            <div class="grid">
              <Panel title="PoPs" className="s6">
                <PoPTable d={d} scheme={scheme} query={query} />
              </Panel>
              <Panel title="Places" className="s6">
                <PlaceTable places={d.places} />
              </Panel>
            </div>
          </>
        )}
      </Show>
      <DayDiff scheme={scheme} />
    </>
  );
}

function CatchmentMap({ d, pops, extent }: { d: Answer; pops: PoPState[]; extent: "world" | "US" }) {
  const color = palette(pops.map((p) => p.pop));
  const world = useShapes("world");
  const at = new Map(pops.map((p) => [p.pop, p]));
  const areas = new Map<string, Area>();
  for (const p of d.places) {
    if (extent == "world" ? p.subdivision : p.country != "US" || !p.subdivision) continue;
    const first = p.pops[0];
    if (!first) continue;
    areas.set(extent == "world" ? p.country : p.subdivision!, {
      color: color(first.pop),
      text: `${short(p.views)} page views\n` + p.pops.slice(0, 4).map((x) => `${x.pop} ${percent(x.share, 0)}`).join(", "),
      href: `/catchments/${first.pop}`,
    });
  }
  return (
    <GeoMap
      extent={extent}
      label="Map: the PoP that most page views of each place reach. The table of places has the same."
      areas={areas}
      name={extent == "world" ? country : undefined}
      dots={pops.filter((p) => p.lat != null).map((p) => ({ id: p.pop, lon: p.lon!, lat: p.lat!, label: p.pop, text: `${p.city ?? ""}: ${percent(d.pops.find((x) => x.pop == p.pop)?.share ?? 0)} of page views`, color: color(p.pop), size: 6, href: `/catchments/${p.pop}` }))}
      arcs={extent == "world" && world && !(world instanceof Error) ? astray(d.places, at, world) : []}
    />
  );
}

const farAway = 6000; // km: another continent, mostly

/** Lines from countries to far PoPs that many of their users reach. */
function astray(places: CatchmentPlace[], at: Map<string, PoPState>, world: Shapes): Arc[] {
  const arcs: (Arc & { views: number })[] = [];
  const most = Math.max(1, ...places.map((p) => p.views));
  for (const p of places) {
    if (p.subdivision) continue;
    for (const x of p.pops) {
      const to = at.get(x.pop);
      const from = middleOf(world, p.country);
      if (!to?.lat || !from || x.share < 0.05 || p.views * x.share < most * 0.002) continue;
      if (kilometers(from, [to.lon!, to.lat]) < farAway) continue;
      arcs.push({ from, to: [to.lon!, to.lat], views: p.views * x.share, width: 0.8 + 4 * Math.sqrt((p.views * x.share) / most), text: `${country(p.country)} → ${x.pop}: ${percent(x.share, 0)} of its page views` });
    }
  }
  return arcs.sort((a, b) => b.views - a.views).slice(0, 24);
}

/** Where a country's middle is, [lon, lat]. */
function middleOf(world: Shapes, country: string): [number, number] | undefined {
  const xy = world.middle(country);
  return (xy && world.project.invert?.(xy)) ?? undefined;
}

function kilometers([a, b]: [number, number], [c, d]: [number, number]): number {
  const r = Math.PI / 180;
  return 6371 * Math.acos(Math.min(1, Math.sin(b * r) * Math.sin(d * r) + Math.cos(b * r) * Math.cos(d * r) * Math.cos((a - c) * r)));
}

function PoPTable({ d, scheme, query }: { d: Answer; scheme: string; query: URLSearchParams }) {
  return (
    <Table
      caption={`PoPs under ${schemeName[scheme]}`}
      rows={d.pops}
      id={(p) => p.pop}
      sort={{ key: "share", down: true }}
      columns={[
        { key: "pop", title: "PoP", value: (p) => p.pop, cell: (p) => <a href={href(`/catchments/${p.pop}`, withQuery(query, { map: null, from: null, until: null }))}>{p.pop}</a> },
        { key: "share", title: "Page views", num: true, value: (p) => p.share, cell: (p) => <span class="interval"><span class="value" title={count(p.views)}>{percent(p.share)}</span><Bar share={p.share} label={`${percent(p.share)} of page views`} tone="plain" /></span> },
        { key: "p50", title: "RTT p50", num: true, value: (p) => p.rtt_p50, cell: (p) => ms(p.rtt_p50) },
        { key: "p90", title: "p90", num: true, minor: true, value: (p) => p.rtt_p90, cell: (p) => ms(p.rtt_p90) },
        { key: "wrong", title: "Belong elsewhere", num: true, value: (p) => p.not_optimal, cell: (p) => percent(p.not_optimal) },
      ]}
    />
  );
}

function PlaceTable({ places }: { places: CatchmentPlace[] }) {
  return (
    <Table
      caption="Places and the PoPs that they reach"
      rows={places}
      most={30}
      id={(p) => p.country + "-" + (p.subdivision ?? "")}
      sort={{ key: "views", down: true }}
      columns={[
        { key: "place", title: "Place", value: placeName, cell: placeName },
        { key: "views", title: "Page views", num: true, value: (p) => p.views, cell: (p) => short(p.views) },
        { key: "pops", title: "Reach", value: (p) => p.pops[0]?.pop, cell: (p) => p.pops.slice(0, 4).map((x) => `${x.pop} ${percent(x.share, 0)}`).join(", ") },
      ]}
    />
  );
}

/** What changed between two days. */
function DayDiff({ scheme }: { scheme: string }) {
  const { query } = usePlace();
  const at = (n: number) => new Date(Date.now() - n * 86_400_000).toISOString().slice(0, 10);
  const [from, to] = [query.get("from") ?? at(8), query.get("until") ?? at(1)];
  const answer = useAPI<Moves>(href("/api/v1/catchments/changes", { scheme, from, to }), 0);
  return (
    <Panel
      title="Change between two days"
      tools={
        <>
          <label class="tools">
            From <input type="date" value={from} onChange={(e) => e.currentTarget.value && setQuery({ from: e.currentTarget.value })} />
          </label>
          <label class="tools">
            to <input type="date" value={to} onChange={(e) => e.currentTarget.value && setQuery({ until: e.currentTarget.value })} />
          </label>
        </>
      }
    >
      <Show of={answer} tall={false}>
        {(d) => (
          <>
            <p>
              <strong>{percent(d.moved)}</strong> of page views of {day(d.to)} are of places and networks that reached another PoP on {day(d.from)}.
            </p>
            <Table
              caption={`Catchments that changed between ${d.from} and ${d.to}`}
              rows={d.rows}
              id={(m) => [m.country, m.subdivision, m.asn, m.from_pop, m.to_pop].join("/")}
              empty="No catchment changed."
              sort={{ key: "views", down: true }}
              columns={[
                { key: "who", title: "Who", value: placeName, cell: (m) => [m.asn ? network(m.asn, m.as_name) : "", placeName(m)].filter(Boolean).join(" · ") },
                { key: "pop", title: "From → to", value: (m) => m.from_pop, cell: (m) => <span class="nowrap">{m.from_pop} → {m.to_pop}</span> },
                { key: "views", title: "Page views", num: true, value: (m) => m.views, cell: (m) => short(m.views) },
                { key: "rtt", title: "RTT before → after", num: true, minor: true, value: (m) => (m.rtt_after ?? 0) - (m.rtt_before ?? 0), cell: (m) => `${ms(m.rtt_before)} → ${ms(m.rtt_after)}` },
              ]}
            />
          </>
        )}
      </Show>
    </Panel>
  );
}
