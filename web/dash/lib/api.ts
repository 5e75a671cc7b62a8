// Requests to the API, and what a page needs to know of one under way: what
// came last, whether that is stale, and what went wrong.

import { useCallback, useEffect, useRef, useState } from "preact/hooks";

/** What the API answers when it has no figures: why, and what to do. */
export class Failure extends Error {
  constructor(readonly status: number, message: string, readonly hint = "", readonly field = "") {
    super(message);
  }
}

async function ask(path: string, init: RequestInit): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(path, { credentials: "same-origin", cache: "no-cache", ...init, headers: { Accept: "application/json", ...init.headers } });
  } catch (e) {
    if ((e as Error).name == "AbortError") throw e;
    throw new Failure(0, "The control node does not answer.", "Look whether `catchment serve` runs and this machine can reach it. The page tries again by itself.");
  }
  if (response.ok) return response;
  const text = await response.text().catch(() => "");
  let body: { error?: string; hint?: string; field?: string } = {};
  try {
    body = JSON.parse(text);
  } catch {
    body = { error: text.trim().slice(0, 300) };
  }
  const at = body.field && !body.error?.includes(body.field) ? `${body.field}: ` : "";
  throw new Failure(response.status, at + (body.error || `${response.status} ${response.statusText}`), body.hint, body.field);
}

export async function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  return (await ask(path, { signal: signal ?? null })).json();
}

export const getText = async (path: string, signal?: AbortSignal) => (await ask(path, { signal: signal ?? null, headers: { Accept: "text/html, text/plain" } })).text();

/** The token that actions carry beside the cookie; the login and the session say it. */
let csrf = "";
export const setCSRF = (token: string) => void (csrf = token);

/** Does something: the answer is JSON, or undefined where there is none. */
export async function send<T = unknown>(method: "POST" | "PUT" | "DELETE", path: string, body?: unknown): Promise<T> {
  const headers: Record<string, string> = { "X-CSRF-Token": csrf };
  if (body !== undefined) headers["Content-Type"] = typeof body == "string" ? "application/yaml" : "application/json";
  const response = await ask(path, { method, headers, body: body === undefined ? null : typeof body == "string" ? body : JSON.stringify(body) });
  const text = await response.text();
  return (text ? JSON.parse(text) : undefined) as T;
}

export interface Asked<T> {
  data?: T;
  error?: Failure;
  /** A first answer is awaited. */
  loading: boolean;
  /** When data came, ms since 1970. */
  at: number;
  refresh: () => void;
}

const kept = new Map<string, { data: unknown; at: number }>(); // the last answers, by path
const keepAtMost = 16; // some have ten thousand rows

function keep(path: string, last: { data: unknown; at: number }) {
  kept.delete(path);
  kept.set(path, last);
  if (kept.size > keepAtMost) kept.delete(kept.keys().next().value!);
}

/** Forgets everything: after a login or an action, whatever was read may be different. */
export const forget = () => kept.clear();

export const refreshEvery = 30_000; // ms; the figures behind are at most a minute old
const soon = 3000; // ms; after a failure, and where there will be more at any moment

/** Whether an answer says that it will soon be another one. */
const unsettled = (data: unknown) => ["building", "empty"].includes((data as { state?: string } | undefined)?.state ?? "");

interface Answered<T> {
  path: string | null;
  last?: { data: T; at: number };
  error?: Failure;
}

/**
 * The answer at a path, asked for again every so often while the page is in
 * sight; null asks nothing. What is on the screen stays until there is
 * something newer, and a request ends with the component that wanted it.
 */
export function useAPI<T>(path: string | null, every = refreshEvery): Asked<T> {
  const [, redraw] = useState(0);
  const now = useRef<Answered<T>>({ path: null });
  // What was kept may have had to make room for others since, what is on the screen not.
  if (now.current.path != path) now.current = { path, last: path == null ? undefined : (kept.get(path) as Answered<T>["last"]) };
  const again = useRef(() => {});
  useEffect(() => {
    if (path == null) return;
    let timer = 0;
    let request: AbortController | undefined;
    const state = now.current;
    const go = async () => {
      clearTimeout(timer);
      request?.abort();
      const mine = (request = new AbortController());
      try {
        const data = await get<T>(path, mine.signal);
        state.last = { data, at: Date.now() };
        state.error = undefined;
        keep(path, state.last);
      } catch (e) {
        if (mine.signal.aborted) return;
        state.error = e instanceof Failure ? e : new Failure(0, String(e));
        if (state.error.status == 401) dispatchEvent(new Event("unauthenticated"));
      }
      if (mine.signal.aborted) return;
      redraw((n) => n + 1);
      schedule();
    };
    const schedule = () => {
      clearTimeout(timer);
      if (every > 0 && !document.hidden) timer = setTimeout(go, Math.min(every, state.error || unsettled(state.last?.data) ? soon : every));
    };
    const seen = () => {
      const last = state.last?.at ?? 0;
      if (!document.hidden && every > 0) Date.now() - last > every ? go() : schedule();
    };
    again.current = go;
    document.addEventListener("visibilitychange", seen);
    go();
    return () => {
      clearTimeout(timer);
      request?.abort();
      document.removeEventListener("visibilitychange", seen);
    };
  }, [path, every]);
  const refresh = useCallback(() => again.current(), []);
  const last = now.current.last;
  return { data: last?.data, error: now.current.error, loading: path != null && !last && !now.current.error, at: last?.at ?? 0, refresh };
}
