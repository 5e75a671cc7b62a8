import { useAPI } from "../lib/api";
import type { Rate, Stability as Answer, StabilityDay } from "../lib/contract";
import { count, country, network, percent, short } from "../lib/format";
import { href, usePlace } from "../lib/place";
import { TimeChart } from "../ui/chart";
import { Badge, Head, Panel } from "../ui/panel";
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
      <Show of={answer} empty={(d) => !d.resets.length && !d.answers.length && !d.days.length}>
        {(d) => (
          <>
            {d.answers.length > 0 && (
              <Panel title="Is TCP over anycast as stable as over unicast?">
                {d.answers.map((a) => <p key={a.vip}>{a.text}</p>)}
              </Panel>
            )}
            <StabilityCharts days={d.days} />
            <Panel title="Slow downloads" note="Downloads of more than a minute, round the clock, over the VIP and as the control over PoPs’ own addresses. Rates are of connections that broke in 1,000 minutes, with 95 % intervals.">
              <Table
                caption="Slow downloads by VIP and network"
                rows={d.networks}
                id={(x) => JSON.stringify(x.group)}
                empty={<>No agent downloads yet: <a href="/docs/synth">run one</a>.</>}
                columns={[
                  { key: "who", title: "Network", value: (x) => x.group.asn, cell: (x) => network(x.group.asn, x.as_name) },
                  { key: "country", title: "Country", value: (x) => x.group.country, cell: (x) => (x.group.country ? country(x.group.country) : "–") },
                  { key: "vip", title: "VIP", value: (x) => x.group.vip, cell: (x) => x.group.vip ?? "–" },
                  { key: "verdict", title: "Verdict", value: (x) => x.verdict, cell: (x) => <Badge tone={tones[x.verdict] ?? "quiet"}>{x.verdict}</Badge> },
                  { key: "like", title: "Looks like", minor: true, cell: (x) => [x.pattern, x.course].filter(Boolean).join(", ") || "–" },
                  { key: "n", title: "Downloads", num: true, value: (x) => x.vip.downloads, cell: (x) => <span title={`${count(x.vip.downloads)} over the VIP, ${count(x.unicast.downloads)} over unicast`}>{short(x.vip.downloads)}</span> },
                  { key: "broken", title: "Broken", num: true, value: (x) => x.vip.broken, cell: (x) => count(x.vip.broken) },
                  { key: "rate", title: "Over the VIP", num: true, value: (x) => x.vip.rate.per_minute, cell: (x) => rate(x.vip.rate) },
                  { key: "control", title: "Over unicast", num: true, value: (x) => x.unicast.rate.per_minute, cell: (x) => rate(x.unicast.rate) },
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

const tones: Record<string, "good" | "bad" | "warn" | "quiet"> = { stable: "good", unstable: "bad", "unicast too": "warn" };

const thousand = (x: number) => (1000 * x).toPrecision(2);
const rate = (r: Rate) => (r.per_minute == null ? "–" : <span class="nowrap" title={r.low == null || r.high == null ? "" : `95 % interval ${thousand(r.low)} to ${thousand(r.high)}`}>{thousand(r.per_minute)}{r.low != null && r.high != null && <small> ({thousand(r.low)}–{thousand(r.high)})</small>}</span>);

const figure = (x: number | null | undefined) => (x == null ? "–" : x.toPrecision(2));

/** What broke and what was reset, by UTC day: what of it was measured. */
export function StabilityCharts({ days, height = 200 }: { days: StabilityDay[]; height?: number }) {
  const times = days.map((x) => Date.parse(x.day) / 1000);
  return (
    <>
      {days.some((x) => x.vips != null || x.unicast != null) && (
        <Panel title="Broken downloads" note="In 1,000 minutes of connection, by UTC day.">
          <TimeChart
            label="Broken downloads in 1,000 minutes of connection by day, over VIPs and over unicast"
            times={times}
            series={[
              { name: "Over VIPs", color: "global", values: days.map((x) => x.vips) },
              { name: "Over unicast", color: "unicast", dash: [8, 4], values: days.map((x) => x.unicast) },
            ]}
            format={figure}
            height={height}
          />
        </Panel>
      )}
      {days.some((x) => x.per_hour != null) && (
        <Panel title="Resets" note="Connections of another PoP that were reset, an hour, by UTC day.">
          <TimeChart label="Resets per hour by day" times={times} series={[{ name: "Resets per hour", color: "accent", values: days.map((x) => x.per_hour) }]} format={(x) => (x == null ? "–" : short(x))} height={height} />
        </Panel>
      )}
    </>
  );
}
