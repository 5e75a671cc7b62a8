// What the API answers, as far as pages read it. Shares are 0 to 1, durations
// ms, days UTC days, times RFC 3339; what is not known is null or left out.
// web/test/dash/contract.test.mjs holds it to internal/dash/openapi.yaml.

import type { Group } from "./place-name";

/** Every answer of figures says how it came about. */
export interface Standing {
  state: string;
  hint?: string;
  made?: string;
}

export interface SchemeFigures {
  views: number;
  failed?: number;
  optimal: number | null;
  low: number | null;
  high: number | null;
  penalty_p50: number | null;
  penalty_p90: number | null;
  wrong_pop?: string;
  wrong_share?: number | null;
}

export interface Difference {
  views: number;
  difference: number;
  low: number;
  high: number;
}

export interface Row {
  group: Group;
  as_name?: string;
  views: number;
  schemes: Record<string, SchemeFigures>;
  difference?: Record<string, Difference>;
  verdicts?: Record<string, string>;
  best_pop?: string;
}

export interface Comparison extends Standing {
  margin: number;
  total: number;
  rows: Row[];
}

export interface Offender {
  asn: number;
  as_name: string;
  country: string;
  subdivision: string;
  scheme: string;
  pop: string;
  best_pop: string;
  views: number;
  penalty: number;
  lost_ms: number;
  lost_share: number;
  first: string;
  last: string;
  since: string;
  text: string;
}

export interface Offenders extends Standing {
  total: number;
  rows: Offender[];
}

export interface Stretch {
  day: string;
  views: number;
  optimal: number | null;
  low?: number | null;
  high?: number | null;
}

export interface SchemeOverview extends SchemeFigures {
  before: number | null; // optimal in the same period a week ago
  days: Stretch[];
}

export interface PlaceLost {
  country: string;
  subdivision?: string;
  views: number;
  schemes: Record<string, { optimal: number | null; penalty_p50: number | null; best_pop?: string; wrong_pop?: string }>;
}

export interface PoPState {
  pop: string;
  city?: string;
  country?: string;
  lat?: number;
  lon?: number;
  state: string;
  why?: string;
  reported?: string;
  load?: number | null;
  capacity?: number | null;
  silent?: boolean;
  probes?: Record<string, { state: string; ok: boolean; times: number; at: string; why?: string }>;
  announcements?: Announcement[];
  connections?: number;
  sessions?: { address: string; asn: number; state: string; error?: string; unsynced: number }[];
  /** back: the drain was ended, and the PoP comes back. */
  drain?: { phase?: string; next?: string; waiting?: string; why?: string; since?: string; until?: string; by?: string; back?: boolean } | null;
  shed?: { share: number; why?: string; by?: string } | null;
}

export interface Overview extends Standing {
  views: number;
  views_before?: number | null;
  schemes: Record<string, SchemeOverview>;
  places: PlaceLost[];
  stability?: { hint?: string; days?: StabilityDay[] };
}

export interface CatchmentPlace {
  country: string;
  subdivision?: string;
  views: number;
  pops: { pop: string; share: number }[]; // the largest first
}

export interface CatchmentPoP {
  pop: string;
  views: number;
  share: number;
  rtt_p50: number | null;
  rtt_p90: number | null;
  not_optimal: number | null;
  foreign?: number | null;
}

export interface Catchments extends Standing {
  places: CatchmentPlace[];
  pops: CatchmentPoP[];
}

export interface Moves extends Standing {
  from: string;
  to: string;
  moved: number | null; // share of page views whose place and network changed its PoP
  rows: { country: string; subdivision?: string; asn?: number; as_name?: string; from_pop: string; to_pop: string; views: number; rtt_before?: number | null; rtt_after?: number | null }[];
}

export interface PoPCatchment extends Standing {
  pop: string;
  views: number;
  share: number;
  rtt_p50: number | null;
  rtt_p90: number | null;
  not_optimal: number | null;
  places: { country: string; subdivision?: string; views: number; share: number; rtt_p50?: number | null }[];
  networks: { asn: number; as_name?: string; views: number; share: number; rtt_p50?: number | null }[];
  rtt: { low: number; high: number; views: number }[]; // ms
  elsewhere: { country: string; subdivision?: string; asn?: number; as_name?: string; best_pop: string; views: number; penalty: number | null }[];
}

export interface Share {
  share: number | null;
  low?: number | null;
  high?: number | null;
}

export interface ResolverRow {
  group: Group & { resolver?: string };
  views: number;
  known: Share;
  km_p50: number | null;
  km_p90: number | null;
  astray: Share;
  ecs: Share;
  explained?: Share;
  as_name?: string;
  resolver_name?: string;
}

export interface Resolvers extends Standing {
  far_km: number;
  total: number;
  rows: ResolverRow[];
}

export interface ResetRow {
  group: { vip?: string; from?: string; to?: string; country?: string; asn?: number };
  as_name?: string;
  resets: number;
  per_hour: number | null;
  confirmed?: number;
  sampled?: number;
  prefixes?: number;
}

export interface StabilityDay {
  day: string;
  per_hour: number | null;
  vips: number | null; // broken in 1,000 minutes of connection
  unicast: number | null;
}

export interface Rate {
  per_minute: number | null;
  low: number | null;
  high: number | null;
}

export interface Survival {
  downloads: number;
  broken: number;
  rate: Rate;
}

export interface StabilityRow {
  group: { vip?: string; country?: string; asn?: number };
  as_name?: string;
  verdict: string;
  pattern: string;
  course: string;
  vip: Survival;
  unicast: Survival;
  excess: Rate;
}

export interface Stability extends Standing {
  answers: { vip: string; text: string }[];
  networks: StabilityRow[];
  resets: ResetRow[];
  days: StabilityDay[];
}

export interface Announcement {
  prefix: string;
  vip?: string;
  announced: boolean;
  wanted: boolean;
  reason?: string;
}


/** Round-trip times before and after, and percentiles of the users' own changes. */
export interface Shift {
  before_p50: number | null;
  before_p90: number | null;
  after_p50: number | null;
  after_p90: number | null;
  change_p50: number | null;
  change_p90: number | null;
}

export interface WhatIf extends Standing {
  vip: string;
  users: number;
  moved: number;
  lost: number;
  rtt_all: Shift;
  moves: { from: string; to: string; users: number; rtt: Shift }[];
  pops: { pop: string; capacity: number | null; users_before: number; users_after: number; rate_after?: number | null; over?: number | boolean | null }[];
  places?: { country: string; users: number; moved: number; before?: string; after?: string; rtt?: number | null }[];
  causes?: { asn: number; as_name: string; from: string; to: string; users: number; metro?: string; why: string }[];
}

export interface DocEntry {
  id: string;
  title: string;
}

export interface Doc {
  id: string;
  title: string;
  html: string;
}
