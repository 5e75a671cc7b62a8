import { useState } from "preact/hooks";
import { send, useAPI } from "../lib/api";
import { ago, count, duration, moment, ms, network, percent, seconds, short } from "../lib/format";
import { navigate, setQuery, usePlace } from "../lib/place";
import { extent } from "../lib/scale";
import { useActing } from "../lib/session";
import { schemeName } from "../lib/scheme";
import { IntervalBar } from "../ui/bars";
import { TimeChart } from "../ui/chart";
import { Confirm } from "../ui/dialog";
import { Badge, Figure, Figures, Head, Panel } from "../ui/panel";
import { Notice, Show } from "../ui/standing";
import { Table } from "../ui/table";
import { actionName, metricName, phaseName, phaseTone, type ArmRate, type Chart, type Check, type Look, type Progress, type Status, type Value } from "./ramp-types";
import { RampBadge, RecentSpark } from "./ramps";

type Action = { order: "pause" | "resume" | "rollback" | "abort" | "set"; geography?: string };

/** One ramp: the pilot chart, its arms, its guardrails, and what was decided. */
export function Ramp({ id }: { id: string }) {
  const base = "/api/v1/ramps/" + encodeURIComponent(id);
  const { query } = usePlace();
  const every = query.get("every") ?? "1h";
  const status = useAPI<Status>(base, 10_000);
  const chart = useAPI<Chart>(`${base}/chart?every=${encodeURIComponent(every)}`);
  const log = useAPI<{ looks: Look[] | null }>(`${base}/log?limit=200`);
  const [action, act] = useState<Action>();
  const chosen = query.get("geography") ?? "";
  const r = status.data;
  const acting = useActing();
  return (
    <>
      <nav class="crumbs" aria-label="Where this is">
        <ol>
          <li>
            <a href="/ramps">Ramps</a>
          </li>
          <li aria-current="page">{id}</li>
        </ol>
      </nav>
      <Head
        title={id}
        lead={r && `${r.service}: ${schemeName[r.from] ?? r.from} → ${schemeName[r.to] ?? r.to}`}
        tools={
          r && (
            <>
              <RampBadge ramp={r} />
              {r.paused ? <button {...acting} onClick={() => act({ order: "resume" })}>Resume…</button> : <button {...acting} onClick={() => act({ order: "pause" })}>Pause…</button>}
              <button class="danger" {...acting} onClick={() => act({ order: "rollback" })}>
                Roll back…
              </button>
            </>
          )
        }
      />
      <Show of={status}>
        {(s) => (
          <>
            {s.paused && <Notice tone="warn" title={`Paused: ${s.paused}`}>No share changes until the ramp is resumed. Whoever was moved stays moved.</Notice>}
            {s.overloads?.map((o) => (
              <Notice tone="warn" title={`${o.pop} is at ${percent(o.load, 0)} of its capacity since ${ago(o.since)}`} />
            ))}
            <Figures>
              <Figure name="Steps" value={s.steps.map((x) => percent(x, 0)).join(" · ")} />
              <Figure name="Through" value={`${s.geographies.filter((g) => g.phase == "done").length} of ${s.geographies.length}`} detail="geographies" />
              <Figure name="Moved so far" value={percent(moved(chart.data), 1)} detail="of page views in the last stretch" />
              <Figure name="Evidence until" value={ago(s.seen)} detail={moment(s.seen)} />
            </Figures>
          </>
        )}
      </Show>
      <Panel
        title="Optimal over time"
        note="Share of page views that reached an optimal PoP, with 95 % intervals; dotted lines are steps."
        tools={
          <>
            <Geographies status={r} chosen={chosen} />
            <Stretch every={every} />
            <a class="button" href={`${base}/chart?every=${encodeURIComponent(every)}&format=csv`} download={`${id}.csv`}>
              CSV
            </a>
          </>
        }
      >
        <Show of={chart} empty={(c) => !c.all.length}>{(c) => <Pilot chart={c} chosen={chosen} />}</Show>
      </Panel>
      {r && (
        <Panel title="Geographies" note="Each goes its own way through the steps; a name shows its chart and its guardrails.">
          <GeographyTable status={r} chosen={chosen} act={act} />
        </Panel>
      )}
      {r && <Judge progress={r.geographies.find((g) => g.id == chosen) ?? r.geographies.find((g) => g.phase == "running") ?? r.geographies[0]} guardrails={r.guardrails} />}
      <Panel title="What was decided">
        <Show of={log} empty={(l) => !l.looks?.length}>{(l) => <Log looks={l.looks ?? []} chosen={chosen} />}</Show>
      </Panel>
      {r && action && <Ask id={id} base={base} action={action} close={() => act(undefined)} done={() => (status.refresh(), chart.refresh(), log.refresh())} />}
    </>
  );
}

