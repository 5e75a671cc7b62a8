import { useState } from "preact/hooks";
import { send, useAPI } from "../lib/api";
import { ago, percent, plural } from "../lib/format";
import { navigate } from "../lib/place";
import { useActing } from "../lib/session";
import { schemeName } from "../lib/scheme";
import { Spark } from "../ui/bars";
import { Confirm } from "../ui/dialog";
import { Badge, Head, Panel } from "../ui/panel";
import { Notice, Show } from "../ui/standing";
import { Table, type Column } from "../ui/table";
import type { Status } from "./ramp-types";

/** How far a ramp is in a word. */
export function RampBadge({ ramp }: { ramp: Status }) {
  if (ramp.paused) return <Badge tone="warn">paused</Badge>;
  const by = (p: string) => ramp.geographies.filter((g) => g.phase == p).length;
  if (by("rolled_back") == ramp.geographies.length) return <Badge tone="bad">rolled back</Badge>;
  if (by("held")) return <Badge tone="warn">{by("held")} held</Badge>;
  if (by("done") == ramp.geographies.length) return <Badge tone="good">done</Badge>;
  if (by("running")) return <Badge tone="info">running</Badge>;
  if (!by("pending")) return <Badge tone="warn">ended, {by("rolled_back")} rolled back</Badge>;
  return <Badge tone="quiet">waiting</Badge>;
}

const columns: Column<Status>[] = [
  { key: "id", title: "Ramp", value: (r) => r.id, cell: (r) => <a href={`/ramps/${encodeURIComponent(r.id)}`}>{r.id}</a> },
  { key: "state", title: "State", cell: (r) => <RampBadge ramp={r} /> },
  { key: "what", title: "What", cell: (r) => `${r.service}: ${schemeName[r.from] ?? r.from} → ${schemeName[r.to] ?? r.to}` },
  {
    key: "done",
    title: "Geographies",
    cell: (r) => `${r.geographies.filter((g) => g.phase == "done").length} of ${plural(r.geographies.length, "geography", "geographies")} through`,
  },
  { key: "share", title: "Largest share", num: true, value: (r) => Math.max(0, ...r.geographies.map((g) => g.share)), cell: (r) => percent(Math.max(0, ...r.geographies.map((g) => g.share)), 0) },
  { key: "seen", title: "Evidence until", minor: true, value: (r) => r.seen, cell: (r) => ago(r.seen) },
];

export const RampTable = ({ ramps }: { ramps: Status[] }) => (
  <Table caption="Ramps" columns={columns} rows={ramps} id={(r) => r.id} empty="There is no ramp." />
);

export function Ramps() {
  const ramps = useAPI<Status[]>("/api/v1/ramps", 10_000);
  const [open, setOpen] = useState<"start" | "back">();
  const acting = useActing();
  const any = ramps.data?.some((r) => r.geographies.some((g) => g.share > 0));
  return (
    <>
      <Head
        title="Ramps"
        lead="Users are moved from one scheme to another step by step, while guardrails compare those who were moved with those who were not."
        tools={
          <>
            {any && (
              <button class="danger" {...acting} onClick={() => setOpen("back")}>
                Roll back all…
              </button>
            )}
            <button class="primary" {...acting} onClick={() => setOpen("start")}>
              Start a ramp…
            </button>
          </>
        }
      />
      <Panel title="All ramps">
        <Show of={ramps}>
          {(all) =>
            all.length ? (
              <RampTable ramps={all} />
            ) : (
              <Notice title="There is no ramp.">
                Start one here, or with <code>catchment ramp start FILE</code>. <a href="/docs/ramps">How ramps work</a>
              </Notice>
            )
          }
        </Show>
      </Panel>
      {open == "start" && <Start close={() => setOpen(undefined)} />}
      {open == "back" && (
        <Confirm title="Roll back every ramp" verb="Roll back all" danger close={() => setOpen(undefined)} done={ramps.refresh} act={(why) => send("POST", "/api/v1/ramps/rollback", { why })}>
          <p>Every geography of every ramp goes back to nothing, and the ramps are paused. Users follow as their DNS answers expire.</p>
        </Confirm>
      )}
    </>
  );
}

export const example = `id: us-regional
service: www.edge.example
from: unicast
to: regional
geographies:
  - {id: ca, subdivisions: [US-CA]}
  - {id: ny, subdivisions: [US-NY]}
  - {id: br, countries: [BR]}
at_once: 2
observe: 24h
steps: [1%, 5%, 25%, 50%, 100%]
guardrails:
  - {metric: optimal, margin: 5%, on_breach: roll_back}
  - {metric: p50, margin: 5, relative: 10%}
  - {metric: probe_failures, margin: 1%, on_breach: roll_back}
`;

function Start({ close }: { close: () => void }) {
  const [text, setText] = useState(example);
  return (
    <Confirm
      title="Start a ramp"
      verb="Start"
      close={close}
      act={async (why) => {
        const r = await send<Status>("POST", "/api/v1/ramps?why=" + encodeURIComponent(why), text);
        navigate("/ramps/" + encodeURIComponent(r.id));
      }}
    >
      <label class="field">
        <span>
          Declaration (YAML or JSON); <a href="/docs/ramps">what it may say</a>
        </span>
        <textarea name="declaration" rows={15} value={text} spellcheck={false} onInput={(e) => setText(e.currentTarget.value)} />
      </label>
    </Confirm>
  );
}

export const RecentSpark = ({ values, of }: { values?: (number | null)[]; of: string }) => (
  <Spark values={values ?? []} label={`Share of page views at an optimal PoP in ${of}, the last ${values?.length ?? 0} stretches`} tone="treatment" />
);
