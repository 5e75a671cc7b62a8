import { useState } from "preact/hooks";
import { send, type Asked } from "../lib/api";
import type { PoPState } from "../lib/contract";
import { ago, count, moment, percent, short } from "../lib/format";
import { useActing } from "../lib/session";
import { phases, phasesBack } from "../lib/pops";
import { Bar } from "../ui/bars";
import { Confirm } from "../ui/dialog";
import { Badge, Head, Panel } from "../ui/panel";
import { PoPBadge } from "../ui/pop";
import { Show } from "../ui/standing";
import { Table } from "../ui/table";

type Action = { do: "drain" | "end-drain" | "shed" | "end-shed"; pop: string };

/** Each PoP: its health, what it announces against what is wanted, and the ways to take users off it. */
export function PoPs({ of, list }: { of: Asked<object>; list: (d: object) => PoPState[] }) {
  const [action, act] = useState<Action>();
  return (
    <>
      <Head title="PoPs" lead="Health, load, and what is announced. Drain takes a PoP out, as planned; shed takes a share of its users away while it is under load." />
      <Show of={of} empty={(d) => !list(d).length}>
        {(d) => (
          <>
            <Panel title="All PoPs">
              <Table
                caption="PoPs with their state"
                rows={list(d)}
                id={(p) => p.pop}
                sort={{ key: "pop", down: false }}
                columns={[
                  { key: "pop", title: "PoP", value: (p) => p.pop, cell: (p) => <a href={`/catchments/${p.pop}`}>{p.pop}</a> },
                  { key: "city", title: "City", minor: true, value: (p) => p.city, cell: (p) => p.city ?? "–" },
                  { key: "state", title: "State", value: (p) => p.state, cell: (p) => <PoPBadge pop={p} /> },
                  { key: "load", title: "Load", num: true, value: (p) => p.load, cell: (p) => <Load pop={p} /> },
                  { key: "heard", title: "Heard of", minor: true, value: (p) => p.reported, cell: (p) => (p.silent ? <Badge tone="bad">silent</Badge> : ago(p.reported)) },
                  { key: "announced", title: "Announced", cell: (p) => <Announced pop={p} /> },
                  { key: "why", title: "Why", cell: (p) => <span class="reason">{p.drain?.why || p.shed?.why || p.why || "–"}</span> },
                  { key: "act", title: "", cell: (p) => <Buttons pop={p} act={act} /> },
                ]}
              />
            </Panel>
            <UnderWay pops={list(d).filter((p) => p.drain || p.shed)} />
            <Announcements pops={list(d)} />
          </>
        )}
      </Show>
      {action && <Ask action={action} close={() => act(undefined)} done={of.refresh} />}
    </>
  );
}

function Load({ pop: p }: { pop: PoPState }) {
  if (p.load == null) return <span class="unknown">not known</span>;
  if (!p.capacity) return <>{short(p.load)}/s</>;
  const share = p.load / p.capacity;
  return (
    <span class="interval">
      <span class="value">{percent(share, 0)}</span>
      <Bar share={share} label={`${count(p.load)} of ${count(p.capacity)} requests/s`} />
    </span>
  );
}

function Announced({ pop: p }: { pop: PoPState }) {
  const all = p.announcements ?? [];
  if (!all.length) return <span class="unknown">not known</span>;
  const wrong = all.filter((a) => a.announced != a.wanted);
  if (wrong.length) return <Badge tone="bad">{`${wrong.length} of ${all.length} not as wanted`}</Badge>;
  return <Badge tone="good">{`${all.filter((a) => a.announced).length} of ${all.length}, as wanted`}</Badge>;
}

function Buttons({ pop: p, act }: { pop: PoPState; act: (a: Action) => void }) {
  const acting = useActing();
  const button = (what: Action["do"], text: string) => (
    <button {...acting} onClick={() => act({ do: what, pop: p.pop })} aria-label={`${text} ${p.pop}`}>
      {text}…
    </button>
  );
  return (
    <span class="tools nowrap">
      {p.drain ? button("end-drain", "End drain") : button("drain", "Drain")}
      {p.shed ? button("end-shed", "End shed") : button("shed", "Shed")}
    </span>
  );
}

