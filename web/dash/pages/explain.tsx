import { useEffect, useState } from "preact/hooks";
import { useAPI } from "../lib/api";
import { country, duration, ms, network, percent } from "../lib/format";
import { setQuery, usePlace } from "../lib/place";
import { schemeName } from "../lib/scheme";
import { Badge, Figure, Figures, Head, Panel } from "../ui/panel";
import { Notice, Show } from "../ui/standing";
import { Table } from "../ui/table";

interface Explanation {
  service: string;
  scheme: string;
  full_ttl: number; // ns
  client: string;
  resolver?: string;
  by_ecs: boolean;
  place: { continent?: string; country?: string; subdivision?: string; asn?: number; lat?: number; lon?: number };
  known?: string;
  region?: string;
  fail_open?: string;
  changing?: string;
  candidates: { pop: string; rtt?: number; samples?: number; km: number; weight: number; shed?: number; out?: string }[] | null;
  forks?: { what: string; prefix: string; bucket: number; below: number; taken: boolean }[] | null;
  why: string[] | null;
  answer: { pop?: string; vip?: string; region?: string; scheme: string; a?: string[]; aaaa?: string[]; ttl: number };
  scope: string;
}

/** Type an address: where it is, what DNS answers it, and every step to that. */
export function Explain({ services, example }: { services: string[]; example?: string }) {
  const { query } = usePlace();
  const client = query.get("client") ?? "";
  const resolver = query.get("resolver") ?? "";
  const service = query.get("service") ?? services[0] ?? "";
  const [typed, type] = useState({ client, resolver });
  useEffect(() => type({ client, resolver }), [client, resolver]);
  const ask = (client || resolver) && service;
  const answer = useAPI<Explanation>(ask ? `/api/v1/explain?${new URLSearchParams({ format: "json", service, ...(client && { client }), ...(resolver && { resolver }) })}` : null);
  return (
    <>
      <Head title="Explain" lead="Why a client is given the answer it is given: its place, its arm, the PoPs that come into question, and each step." />
      <Panel title="Which client?">
        <form
          class="controls"
          onSubmit={(e) => {
            e.preventDefault();
            setQuery({ client: typed.client.trim(), resolver: typed.resolver.trim() }, false);
          }}
        >
          <label class="field grow">
            <span>Client address (or the prefix's, if the resolver sends ECS)</span>
            <input name="client" value={typed.client} placeholder={example ?? "203.0.113.7"} inputMode="text" autoComplete="off" spellcheck={false} onInput={(e) => type({ ...typed, client: e.currentTarget.value })} />
          </label>
          <label class="field grow">
            <span>Resolver (if it sends no ECS, the answer is for it)</span>
            <input name="resolver" value={typed.resolver} autoComplete="off" spellcheck={false} onInput={(e) => type({ ...typed, resolver: e.currentTarget.value })} />
          </label>
          <label class="field">
            <span>Service</span>
            <select value={service} onChange={(e) => setQuery({ service: e.currentTarget.value })}>
              {services.map((s) => <option value={s}>{s}</option>)}
            </select>
          </label>
          <button class="primary">Explain</button>
        </form>
      </Panel>
      {!ask ? (
        <Notice title="Type an address of a client or of its resolver.">
          {example && (
            <p>
              Such as <a href={`/explain?client=${example}`}>{example}</a>, whose beacons came in lately.
            </p>
          )}
        </Notice>
      ) : (
        <Show of={answer}>{(x) => <Derivation x={x} />}</Show>
      )}
    </>
  );
}

const seconds = (ns: number) => duration(ns / 1e9);

function Derivation({ x }: { x: Explanation }) {
  const p = x.place;
  const where = [p.subdivision, p.country && country(p.country)].filter(Boolean).join(", ");
  const a = x.answer;
  return (
    <>
      {x.fail_open && <Notice tone="warn" title={`Health and drains are disregarded: ${x.fail_open}`} />}
      <Figures>
        <Figure name="Place" value={where || "unknown"} detail={`${network(p.asn)}${x.known ? `, known of ${x.known}` : ", an address that no table knows"}`} />
        <Figure name="Decided for" value={x.client} detail={x.by_ecs ? "the client, which the resolver sent (ECS)" : "the address that asks"} />
        <Figure name="Answer" value={a.pop || a.vip || "–"} detail={[...(a.a ?? []), ...(a.aaaa ?? [])].join(", ")} />
        <Figure name="Scheme" value={schemeName[a.scheme] ?? a.scheme} detail={[x.region && `region ${x.region}`, `TTL ${seconds(a.ttl)}`, `scope ${x.scope}`].filter(Boolean).join(", ")} />
      </Figures>
      <div class="grid">
        <Panel title="Step by step" className="s6">
          <ol class="doc">{x.why?.map((w) => <li>{w}</li>)}</ol>
          {x.changing && <p class="note">The TTL is short as health has just changed: {x.changing}</p>}
        </Panel>
        <Panel title="Arms and shares" className="s6" note="A client is in an arm if the hash of its prefix, its bucket, is below the mark.">
          <Table
            caption="Hashes that were asked"
            rows={x.forks ?? []}
            id={(f) => f.what + f.prefix}
            empty="No ramp, shed or pin was asked on the way."
            columns={[
              { key: "what", title: "What", cell: (f) => f.what },
              { key: "prefix", title: "Prefix", cell: (f) => <code>{f.prefix}</code> },
              { key: "bucket", title: "Bucket", num: true, cell: (f) => f.bucket },
              { key: "below", title: "Mark", num: true, cell: (f) => `${f.below} (${percent(f.below / 10_000)})` },
              { key: "taken", title: "In it?", cell: (f) => <Badge tone={f.taken ? "info" : "quiet"}>{f.taken ? "yes" : "no"}</Badge> },
            ]}
          />
        </Panel>
      </div>
      <Panel title="PoPs, the nearest first" note="By median RTT of the client's cell where it was measured, else by distance.">
        <Table
          caption="PoPs that come into question"
          rows={x.candidates ?? []}
          id={(c) => c.pop}
          current={a.pop}
          columns={[
            { key: "pop", title: "PoP", cell: (c) => <a href={`/catchments/${c.pop}`}>{c.pop}</a> },
            { key: "rtt", title: "RTT", num: true, value: (c) => c.rtt || null, cell: (c) => (c.rtt ? ms(c.rtt) : "not measured") },
            { key: "samples", title: "Probes", num: true, minor: true, value: (c) => c.samples, cell: (c) => c.samples ?? "–" },
            { key: "km", title: "Distance", num: true, value: (c) => c.km, cell: (c) => (c.km < 0 ? "–" : `${Math.round(c.km).toLocaleString("en-US")} km`) },
            { key: "out", title: "State", cell: (c) => (c.out ? <Badge tone="warn">{c.out}</Badge> : c.shed ? <Badge tone="warn">{`sheds ${percent(c.shed, 0)}`}</Badge> : <Badge tone="good">may serve</Badge>) },
          ]}
        />
      </Panel>
    </>
  );
}
