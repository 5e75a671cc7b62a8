import { useState } from "preact/hooks";
import { useAPI } from "../lib/api";
import type { PoPState, WhatIf as Answer } from "../lib/contract";
import { editKinds, editsOf, editText, type EditKind } from "../lib/edit";
import { count, country, ms, network, percent, short } from "../lib/format";
import { href, navigate, setQuery, usePlace } from "../lib/place";
import { ladder, palette, viridis } from "../lib/scale";
import { GeoMap, type Area } from "../map/map";
import { Bar } from "../ui/bars";
import { Badge, Figure, Figures, Head, Panel } from "../ui/panel";
import { Notice, Show } from "../ui/standing";
import { Table } from "../ui/table";

const movedScale = ladder([0.01, 0.05, 0.1, 0.25, 0.5, 0.75], (x) => `${Math.round(100 * x)} %`, [...viridis].reverse());

/** Edits of announcements tried on the simulator: who moves where, and which PoP gets too much. */
export function WhatIf({ pops, vips }: { pops: PoPState[]; vips: string[] }) {
  const { query } = usePlace();
  const edits = editsOf(query);
  const vip = query.get("vip") ?? vips[0] ?? "";
  const to = (next: string[]) => {
    const q = new URLSearchParams(query);
    q.delete("edit");
    next.forEach((e) => q.append("edit", e));
    navigate(href("/whatif", q));
  };
  const asked = new URLSearchParams({ vip });
  edits.forEach((e) => asked.append("edit", e));
  const answer = useAPI<Answer>(edits.length && vip ? href("/api/v1/whatif", asked) : null, 0);
  return (
    <>
      <Head title="What-if" lead="Try a change of announcements on the simulated Internet before you make it: who moves, how far they then are, and which PoP gets too much." />
      <div class="grid">
        <Panel title="Edits" className="s5">
          <div class="stack">
            <label class="field">
              <span>VIP</span>
              <select value={vip} onChange={(e) => setQuery({ vip: e.currentTarget.value }, false)}>
                {vips.map((v) => <option value={v}>{v}</option>)}
              </select>
            </label>
            {edits.length ? (
              <ul class="edits">
                {edits.map((e, i) => (
                  <li>
                    <code>{e}</code>{" "}
                    <button aria-label={`Remove ${e}`} onClick={() => to(edits.filter((_, j) => j != i))}>
                      Remove
                    </button>
                  </li>
                ))}
              </ul>
            ) : (
              <p class="nothing">Nothing is edited yet.</p>
            )}
            <Editor pops={pops} add={(e) => to([...edits, e])} />
          </div>
        </Panel>
        <Panel title="What comes of it" className="s7">
          {edits.length ? <Show of={answer} empty={(d) => !d.moves}>{(d) => <Outcome d={d} />}</Show> : <Notice title="Add an edit, such as withdrawing a PoP.">The address of this page then has it: send the link to whoever should look at it, too.</Notice>}
        </Panel>
      </div>
      {answer.data?.moves && edits.length > 0 && <Details d={answer.data} pops={pops} />}
    </>
  );
}

function Editor({ pops, add }: { pops: PoPState[]; add: (edit: string) => void }) {
  const [kind, setKind] = useState<EditKind>(editKinds[0]!);
  const [values, set] = useState<Record<string, string>>({ pop: pops[0]?.pop ?? "", relation: "transit", times: "2" });
  const text = editText(kind, { ...values, pop: values["pop"] || pops[0]?.pop || "" });
  return (
    <form class="controls" onSubmit={(e) => (e.preventDefault(), text && add(text))}>
      <label class="field">
        <span>Edit</span>
        <select value={kind.kind} onChange={(e) => setKind(editKinds.find((k) => k.kind == e.currentTarget.value)!)}>
          {editKinds.map((k) => <option value={k.kind}>{k.title}</option>)}
        </select>
      </label>
      {kind.fields.map((f) => (
        <label class="field">
          <span>{f.title}</span>
          {f.of == "pop" || f.of == "relation" ? (
            <select value={values[f.name] || (f.of == "pop" ? pops[0]?.pop : "")} onChange={(e) => set({ ...values, [f.name]: e.currentTarget.value })}>
              {(f.of == "pop" ? pops.map((p) => p.pop) : ["transit", "peer", "customer"]).map((x) => <option value={x}>{x}</option>)}
            </select>
          ) : (
            <input
              inputMode={f.of == "count" ? "numeric" : "text"}
              pattern={f.of == "count" ? "[0-9]|10" : undefined}
              value={values[f.name] ?? ""}
              placeholder={f.hint}
              required={!f.optional}
              onInput={(e) => set({ ...values, [f.name]: e.currentTarget.value })}
            />
          )}
        </label>
      ))}
      <button class="primary">Add</button>
    </form>
  );
}

