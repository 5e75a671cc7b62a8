// What /api/v1/ramps answers.

export type Phase = "pending" | "running" | "held" | "rolled_back" | "done";

export interface Check {
  metric: string;
  network?: number;
  others?: boolean;
  units: [number, number];
  size: [number, number];
  control: number;
  treatment: number;
  margin: number;
  harm: number;
  low: number;
  high: number;
  verdict: string;
  worse?: boolean;
  better?: boolean;
}

export interface Decision {
  at: string;
  geography?: string;
  action: string;
  from: number;
  to: number;
  reason: string;
  achieved: number;
  contamination: number;
  checks?: Check[];
}

export interface ArmRate {
  metric: string;
  units: number;
  size: number;
  rate: number;
  low?: number;
  high?: number;
}

export interface Progress {
  id: string;
  phase: Phase;
  share: number;
  step: number;
  since: string;
  covered: string;
  why?: string;
  back?: number;
  not_before?: string;
  views: [number, number];
  achieved: number;
  contamination: number;
  arms?: [ArmRate[] | null, ArmRate[] | null];
  decision?: Decision;
  recent?: (number | null)[];
}

export interface Status {
  id: string;
  service: string;
  from: string;
  to: string;
  steps: number[];
  guardrails: { metric: string; margin: number; relative?: number; on_breach: string; scope: string; window: string }[];
  seen: string;
  paused?: string;
  overloads?: { pop: string; since: string; load: number }[];
  geographies: Progress[];
}

export interface ArmValue {
  views: number;
  optimal: number | null;
  low: number | null;
  high: number | null;
  failed: number | null;
  p50: number | null;
  p90: number | null;
}

export interface Value {
  at: string;
  share: number;
  views: number;
  optimal: number | null;
  control: ArmValue;
  treatment: ArmValue;
}

export interface Chart {
  ramp: string;
  geographies: { id: string; values: Value[]; marks: { at: string; action: string; from: number; to: number; reason: string }[] }[];
  all: Value[];
}

export interface Look {
  at: string;
  from?: string;
  until?: string;
  trouble?: string;
  by?: string;
  commands?: { do: string; geography?: string; why: string }[];
  decisions: Decision[] | null;
}

export const phaseTone = { pending: "quiet", running: "info", held: "warn", rolled_back: "bad", done: "good" } as const;
export const phaseName: Record<Phase, string> = { pending: "pending", running: "running", held: "held", rolled_back: "rolled back", done: "done" };

export const metricName: Record<string, string> = {
  optimal: "page views at an optimal PoP",
  p50: "median latency",
  p90: "p90 latency",
  probe_failures: "failed probes",
  page_failures: "failed page loads",
  resets: "resets per connection-minute",
  load: "load of a PoP",
};
export const actionName: Record<string, string> = {
  start: "starts", advance: "goes on", finish: "is through", wait: "waits", hold: "held", back: "a step back", roll_back: "rolled back", resume: "resumed", pause: "paused", set: "set", refuse: "refused",
};

/** A ramp that is not through, or not back. */
export const open = (r: Status) => r.geographies.some((g) => g.phase == "pending" || g.phase == "running" || g.phase == "held");
