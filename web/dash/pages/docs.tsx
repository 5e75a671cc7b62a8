import { useAPI } from "../lib/api";
import type { Doc, DocEntry } from "../lib/contract";
import { Head } from "../ui/panel";
import { Show } from "../ui/standing";

/** The documentation that came with this very binary. */
export function Docs({ id: asked }: { id: string }) {
  const id = asked.replace(/\.md$/, ""); // links of one document to another
  const list = useAPI<{ docs: DocEntry[] }>("/api/v1/docs", 0);
  const first = id || list.data?.docs[0]?.id || "";
  const doc = useAPI<Doc>(first ? `/api/v1/docs/${encodeURIComponent(first)}` : null, 0);
  return (
    <>
      <Head title={doc.data?.title ?? "Docs"} />
      <div class="columns">
        <nav aria-label="Documents">
          <Show of={list}>
            {(l) => (
              <ul>
                {l.docs.map((d) => (
                  <li>
                    <a href={`/docs/${d.id}`} aria-current={d.id == first ? "page" : undefined}>
                      {d.title}
                    </a>
                  </li>
                ))}
              </ul>
            )}
          </Show>
        </nav>
        <article class="panel doc">
          <Show of={doc}>{(d) => <div dangerouslySetInnerHTML={{ __html: d.html.replace(/^\s*<h1[^>]*>.*?<\/h1>/s, "") }} />}</Show>
        </article>
      </div>
    </>
  );
}
