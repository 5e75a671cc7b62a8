import type { ComponentChildren as Children } from "preact";
import { useEffect, useId } from "preact/hooks";

/** A part of a page under a heading, which names it for screen readers. */
export function Panel({ title, note, tools, children, wide, className = "" }: { title: string; note?: Children; tools?: Children; children?: Children; wide?: boolean; className?: string }) {
  const id = useId();
  return (
    <section class={`panel ${wide ? "wide" : ""} ${className}`} aria-labelledby={id}>
      <header>
        <h2 id={id}>{title}</h2>
        {tools && <div class="tools">{tools}</div>}
      </header>
      {note && <p class="note">{note}</p>}
      {children}
    </section>
  );
}

/** The head of a page: its title is the document's, too. */
export function Head({ title, lead, tools }: { title: string; lead?: Children; tools?: Children }) {
  useEffect(() => void (document.title = `${title} · Catchment`), [title]);
  return (
    <div class="head">
      <div>
        <h1 tabIndex={-1}>{title}</h1>
        {lead && <p class="lead">{lead}</p>}
      </div>
      {tools && <div class="tools">{tools}</div>}
    </div>
  );
}

/** Figures side by side, each with what it is. */
export const Figures = ({ children }: { children: Children }) => <dl class="figures">{children}</dl>;

export function Figure({ name, value, detail, children, tone }: { name: string; value: Children; detail?: Children; children?: Children; tone?: string }) {
  return (
    <div class={`figure ${tone ?? ""}`}>
      <dt>{name}</dt>
      <dd>
        <span class="value">{value}</span>
        {detail && <span class="detail">{detail}</span>}
        {children}
      </dd>
    </div>
  );
}

/** A state in a word, with a sign so that color is not all. */
export function Badge({ tone, children }: { tone: "good" | "bad" | "warn" | "quiet" | "info"; children: Children }) {
  const sign = { good: "●", bad: "✕", warn: "▲", quiet: "○", info: "◆" }[tone];
  return (
    <span class={`badge ${tone}`}>
      <span aria-hidden="true">{sign}</span> {children}
    </span>
  );
}