const moved = (c?: Chart) => c?.all.findLast((v) => v.views > 0)?.share;

function Geographies({ status, chosen }: { status?: Status; chosen: string }) {
  return (
    <label class="inline">
      <span class="visually-hidden">Geography</span>
      <select value={chosen} onChange={(e) => setQuery({ geography: e.currentTarget.value })}>
        <option value="">All together</option>
        {status?.geographies.map((g) => <option value={g.id}>{g.id}</option>)}
      </select>
    </label>
  );
}

const Stretch = ({ every }: { every: string }) => (
  <label class="inline">
    <span class="visually-hidden">Length of a stretch</span>
    <select value={every} onChange={(e) => setQuery({ every: e.currentTarget.value == "1h" ? "" : e.currentTarget.value })}>
      {["5m", "1h", "6h", "24h"].map((x) => (
        <option value={x}>by {duration(seconds(x))}</option>
      ))}
    </select>
  </label>
);

function Pilot({ chart, chosen }: { chart: Chart; chosen: string }) {
  const curve = chart.geographies.find((g) => g.id == chosen);
  const values: Value[] = curve?.values ?? chart.all;
  const times = values.map((v) => Date.parse(v.at) / 1000);
  const marks = (curve ? [curve] : chart.geographies)
    .flatMap((g) => g.marks.map((m) => ({ at: Date.parse(m.at) / 1000, text: `${curve ? "" : g.id + " "}${percent(m.to, 0)}` })))
    .sort((a, b) => a.at - b.at);
  const few = curve ? marks : marks.filter((m, i) => i == 0 || m.at - marks[i - 1]!.at > 60);
  return (
    <div class="stack">
      <TimeChart
        label={`Share optimal over time in ${chosen || "all geographies"}, control and treatment arm`}
        sync="ramp"
        times={times}
        marks={few}
        series={[
          { name: "Control", color: "control", dash: [6, 4], values: values.map((v) => v.control.optimal), low: values.map((v) => v.control.low), high: values.map((v) => v.control.high) },
          { name: "Treatment", color: "treatment", values: values.map((v) => v.treatment.optimal), low: values.map((v) => v.treatment.low), high: values.map((v) => v.treatment.high) },
        ]}
      />
      <TimeChart
        label={`Share of page views in the treatment arm in ${chosen || "all geographies"}`}
        sync="ramp"
        height={110}
        range={[0, 1]}
        format={(x) => percent(x, 0)}
        times={times}
        series={[{ name: "Share moved", color: "accent", values: values.map((v) => v.share), steps: true }]}
      />
    </div>
  );
}

