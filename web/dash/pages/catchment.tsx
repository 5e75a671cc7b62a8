import { useAPI } from "../lib/api";
import type { PoPCatchment, PoPState } from "../lib/contract";
import { count, ms, network, percent, short } from "../lib/format";
import { href, setQuery, usePlace } from "../lib/place";
import { placeName } from "../lib/place-name";
import { schemeName, schemes, schemeInText } from "../lib/scheme";
import { Histogram } from "../ui/histogram";
import { Figure, Figures, Head, Panel } from "../ui/panel";
import { Fresh, Period, periodOf } from "../ui/period";
import { PoPBadge } from "../ui/pop";
import { Notice, Show } from "../ui/standing";
import { Table } from "../ui/table";
import { schemeOf } from "./catchments";
import { Choice } from "../ui/choice";

/** One PoP: whom it serves, how far they are, and who of them belongs elsewhere. */
export function Catchment({ id, pops }: { id: string; pops: PoPState[] }) {
  const { query } = usePlace();
  const scheme = schemeOf(query);
  const answer = useAPI<PoPCatchment>(href(`/api/v1/catchments/${encodeURIComponent(id)}`, { ...periodOf(query), scheme }));
  const pop = pops.find((p) => p.pop == id);
  return (
    <>
      <nav class="crumbs" aria-label="Where this is">
        <ol>
          <li>
            <a href="/catchments">Catchments</a>
          </li>
          <li aria-current="page">{id}</li>
        </ol>
      </nav>
      <Head title={id} lead={pop && [pop.city, pop.country].filter(Boolean).join(", ")} tools={<>{pop && <PoPBadge pop={pop} />}<Fresh of={answer.data} /></>} />
      {!pop && pops.length > 0 && answer.data?.state != "gone" && !answer.error && (
        <Notice tone="warn" title={`${id} is not in the fleet (any more).`}>
          What follows is of the days when it was. <a href="/pops">The PoPs that there are</a>
        </Notice>
      )}
      <div class="panel controls">
        <Period />
        <div class="field">
          <span>Scheme</span>
          <Choice name="Scheme" value={scheme} of={schemes.map((s) => [s, schemeName[s]!])} set={(s) => setQuery({ scheme: s == "global" ? "" : s })} />
        </div>
      </div>
      <Show of={answer} empty={(d) => !d.views}>
        {(d) => (
          <>
            <Figures>
              <Figure name="Page views" value={short(d.views)} detail={`${percent(d.share)} of all under ${schemeInText(scheme)}`} />
              <Figure name="RTT p50" value={ms(d.rtt_p50)} detail={`p90 ${ms(d.rtt_p90)}`} />
              <Figure name="Belong elsewhere" value={percent(d.not_optimal)} detail="of its page views have a better PoP" />
            </Figures>
            <div class="grid">
              <Panel title="Round-trip times" className="s5">
                <Histogram bins={d.rtt} label={`Round-trip times of page views at ${id}`} />
              </Panel>
              <Panel title="Belong elsewhere" className="s7" note="Arrivals that have a better PoP, by page views.">
                <Table
                  caption="Arrivals that belong elsewhere"
                  rows={d.elsewhere}
                  id={(x) => [x.country, x.subdivision, x.asn, x.best_pop].join("/")}
                  sort={{ key: "views", down: true }}
                  empty="Nobody does: it is an optimal PoP for whoever reaches it."
                  columns={[
                    { key: "who", title: "Who", value: placeName, cell: (x) => [x.asn ? network(x.asn, x.as_name) : "", placeName(x)].filter(Boolean).join(" · ") },
                    { key: "best", title: "Best PoP", value: (x) => x.best_pop, cell: (x) => <a href={`/catchments/${x.best_pop}`}>{x.best_pop}</a> },
                    { key: "views", title: "Page views", num: true, value: (x) => x.views, cell: (x) => short(x.views) },
                    { key: "penalty", title: "Lost each", num: true, value: (x) => x.penalty, cell: (x) => ms(x.penalty) },
                  ]}
                />
              </Panel>
            </div>
            <div class="grid">
              <Panel title="Places" className="s6">
                <Table
                  caption={`Places that ${id} serves`}
                  rows={d.places}
                  id={(x) => x.country + (x.subdivision ?? "")}
                  sort={{ key: "views", down: true }}
                  columns={[
                    { key: "place", title: "Place", value: placeName, cell: placeName },
                    { key: "views", title: "Page views", num: true, value: (x) => x.views, cell: (x) => <span title={count(x.views)}>{short(x.views)}</span> },
                    { key: "share", title: "Of the PoP’s", num: true, value: (x) => x.share, cell: (x) => percent(x.share) },
                  ]}
                />
              </Panel>
              <Panel title="Networks" className="s6">
                <Table
                  caption={`Networks that ${id} serves`}
                  rows={d.networks}
                  id={(x) => String(x.asn)}
                  sort={{ key: "views", down: true }}
                  columns={[
                    { key: "network", title: "Network", value: (x) => x.as_name || String(x.asn), cell: (x) => network(x.asn, x.as_name) },
                    { key: "views", title: "Page views", num: true, value: (x) => x.views, cell: (x) => <span title={count(x.views)}>{short(x.views)}</span> },
                    { key: "share", title: "Of the PoP’s", num: true, value: (x) => x.share, cell: (x) => percent(x.share) },
                  ]}
                />
              </Panel>
            </div>
          </>
        )}
      </Show>
    </>
  );
}
