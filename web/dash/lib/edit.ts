// Edits of announcements, as the simulator reads them: "withdraw gru:64500".

export interface EditKind {
  kind: string;
  title: string;
  /** What an edit of this kind has, in the order of its text. */
  fields: Field[];
}

export interface Field {
  name: string;
  title: string;
  /** One of these, or free text. */
  of?: "pop" | "relation" | "count" | "continents";
  optional?: boolean;
  hint?: string;
}

const pop: Field = { name: "pop", title: "PoP", of: "pop" };
const neighbor: Field = { name: "asn", title: "Neighbor (AS number)", hint: "empty: all of them", optional: true };
const named: Field = { name: "asn", title: "Neighbor (AS number)" };

export const editKinds: EditKind[] = [
  { kind: "withdraw", title: "Withdraw", fields: [pop, neighbor] },
  { kind: "prepend", title: "Prepend", fields: [pop, neighbor, { name: "times", title: "Times", of: "count" }] },
  { kind: "drop-transit", title: "End a session", fields: [pop, named] },
  { kind: "add-session", title: "Add a session", fields: [pop, named, { name: "relation", title: "Relation", of: "relation" }] },
  { kind: "class", title: "Change a relation", fields: [pop, named, { name: "relation", title: "Relation", of: "relation" }] },
  { kind: "scope", title: "Only in continents", fields: [pop, neighbor, { name: "continents", title: "Continents", hint: "SA,NA" }] },
  { kind: "no-export", title: "Do not export to", fields: [pop, neighbor, { name: "asns", title: "Networks", hint: "64500,64501" }] },
  { kind: "add-pop", title: "Add a PoP", fields: [{ name: "id", title: "Id", hint: "bog" }, { name: "at", title: "Latitude,longitude", hint: "4.71,-74.07" }] },
];

/** An edit is "KIND TEXT"; fields that are left out leave no colon. */
export function editText(kind: EditKind, values: Record<string, string>): string | null {
  const parts: string[] = [];
  for (const f of kind.fields) {
    const v = (values[f.name] ?? "").trim().replace(/^AS(?=\d)/i, "");
    if (v) parts.push(v);
    else if (!f.optional) return null;
  }
  return `${kind.kind} ${parts.join(":")}`;
}

/** Edits of an address: several keys "edit". */
export const editsOf = (query: URLSearchParams) => query.getAll("edit").filter((e) => /^[a-z-]+ \S+$/.test(e));