function GeographyTable({ status, chosen, act }: { status: Status; chosen: string; act: (a: Action) => void }) {
  const acting = useActing();
  return (
    <Table
      caption="Geographies of the ramp"
      rows={status.geographies}
      id={(g) => g.id}
      current={chosen}
      columns={[
        { key: "id", title: "Geography", value: (g) => g.id, cell: (g) => <a data-keep-scroll="" href={`?geography=${encodeURIComponent(g.id)}`}>{g.id}</a> },
        { key: "phase", title: "Phase", value: (g) => g.phase, cell: (g) => <Badge tone={phaseTone[g.phase]}>{phaseName[g.phase]}</Badge> },
        { key: "share", title: "Share", num: true, value: (g) => g.share, cell: (g) => percent(g.share, 0) },
        { key: "step", title: "Step", cell: (g) => <Steps steps={status.steps} now={g.step} /> },
        { key: "recent", title: "Optimal lately", cell: (g) => <RecentSpark values={g.recent} of={g.id} /> },
        { key: "views", title: "Views moved, not moved", num: true, minor: true, value: (g) => g.views[1], cell: (g) => `${short(g.views[1])}, ${short(g.views[0])}` },
        { key: "why", title: "Why", cell: (g) => <span class="reason">{g.why || g.decision?.reason || "–"}</span> },
        {
          key: "act",
          title: "",
          cell: (g) =>
            g.share > 0 ? (
              <button {...acting} onClick={() => act({ order: "rollback", geography: g.id })} aria-label={`Roll back ${g.id}`}>
                Roll back…
              </button>
            ) : g.phase == "held" || g.phase == "rolled_back" ? (
              <button {...acting} onClick={() => act({ order: "resume", geography: g.id })} aria-label={`Resume ${g.id}`}>
                Resume…
              </button>
            ) : null,
        },
      ]}
    />
  );
}

function Steps({ steps, now }: { steps: number[]; now: number }) {
  return (
    <ol class="steps" aria-label={`step ${now + 1} of ${steps.length}`}>
      {steps.map((s, i) => (
        <li class={i < now ? "done" : i == now ? "now" : ""} aria-current={i == now ? "step" : undefined}>
          {percent(s, 0)}
        </li>
      ))}
    </ol>
  );
}

/** In a metric's own unit. */
function inUnit(metric: string, x: number): string {
  if (metric == "p50" || metric == "p90") return ms(x);
  if (metric == "resets") return x.toPrecision(2) + "/min";
  return percent(x, 2);
}
const verdicts: Record<string, ["good" | "bad" | "warn" | "quiet" | "info", string]> = {
  harmless: ["good", "harmless"],
  no_sign: ["info", "no sign of harm"],
  open: ["quiet", "not known yet"],
  too_few: ["quiet", "too few units"],
  breach: ["bad", "breach"],
};

function Judge({ progress, guardrails }: { progress?: Progress; guardrails: Status["guardrails"] }) {
  if (!progress) return null;
  const [control, treatment] = [progress.arms?.[0] ?? [], progress.arms?.[1] ?? []];
  const checks = progress.decision?.checks ?? [];
  const optimal = (a: ArmRate[]) => a.find((x) => x.metric == "optimal");
  const [from, to] = extent([control, treatment].flatMap((a) => [optimal(a)?.low, optimal(a)?.high]), 0.05);
  return (
    <div class="grid">
      <Panel title={`Arms in ${progress.id}`} className="s5" note="Of the present step; intervals are 95 % for one look. What decides are the guardrails.">
        <Table
          caption={`Arms in ${progress.id}`}
          rows={guardrails.filter((g) => g.metric != "load")}
          id={(g) => g.metric}
          empty="No guardrail compares the arms."
          columns={[
            { key: "metric", title: "Figure", cell: (g) => metricName[g.metric] ?? g.metric },
            ...(
              [
                ["Control", control, "control"],
                ["Treatment", treatment, "treatment"],
              ] as const
            ).map(([title, arm, tone]) => ({
              key: tone,
              title,
              num: true,
              cell: (g: { metric: string }) => {
                const a = arm.find((x) => x.metric == g.metric);
                if (!a) return "–";
                return g.metric == "optimal" ? <IntervalBar value={a.rate} low={a.low} high={a.high} from={from} to={to} tone={tone} /> : inUnit(g.metric, a.rate);
              },
            })),
          ]}
        />
        <p class="note">
          {count(Math.round(progress.views[0]))} page views not moved, {count(Math.round(progress.views[1]))} moved; achieved share {percent(progress.achieved)}, contamination {percent(progress.contamination)}. In the step for {duration(seconds(progress.covered))}.
        </p>
      </Panel>
      <Panel title={`Guardrails in ${progress.id}`} className="s7" note={progress.decision && `${moment(progress.decision.at)}: ${actionName[progress.decision.action] ?? progress.decision.action}. ${progress.decision.reason}.`}>
        <Table
          caption={`Guardrails in ${progress.id}`}
          rows={checks}
          id={(c) => c.metric + (c.network ?? "") + (c.others ?? "")}
          empty="Nothing is compared now: the geography is not in a step, or there is no evidence yet."
          columns={[
            { key: "what", title: "Compared", cell: (c) => (metricName[c.metric] ?? c.metric) + (c.network ? ", " + network(c.network) : c.others ? ", other networks" : "") },
            { key: "control", title: "Control", num: true, cell: (c) => inUnit(c.metric, c.control) },
            { key: "treatment", title: "Treatment", num: true, cell: (c) => inUnit(c.metric, c.treatment) },
            { key: "harm", title: "Worse by", num: true, help: "with an interval that holds at all looks", cell: (c) => <Harm check={c} /> },
            { key: "margin", title: "Margin", num: true, minor: true, cell: (c) => inUnit(c.metric, c.margin) },
            { key: "verdict", title: "Verdict", cell: (c) => <Badge tone={verdicts[c.verdict]?.[0] ?? "quiet"}>{verdicts[c.verdict]?.[1] ?? c.verdict}</Badge> },
          ]}
        />
      </Panel>
    </div>
  );
}