/** How far drains and sheds are; it changes as one looks. */
function UnderWay({ pops }: { pops: PoPState[] }) {
  if (!pops.length) return null;
  return (
    <Panel title="Drains and sheds under way">
      <ol class="timeline">
        {pops.map((p) => (
          <li>
            <strong>{p.pop}</strong>
            <div class="stack" role="status">
              {p.drain && (
                <div>
                  <Badge tone="warn">{p.drain.phase || "drained"}</Badge> {p.drain.why}{p.drain.by && ` (${p.drain.by})`} {p.drain.since && <span class="soft">since {moment(p.drain.since)}</span>}
                  {p.drain.phase && <Phases now={p.drain.phase} back={p.drain.back} />}
                  {p.drain.waiting && <div class="soft">{p.drain.next ? `Next ${p.drain.next}: ` : ""}{p.drain.waiting}</div>}
                  {p.drain.until && <div class="soft">Until {moment(p.drain.until)} ({ago(p.drain.until)})</div>}
                </div>
              )}
              {p.shed && (
                <div>
                  <Badge tone="warn">{`sheds ${percent(p.shed.share, 0)}`}</Badge> {p.shed.why}{p.shed.by && ` (${p.shed.by})`}
                </div>
              )}
              {p.load != null && (
                <div>
                  Load now: <Load pop={p} />{p.connections != null && `, ${count(p.connections)} connections`}
                </div>
              )}
            </div>
          </li>
        ))}
      </ol>
    </Panel>
  );
}

/** Where a drain is on its way. */
function Phases({ now, back }: { now: string; back?: boolean }) {
  const all = back || phasesBack.includes(now) ? phasesBack : phases;
  const at = all.indexOf(now);
  return (
    <ol class="steps" aria-label={`step ${at + 1} of ${all.length}: ${now}`}>
      {all.map((x, i) => (
        <li class={i < at ? "done" : i == at ? "now" : ""} aria-current={i == at ? "step" : undefined}>
          {x}
        </li>
      ))}
    </ol>
  );
}

function Announcements({ pops }: { pops: PoPState[] }) {
  const all = pops.flatMap((p) => (p.announcements ?? []).map((a) => ({ ...a, pop: p.pop })));
  if (!all.length) return null;
  return (
    <Panel title="Announced against wanted">
      <Table
        caption="Prefixes announced against those wanted"
        rows={all.sort((a, b) => +(a.announced == a.wanted) - +(b.announced == b.wanted))}
        id={(a) => a.pop + a.prefix}
        columns={[
          { key: "pop", title: "PoP", value: (a) => a.pop, cell: (a) => a.pop },
          { key: "prefix", title: "Prefix", value: (a) => a.prefix, cell: (a) => <code>{a.prefix}</code> },
          { key: "vip", title: "VIP", value: (a) => a.vip, cell: (a) => a.vip || "the PoP’s own" },
          { key: "wanted", title: "Wanted", cell: (a) => (a.wanted ? "yes" : "no") },
          { key: "is", title: "Announced", cell: (a) => <Badge tone={a.announced == a.wanted ? "good" : "bad"}>{a.announced ? "yes" : "no"}</Badge> },
          { key: "reason", title: "Reason", minor: true, cell: (a) => a.reason || "–" },
        ]}
      />
    </Panel>
  );
}

function Ask({ action, close, done }: { action: Action; close: () => void; done: () => void }) {
  const pop = encodeURIComponent(action.pop);
  const common = { close, done };
  switch (action.do) {
    case "drain":
      return (
        <Confirm
          {...common}
          title={`Drain ${action.pop}`}
          verb="Drain"
          danger
          act={(why, form) => send("PUT", `/api/v1/drains/${pop}`, { why, ...(form.get("for") && { for: form.get("for") }), ...(form.get("force") && { force: true }) })}
        >
          <p>DNS stops answering with it, then its announcements go. Nobody is cut off: connections end by themselves.</p>
          <label class="field">
            <span>For how long</span>
            <select name="for">
              <option value="1h">an hour</option>
              <option value="4h">4 hours</option>
              <option value="24h">a day</option>
              <option value="">until it is ended</option>
            </select>
          </label>
          <label>
            <input type="checkbox" name="force" value="1" /> Even if a region or a service is left without a PoP
          </label>
        </Confirm>
      );
    case "shed":
      return (
        <Confirm {...common} title={`Shed load of ${action.pop}`} verb="Shed" danger act={(why, form) => send("PUT", `/api/v1/sheds/${pop}`, { why, share: +String(form.get("share")) / 100 })}>
          <p>A share of its users, always the same ones, is sent to the next best PoP.</p>
          <label class="field">
            <span>Share in percent</span>
            <input type="number" name="share" min="1" max="100" step="1" value="20" required />
          </label>
        </Confirm>
      );
    default: {
      const what = action.do == "end-drain" ? "drain" : "shed";
      return (
        <Confirm {...common} title={`End the ${what} of ${action.pop}`} verb={`End the ${what}`} act={(why) => send("DELETE", `/api/v1/${what}s/${pop}?why=${encodeURIComponent(why)}`)}>
          <p>Users come back as their DNS answers expire.</p>
        </Confirm>
      );
    }
  }
}
