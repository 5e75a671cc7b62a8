import { useAPI } from "../lib/api";
import type { Resolvers as Answer, ResolverRow } from "../lib/contract";
import { country, percent, short } from "../lib/format";
import { href, setQuery, usePlace, withQuery } from "../lib/place";
import { groupName } from "../lib/place-name";
import { ladder, viridis } from "../lib/scale";
import { GeoMap, type Area } from "../map/map";
import { IntervalBar } from "../ui/bars";
import { Head, Panel } from "../ui/panel";
import { Fresh, Period, periodOf } from "../ui/period";
import { Show } from "../ui/standing";
import { parseSort, sortText, Table } from "../ui/table";
import { Choice } from "../ui/choice";

const distance = ladder([50, 100, 250, 500, 1000, 2000], (x) => `${x.toLocaleString("en-US")} km`, [...viridis].reverse());
const km = (x: number | null | undefined) => (x == null ? "–" : `${Math.round(x).toLocaleString("en-US")}\u00a0km`);

const nameOf = (r: ResolverRow) => (r.group.resolver != null ? [r.group.resolver, r.resolver_name].filter(Boolean).join(" ") || "not known" : groupName({ ...r.group, as_name: r.as_name }));

/** How far clients are from the resolvers that DNS answers, and who sends ECS. */
export function Resolvers() {
  const { query } = usePlace();
  const by = query.get("by") ?? "country";
  const asked = withQuery(new URLSearchParams(), { ...periodOf(query), by });
  const answer = useAPI<Answer>(href("/api/v1/resolvers", asked));
  const sort = parseSort(query.get("sort"), "-views");
  return (
    <>
      <Head title="Resolvers" lead="Geo-DNS answers the resolver, not the user, unless the resolver sends the client’s prefix (ECS). Where they are far apart, DNS sends users astray." tools={<Fresh of={answer.data} />} />
      <div class="panel controls">
        <Period />
        <div class="field">
          <span>By</span>
          <Choice name="By" value={by} of={[["country", "Countries"], ["asn", "Networks"], ["resolver", "Resolvers"]]} set={(x) => setQuery({ by: x == "country" ? "" : x })} />
        </div>
      </div>
      <Show of={answer} empty={(d) => !d.rows.length}>
        {(d) => (
          <>
            {by == "country" && (
              <Panel title="Distance of clients from their resolvers" note="Median of page views, by the client’s country.">
                <GeoMap
                  label="Map: median distance of clients from their resolvers by country; the table has the figures"
                  classes={distance}
                  legend="Median distance"
                  name={country}
                  areas={new Map(d.rows.filter((r) => r.group.country && r.km_p50 != null).map((r): [string, Area] => [r.group.country!, { value: r.km_p50, text: `median ${km(r.km_p50)}, p90 ${km(r.km_p90)}\nECS ${percent(r.ecs.share, 0)} of page views` }]))}
                />
              </Panel>
            )}
            <Panel title="Resolvers and their clients">
              <Table<ResolverRow>
                caption="Distance of clients from resolvers, and ECS"
                rows={d.rows}
                id={(r) => JSON.stringify(r.group)}
                sort={sort}
                onSort={(s) => setQuery({ sort: sortText(s) })}
                columns={[
                  { key: "name", title: "Who", value: nameOf, cell: nameOf },
                  { key: "views", title: "Page views", num: true, value: (r) => r.views, cell: (r) => short(r.views) },
                  { key: "known", title: "Resolver known", num: true, minor: true, value: (r) => r.known.share, cell: (r) => percent(r.known.share, 0) },
                  { key: "p50", title: "Distance p50", num: true, value: (r) => r.km_p50, cell: (r) => km(r.km_p50) },
                  { key: "p90", title: "p90", num: true, value: (r) => r.km_p90, cell: (r) => km(r.km_p90) },
                  { key: "ecs", title: "ECS", num: true, value: (r) => r.ecs.share, cell: (r) => <IntervalBar value={r.ecs.share} low={r.ecs.low} high={r.ecs.high} /> },
                  { key: "astray", title: "Far resolver", help: "share of page views whose resolver is nearer to another PoP", num: true, value: (r) => r.astray.share, cell: (r) => <IntervalBar value={r.astray.share} low={r.astray.low} high={r.astray.high} /> },
                  { key: "explained", title: "Explains", help: "share of the page views sent to a wrong PoP that this explains", num: true, minor: true, value: (r) => r.explained?.share, cell: (r) => percent(r.explained?.share, 0) },
                ]}
              />
            </Panel>
          </>
        )}
      </Show>
    </>
  );
}
