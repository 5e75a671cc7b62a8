// Where we are: the page and its view, all of it in the address, so that a
// link reproduces what is on the screen.

import { useEffect, useState } from "preact/hooks";

export interface Place {
  path: string; // without the base, beginning with "/"
  query: URLSearchParams;
}

const changed = new EventTarget();

/** What the address says. */
export const place = (l: { pathname: string; search: string } = location): Place => ({
  path: decodeURI(l.pathname).replace(/\/+$/, "") || "/",
  query: new URLSearchParams(l.search),
});

/** The query with some keys set, and those deleted that are empty; keys are in order, so that equal views have equal addresses. */
export function withQuery(query: URLSearchParams, set: Record<string, string | number | null | undefined>): URLSearchParams {
  const next = new URLSearchParams(query);
  for (const [key, value] of Object.entries(set)) {
    if (value == null || value === "") next.delete(key);
    else next.set(key, String(value));
  }
  next.sort();
  return next;
}

/** An address of this dashboard. */
export function href(path: string, query?: URLSearchParams | Record<string, string | number | null | undefined>): string {
  const q = query instanceof URLSearchParams ? query : withQuery(new URLSearchParams(), query ?? {});
  const text = q.toString().replaceAll("%2C", ",").replaceAll("%3A", ":").replaceAll("%2F", "/");
  return path + (text ? "?" + text : "");
}

/** Goes to an address. replace leaves no entry in the history: for typing and sorting. */
export function navigate(to: string, replace = false) {
  if (to == location.pathname + location.search) return;
  history[replace ? "replaceState" : "pushState"](null, "", to);
  changed.dispatchEvent(new Event("change"));
}

/** Sets keys of the query of this page. */
export const setQuery = (set: Record<string, string | number | null | undefined>, replace = true) =>
  navigate(href(location.pathname, withQuery(place().query, set)), replace);

/** Links within the dashboard are followed without loading a page. */
export function followLinks() {
  addEventListener("popstate", () => changed.dispatchEvent(new Event("change")));
  addEventListener("click", (e) => {
    const link = (e.target as Element).closest?.("a[href]") as HTMLAnchorElement | null;
    if (!link || e.defaultPrevented || e.button || e.metaKey || e.ctrlKey || e.shiftKey || e.altKey) return;
    if (link.origin != location.origin || link.target || link.hasAttribute("download") || link.dataset.load != null) return;
    if (/^\/(api|metrics|healthz|debug)\b/.test(link.pathname)) return;
    if (link.hash && link.pathname == location.pathname && link.search == location.search) return;
    e.preventDefault();
    navigate(link.pathname + link.search + link.hash);
    if (!link.closest("[data-keep-scroll]")) scrollTo(0, 0);
  });
}

/** The current place; the component is drawn again when it changes. */
export function usePlace(): Place {
  const [, redraw] = useState(0);
  useEffect(() => {
    const on = () => redraw((n) => n + 1);
    changed.addEventListener("change", on);
    return () => changed.removeEventListener("change", on);
  }, []);
  return place();
}
