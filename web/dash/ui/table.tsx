import type { ComponentChildren as Children } from "preact";
import { useState } from "preact/hooks";
import { count } from "../lib/format";

export interface Column<T> {
  key: string;
  title: string;
  help?: string;
  num?: boolean;
  /** Sorts by this; a column without cannot be sorted by. */
  value?: (row: T) => number | string | null | undefined;
  cell: (row: T) => Children;
  /** Left out where there is little room. */
  minor?: boolean;
}

export interface Sort {
  key: string;
  down: boolean;
}

/** Reads "optimal" or "-optimal". */
export const parseSort = (text: string | null, otherwise: string): Sort => {
  const t = text || otherwise;
  return { key: t.replace(/^-/, ""), down: t.startsWith("-") };
};
export const sortText = (s: Sort) => (s.down ? "-" : "") + s.key;

/** Sorted by a column; what is not known comes last either way. */
export function sorted<T>(rows: readonly T[], columns: readonly Column<T>[], sort: Sort): T[] {
  const value = columns.find((c) => c.key == sort.key)?.value;
  if (!value) return [...rows];
  const missing = (x: unknown) => x == null || (typeof x == "number" && Number.isNaN(x));
  return [...rows].sort((a, b) => {
    const [x, y] = [value(a), value(b)];
    if (missing(x) || missing(y)) return +missing(x) - +missing(y);
    const order = typeof x == "string" || typeof y == "string" ? String(x).localeCompare(String(y)) : x! - y!;
    return sort.down ? -order : order;
  });
}

const pageSize = 100;

interface Props<T> {
  caption: string;
  /** The caption is for screen readers alone where a heading says the same. */
  quiet?: boolean;
  columns: Column<T>[];
  rows: readonly T[];
  id: (row: T) => string;
  sort?: Sort;
  onSort?: (s: Sort) => void;
  /** The rows come sorted. */
  presorted?: boolean;
  empty?: Children;
  current?: string;
  /** How many rows are shown at first. */
  most?: number;
}

/** A table that is sorted by its headers and shows long lists piece by piece. */
export function Table<T>({ caption, quiet = true, columns, rows, id, sort, onSort, presorted, empty, current, most = pageSize }: Props<T>) {
  const [own, setOwn] = useState<Sort | undefined>(sort);
  const [shown, setShown] = useState(most);
  const by = onSort ? sort : own;
  const change = onSort ?? setOwn;
  const all = by && !presorted ? sorted(rows, columns, by) : rows;
  if (!rows.length) return <p class="nothing">{empty ?? "Nothing to list."}</p>;
  return (
    <>
      <div class="scroll" role="region" aria-label={caption} tabIndex={0}>
        <table>
          <caption class={quiet ? "visually-hidden" : ""}>{caption}</caption>
          <thead>
            <tr>
              {columns.map((c) => {
                const on = by?.key == c.key;
                return (
                  <th scope="col" class={(c.num ? "num " : "") + (c.minor ? "minor" : "")} aria-sort={on ? (by.down ? "descending" : "ascending") : undefined} title={c.help}>
                    {c.value ? (
                      <button type="button" onClick={() => change({ key: c.key, down: on ? !by.down : !!c.num })}>
                        {c.title}
                        <span class="arrow" aria-hidden="true">
                          {on ? (by.down ? "↓" : "↑") : ""}
                        </span>
                      </button>
                    ) : (
                      c.title
                    )}
                  </th>
                );
              })}
            </tr>
          </thead>
          <tbody>
            {all.slice(0, shown).map((row) => (
              <tr key={id(row)} class={current == id(row) ? "current" : ""}>
                {columns.map((c, i) => {
                  const cls = (c.num ? "num " : "") + (c.minor ? "minor" : "");
                  return i == 0 ? (
                    <th scope="row" class={cls}>
                      {c.cell(row)}
                    </th>
                  ) : (
                    <td class={cls}>{c.cell(row)}</td>
                  );
                })}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {all.length > shown && (
        <p class="more">
          {count(shown)} of {count(all.length)} shown. <button onClick={() => setShown(shown + 5 * pageSize)}>Show more</button>
        </p>
      )}
    </>
  );
}