function Outcome({ d }: { d: Answer }) {
  const over = d.pops.filter((p) => p.over);
  return (
    <>
      {over.map((p) => (
        <Notice tone="bad" title={`${p.pop} gets more than its capacity: ${count(p.rate_after)} of ${count(p.capacity)} requests/s`}>
          Shed or raise its capacity first, or leave the users where they are.
        </Notice>
      ))}
      <Figures>
        <Figure name="Users who move" value={percent(d.moved / Math.max(1, d.users))} detail={`${short(d.moved)} of ${short(d.users)}`} />
        <Figure name="Users who lose the service" value={short(d.lost)} tone={d.lost > 0 ? "bad" : ""} />
        <Figure name="RTT of all, p50" value={fromTo(d.rtt_all.before_p50, d.rtt_all.after_p50)} detail={`p90 ${fromTo(d.rtt_all.before_p90, d.rtt_all.after_p90)}`} />
      </Figures>
      <Table
        caption="Where users move"
        rows={d.moves}
        id={(m) => m.from + m.to}
        sort={{ key: "users", down: true }}
        empty="Nobody moves."
        columns={[
          { key: "pops", title: "From → to", value: (m) => m.from, cell: (m) => `${m.from || "nowhere"} → ${m.to || "nowhere"}` },
          { key: "users", title: "Users", num: true, value: (m) => m.users, cell: (m) => <span title={count(m.users)}>{short(m.users)}</span> },
          { key: "rtt", title: "RTT, p50", num: true, value: (m) => m.rtt.after_p50, cell: (m) => fromTo(m.rtt.before_p50, m.rtt.after_p50) },
          { key: "p50", title: "change, p50", num: true, value: (m) => m.rtt.change_p50, cell: (m) => shift(m.rtt.change_p50) },
          { key: "p90", title: "p90", num: true, value: (m) => m.rtt.change_p90, cell: (m) => shift(m.rtt.change_p90) },
        ]}
      />
    </>
  );
}

const fromTo = (before: number | null, after: number | null) => `${ms(before)} → ${ms(after)}`;
const shift = (x: number | null | undefined) => (x == null ? "–" : (x > 0 ? "+" : x < 0 ? "−" : "±") + ms(Math.abs(x)));

function Details({ d, pops }: { d: Answer; pops: PoPState[] }) {
  const color = palette(pops.map((p) => p.pop));
  const most = Math.max(1, ...d.pops.map((p) => Math.max(p.users_before, p.users_after)));
  return (
    <>
      {d.places && (
        <Panel title="Where users move" note="Share of a country’s users who reach another PoP than before.">
          <GeoMap
            label="Map: share of users of each country who move to another PoP"
            classes={movedScale}
            legend="Users who move"
            name={country}
            areas={new Map(d.places.map((p): [string, Area] => [p.country, { value: p.users ? p.moved / p.users : null, text: `${percent(p.moved / Math.max(1, p.users), 0)} of ${short(p.users)} users move${p.moved && p.before ? `\n${p.before} → ${p.after}` : ""}` }]))}
            dots={pops.filter((p) => p.lat != null).map((p) => ({ id: p.pop, lon: p.lon!, lat: p.lat!, label: p.pop, text: "", color: color(p.pop), size: 5 }))}
          />
        </Panel>
      )}
      <div class="grid">
        <Panel title="PoPs before and after" className="s6">
          <Table
            caption="Users of each PoP before and after"
            rows={d.pops}
            id={(p) => p.pop}
            sort={{ key: "after", down: true }}
            columns={[
              { key: "pop", title: "PoP", value: (p) => p.pop, cell: (p) => p.pop },
              { key: "before", title: "Users before", num: true, value: (p) => p.users_before, cell: (p) => short(p.users_before) },
              { key: "after", title: "after", num: true, value: (p) => p.users_after, cell: (p) => <span class="interval"><span class="value">{short(p.users_after)}</span><Bar share={p.users_after / most} label={`${count(p.users_after)} users`} tone={p.over ? "bad" : "plain"} /></span> },
              { key: "capacity", title: "Of capacity", num: true, value: (p) => (p.capacity ? (p.rate_after ?? 0) / p.capacity : null), cell: (p) => (p.capacity && p.rate_after != null ? <Badge tone={p.over ? "bad" : "good"}>{percent(p.rate_after / p.capacity, 0)}</Badge> : "–") },
            ]}
          />
        </Panel>
        <Panel title="Why" className="s6" note="The networks whose choice moves most users.">
          <Table
            caption="Networks whose choice moves users"
            rows={d.causes ?? []}
            id={(c) => c.asn + c.from + c.to}
            empty="No cause was found."
            columns={[
              { key: "as", title: "Network", value: (c) => c.as_name, cell: (c) => network(c.asn, c.as_name) },
              { key: "pops", title: "From → to", cell: (c) => <span class="nowrap">{c.from || "nowhere"} → {c.to || "nowhere"}</span> },
              { key: "users", title: "Users", num: true, value: (c) => c.users, cell: (c) => short(c.users) },
              { key: "why", title: "Why", cell: (c) => c.why },
            ]}
          />
        </Panel>
      </div>
    </>
  );
}