const Harm = ({ check: c }: { check: Check }) => (
  <>
    {percent(c.harm, 2)} <span class="soft">({percent(c.low, 1)} to {percent(c.high, 1)})</span>
  </>
);

function Log({ looks, chosen }: { looks: Look[]; chosen: string }) {
  const [all, setAll] = useState(false);
  const lines = looks
    .flatMap((l) => [
      ...(l.trouble ? [{ at: l.at, who: "", text: `no evidence: ${l.trouble}`, quiet: false }] : []),
      ...(l.decisions ?? []).map((d) => ({
        at: d.at,
        who: d.geography ?? "",
        text: `${actionName[d.action] ?? d.action}${d.from != d.to ? ` ${percent(d.from, 0)} → ${percent(d.to, 0)}` : ""}: ${d.reason}${l.by ? ` (by ${l.by})` : ""}`,
        quiet: d.action == "wait" || (d.action == "hold" && d.from == d.to && !l.by),
      })),
    ])
    .filter((l) => (!chosen || !l.who || l.who == chosen) && (all || !l.quiet))
    .reverse();
  return (
    <>
      <p class="controls">
        <label>
          <input type="checkbox" checked={all} onChange={(e) => setAll(e.currentTarget.checked)} /> Waiting, too
        </label>
      </p>
      {lines.length ? (
        <ol class="timeline">
          {lines.slice(0, 60).map((l) => (
            <li>
              <time dateTime={l.at}>{moment(l.at)}</time>
              <span>
                {l.who && <strong>{l.who} </strong>}
                {l.text}
              </span>
            </li>
          ))}
        </ol>
      ) : (
        <p class="nothing">Nothing was changed yet.</p>
      )}
    </>
  );
}

const words: Record<Action["order"], [title: string, verb: string, text: string]> = {
  pause: ["Pause", "Pause", "Shares stay as they are until the ramp is resumed. Whoever was moved stays moved."],
  resume: ["Resume", "Resume", "The ramp goes on from where it is, by its guardrails."],
  rollback: ["Roll back", "Roll back", "The share goes to 0 at once; users follow as their DNS answers expire."],
  abort: ["End", "End the ramp", "The ramp is taken out; its share goes to 0 at once."],
  set: ["Set the share of", "Set", ""],
};

function Ask({ id, base, action, close, done }: { id: string; base: string; action: Action; close: () => void; done: () => void }) {
  const [title, verb, text] = words[action.order];
  const what = action.geography ? `${action.geography} of ${id}` : id;
  return (
    <Confirm
      title={`${title} ${what}`}
      verb={verb}
      danger={action.order == "rollback" || action.order == "abort"}
      close={close}
      done={() => (action.order == "abort" ? navigate("/ramps") : done())}
      act={(why) => send("POST", `${base}/${action.order}`, { why, ...(action.geography && { geography: action.geography }) })}
    >
      <p>{text}</p>
      {!action.geography && action.order == "rollback" && <p>That is every geography of the ramp.</p>}
    </Confirm>
  );
}
