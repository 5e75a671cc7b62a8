// PoPs as the control node knows them (GET /api/v1/pops), put as pages show them.

import type { Announcement, PoPState } from "./contract";

export interface PoPNow {
  pop: string;
  speaks: boolean;
  health: {
    state: string;
    why?: string;
    share?: number;
    reported?: string;
    load?: number;
    capacity?: number;
    silent?: boolean;
    probes?: PoPState["probes"];
  };
  ordered?: { by?: string; why?: string; since?: string; until?: string };
  shed?: { share: number; by?: string; why?: string };
  told?: string;
  age?: number; // seconds
  drain?: { phase: string; since: string; next: string; until?: string; waiting: string; why?: string };
  dns?: { out: boolean; waiting?: string[] };
  connections?: number;
  traffic?: number;
  wanted?: { prefix: string; vip?: string; announced: boolean; reason: string }[];
  neighbors?: { address: string; asn: number; state: string; since?: string; error?: string; sent: { prefix: string }[] | null; unsynced?: string[] }[];
  events?: { at: string; vip?: string; loud?: boolean; text: string }[];
}

/** The steps of a drain in order, as its progress bar has them. */
export const phases = ["dns-out", "ttl", "connections", "graceful-shutdown", "settle", "withdrawn", "drained"];
export const phasesBack = ["reannounce", "settle-back", "prefer", "dns-in"];

/** What is announced: a prefix is if any neighbor was really told of it. */
export function announcementsOf(p: PoPNow): Announcement[] {
  const told = new Set((p.neighbors ?? []).flatMap((n) => (n.sent ?? []).map((s) => s.prefix)));
  const wanted = (p.wanted ?? []).map((w) => ({ prefix: w.prefix, vip: w.vip ?? "", announced: told.has(w.prefix), wanted: w.announced, reason: w.reason }));
  const known = new Set(wanted.map((w) => w.prefix));
  return [...wanted, ...[...told].filter((x) => !known.has(x)).map((prefix) => ({ prefix, vip: "", announced: true, wanted: false, reason: "nothing wants it" }))];
}

export interface Site {
  id: string;
  place?: { country?: string; subdivision?: string; city?: string; lat?: number; lon?: number };
}

/** A PoP as pages show it: where it is, from the fleet; how it is, from the control node. */
export function popState(p: PoPNow, site?: Site): PoPState {
  const drain = p.drain ?? (p.ordered && { phase: p.speaks ? "" : p.dns?.waiting?.length ? "dns-out" : "", since: p.ordered.since, next: "", waiting: p.dns?.waiting?.length ? `for ${p.dns.waiting.join(", ")} to leave it out` : "" });
  return {
    pop: p.pop,
    city: site?.place?.city,
    country: site?.place?.country,
    lat: site?.place?.lat,
    lon: site?.place?.lon,
    state: p.health.state || "unknown",
    why: p.health.why,
    reported: p.health.reported,
    load: p.health.load ?? null,
    capacity: p.health.capacity ?? null,
    silent: p.health.silent,
    probes: p.health.probes,
    announcements: announcementsOf(p),
    connections: p.connections,
    sessions: (p.neighbors ?? []).map((n) => ({ address: n.address, asn: n.asn, state: n.state, error: n.error, unsynced: n.unsynced?.length ?? 0 })),
    drain: drain ? { ...drain, why: p.ordered?.why ?? p.drain?.why, by: p.ordered?.by, until: p.ordered?.until, back: !p.ordered } : null,
    shed: p.shed ?? null,
  };
}
