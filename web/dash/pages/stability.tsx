import { useAPI } from "../lib/api";
import type { Stability as Answer } from "../lib/contract";
import { count, country, network, percent, short } from "../lib/format";
import { href, usePlace } from "../lib/place";
import { schemeName } from "../lib/scheme";
import { IntervalBar } from "../ui/bars";
import { TimeChart } from "../ui/chart";
import { Head, Panel } from "../ui/panel";
import { Fresh, Period, periodOf } from "../ui/period";
import { Show } from "../ui/standing";
import { Table } from "../ui/table";

/** Whether connections survive anycast: slow downloads, and resets that PoPs see. */
export function Stability() {
  const { query } = usePlace();
  const answer = useAPI<Answer>(href("/api/v1/stability", periodOf(query)));
  return (
    <>
      <Head title="Stability" lead="Whether TCP survives: slow downloads over each VIP that break, and connections that a PoP sees as another’s." tools={<Fresh of={answer.data} />} />
      <div class="panel controls">
        <Period />
      </div>
      <Show of={answer} empty={(d) => !d.resets.length && !d.downloads?.length}>
        {(d) => (
          <>
            {!!d.days?.length && (
              <Panel title="Over time">
                <TimeChart label="Resets per hour by day" times={d.days.map((x) => Date.parse(x.day) / 1000)} series={[{ name: "Resets per hour", color: "accent", values: d.days.map((x) => x.per_hour) }]} format={(x) => (x == null ? "–" : short(x))} />
              </Panel>
            )}
            <Panel title="Slow downloads" note="Downloads of more than a minute, round the clock; failed ones with 95 % intervals.">
              <Table
                caption="Slow downloads by scheme"
                rows={d.downloads ?? []}
                id={(x) => x.scheme + x.country}
                empty={<>No agent downloads yet: <a href="/docs/synth">run one</a>.</>}
                columns={[
                  { key: "scheme", title: "Scheme", value: (x) => x.scheme, cell: (x) => schemeName[x.scheme] ?? x.scheme },
                  { key: "country", title: "From", value: (x) => x.country, cell: (x) => (x.country ? country(x.country) : "all") },
                  { key: "n", title: "Downloads", num: true, value: (x) => x.downloads, cell: (x) => count(x.downloads) },
                  { key: "failed", title: "Failed", num: true, value: (x) => x.share, cell: (x) => <IntervalBar value={x.share} low={x.low} high={x.high} to={0.1} /> },
                ]}
              />
            </Panel>
            <Panel title="Resets" note="Packets of connections that another PoP holds: their routes changed under way.">
              <Table
                caption="Resets by VIP and network"
                rows={d.resets}
                id={(x) => JSON.stringify(x.group)}
                empty={<>No PoP watches for resets yet. <a href="/docs/resets">How to</a></>}
                sort={{ key: "resets", down: true }}
                columns={[
                  { key: "who", title: "Network", value: (x) => x.group.asn, cell: (x) => network(x.group.asn, x.as_name) },
                  { key: "country", title: "Country", value: (x) => x.group.country, cell: (x) => (x.group.country ? country(x.group.country) : "–") },
                  { key: "vip", title: "VIP", value: (x) => x.group.vip, cell: (x) => x.group.vip ?? "–" },
                  { key: "pops", title: "From → to", cell: (x) => <span class="nowrap">{x.group.from || "?"} → {x.group.to || "?"}</span> },
                  { key: "resets", title: "Resets", num: true, value: (x) => x.resets, cell: (x) => count(x.resets) },
                  { key: "hour", title: "An hour", num: true, value: (x) => x.per_hour, cell: (x) => (x.per_hour == null ? "–" : x.per_hour.toPrecision(2)) },
                  { key: "confirmed", title: "Confirmed", num: true, minor: true, cell: (x) => (x.sampled ? percent((x.confirmed ?? 0) / x.sampled, 0) : "–") },
                ]}
              />
            </Panel>
          </>
        )}
      </Show>
    </>
  );
}
