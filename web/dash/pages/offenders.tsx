import { useEffect, useRef, useState } from "preact/hooks";
import { useAPI } from "../lib/api";
import type { Offender, Offenders as Answer } from "../lib/contract";
import { count, day, duration, ms, network, percent, short } from "../lib/format";
import { href, setQuery, usePlace, withQuery } from "../lib/place";
import { placeName } from "../lib/place-name";
import { schemeName, schemes } from "../lib/scheme";
import { Bar } from "../ui/bars";
import { Copy } from "../ui/dialog";
import { Head, Panel } from "../ui/panel";
import { Fresh, Period, periodOf } from "../ui/period";
import { Show } from "../ui/standing";
import { parseSort, sortText, Table } from "../ui/table";

const key = (o: Offender) => [o.scheme, o.asn, o.country, o.subdivision, o.pop].join("/");

/** Networks by what their users lose: which PoP they reach, which they should, since when. */
export function Offenders() {
  const { query } = usePlace();
  const scheme = query.get("scheme") ?? "";
  const chosen = query.get("show") ?? "";
  const asked = withQuery(new URLSearchParams(), { ...periodOf(query), scheme });
  const answer = useAPI<Answer>(href("/api/v1/offenders", asked));
  const sort = parseSort(query.get("sort"), "-lost");
  return (
    <>
      <Head title="Offenders" lead="Networks whose users reach the wrong PoP, by users × milliseconds lost. Each comes with the facts to send to whoever runs it." tools={<Fresh of={answer.data} />} />
      <div class="panel controls">
        <Period />
        <label class="field">
          <span>Scheme</span>
          <select value={scheme} onChange={(e) => setQuery({ scheme: e.currentTarget.value })}>
            <option value="">All</option>
            {schemes.map((s) => <option value={s}>{schemeName[s]}</option>)}
          </select>
        </label>
        <a class="button" href={href("/api/v1/offenders", withQuery(asked, { format: "csv" }))} download="offenders.csv">
          CSV
        </a>
      </div>
      <Panel title="Networks">
        <Show of={answer} empty={(d) => !d.rows.length}>
          {(d) => (
            <>
            {d.total > d.rows.length && <p class="note">The first {count(d.rows.length)} of {count(d.total)}; the CSV has them all.</p>}
            <Table
              caption="Networks by users × milliseconds lost"
              rows={d.rows}
              id={key}
              current={chosen}
              sort={sort}
              onSort={(s) => setQuery({ sort: sortText(s) })}
              columns={[
                { key: "network", title: "Network", value: (o) => o.as_name || String(o.asn), cell: (o) => network(o.asn, o.as_name) },
                { key: "place", title: "Place", value: placeName, cell: placeName },
                { key: "scheme", title: "Scheme", minor: true, value: (o) => o.scheme, cell: (o) => schemeName[o.scheme] ?? o.scheme },
                { key: "pop", title: "Reaches → should", value: (o) => o.pop, cell: (o) => <Reached o={o} /> },
                { key: "views", title: "Page views", num: true, value: (o) => o.views, cell: (o) => <span title={count(o.views)}>{short(o.views)}</span> },
                { key: "penalty", title: "Lost each", num: true, value: (o) => o.penalty, cell: (o) => ms(o.penalty) },
                {
                  key: "lost",
                  title: "Lost in all",
                  num: true,
                  value: (o) => o.lost_ms,
                  cell: (o) => (
                    <span class="interval">
                      <span class="value">{duration(o.lost_ms / 1000)}</span>
                      <Bar share={o.lost_share} label={`${percent(o.lost_share)} of what is lost under this scheme`} tone="plain" />
                    </span>
                  ),
                },
                { key: "since", title: "Since", minor: true, value: (o) => o.since, cell: (o) => day(o.since) },
                {
                  key: "text",
                  title: "Text to send",
                  cell: (o) => (
                    <button aria-expanded={chosen == key(o)} aria-label={`Text for ${network(o.asn, o.as_name)}`} onClick={() => setQuery({ show: chosen == key(o) ? "" : key(o) })}>
                      Text
                    </button>
                  ),
                },
              ]}
            />
            </>
          )}
        </Show>
      </Panel>
      {answer.data && <Letter offender={answer.data.rows.find((o) => key(o) == chosen)} />}
    </>
  );
}

const Reached = ({ o }: { o: Offender }) => (
  <span class="nowrap">
    <a href={`/catchments/${o.pop}`}>{o.pop}</a> → <a href={`/catchments/${o.best_pop}`}>{o.best_pop}</a>
  </span>
);

/** The facts for the network's operator, to be copied into a mail. */
function Letter({ offender: o }: { offender?: Offender }) {
  const [text, setText] = useState<{ of: string; is: string }>();
  const at = useRef<HTMLDivElement>(null);
  const id = o ? key(o) : "";
  useEffect(() => at.current?.scrollIntoView({ block: "nearest" }), [id]);
  if (!o) return null;
  const is = text?.of == id ? text.is : (o.text);
  return (
    <div ref={at}>
    <Panel title={`To the operator of ${network(o.asn, o.as_name)}`} tools={<Copy text={is} label="Copy the text" />} note="Read it before you send it; edit it here.">
      <textarea rows={16} aria-label="Text to send" value={is} spellcheck={false} onInput={(e) => setText({ of: id, is: e.currentTarget.value })} />
    </Panel>
    </div>
  );
}
