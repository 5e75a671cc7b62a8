// What a page says when it has nothing to show, or nothing new: what is going
// on, and what to do about it.

import type { ComponentChildren as Children } from "preact";
import type { Asked, Failure } from "../lib/api";
import { ago } from "../lib/format";

/** How the answer came about, which every answer of figures says. */
export interface Standing {
  state?: string;
  hint?: string;
}

export function Notice({ tone = "info", title, children, tools }: { tone?: "info" | "warn" | "bad"; title: Children; children?: Children; tools?: Children }) {
  return (
    <div class={`notice ${tone}`} role={tone == "bad" ? "alert" : "status"}>
      <p class="what">
        <span aria-hidden="true">{tone == "info" ? "ℹ" : "⚠"}</span> {title}
      </p>
      {children && <div class="hint">{children}</div>}
      {tools && <p class="tools">{tools}</p>}
    </div>
  );
}

/** Text in which `words` are code. */
export function Prose({ text }: { text: string }) {
  return <p>{text.split(/(`[^`]+`)/).map((x) => (x.length > 2 && x.startsWith("`") ? <code>{x.slice(1, -1)}</code> : x))}</p>;
}

export const Waiting = ({ tall }: { tall?: boolean }) => (
  <div class={`waiting ${tall ? "tall" : ""}`} role="status">
    <span class="visually-hidden">Loading</span>
    <i /> <i /> <i />
  </div>
);

const failed = (e: Failure) =>
  e.hint ||
  (e.status == 404
    ? "It may have been renamed or taken out of the fleet file. The lists in the menu have what there is now."
    : e.status == 403
      ? "You may read, not change: that needs a token of the role operator."
      : "The page tries again by itself. The control node's log says more.");

/** Failed tells of a request that went wrong. */
export function Failed({ error, retry }: { error: Failure; retry?: () => void }) {
  const title = error.status == 503 ? `The store is down: ${error.message}` : error.message;
  return (
    <Notice tone="bad" title={title} tools={retry && <button onClick={retry}>Try again</button>}>
      <Prose text={failed(error)} />
    </Notice>
  );
}

/**
 * Show shows an answer once it is there. While it is refreshed the old one
 * stays; if that fails, it stays under a notice of how old it is. An answer
 * whose state is not "ok" is told of, and shown if it has something.
 */
export function Show<T extends object>({ of, children, empty, tall }: { of: Asked<T>; children: (data: T) => Children; empty?: (data: T) => boolean; tall?: boolean }) {
  if (!of.data) return of.error ? <Failed error={of.error} retry={of.refresh} /> : <Waiting tall={tall ?? true} />;
  const { state, hint } = of.data as Standing;
  const odd = state && state != "ok";
  const nothing = empty?.(of.data) ?? false;
  return (
    <>
      {of.error && (
        <Notice tone="warn" title={`Not refreshed since ${ago(new Date(of.at).toISOString())}: ${of.error.message}`} tools={<button onClick={of.refresh}>Try again</button>}>
          <Prose text={failed(of.error)} />
        </Notice>
      )}
      {odd && (
        <Notice tone={state == "stale" || state == "gone" ? "warn" : "info"} title={titles[state] ?? state}>
          {hint && <Prose text={hint} />}
        </Notice>
      )}
      {nothing && !odd && (
        <Notice title={hint || "There is nothing here yet."} />
      )}
      {!nothing && children(of.data)}
    </>
  );
}

// What openapi.yaml has as State.
const titles: Record<string, string> = {
  building: "The figures are being made.",
  few: "There are page views, but too few probes to judge.",
  nothing: "There are no page views in these days or of this selection.",
  empty: "There are no page views yet.",
  stale: "The store cannot be read: these are the last figures.",
  gone: "The fleet has no such PoP any more.",
  none: "This is not set up.",
};
