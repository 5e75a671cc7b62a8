// Reading Resource Timing and Server-Timing.

import { longest } from "./limits";

// Close to what the collector accepts as the name of a PoP or a VIP. A header
// that something on the way has rewritten must not cost the whole beacon.
const word = /^[a-z0-9-]+$/;

// Rounded to 0.01 ms: browsers resolve 0.1 ms, cross-origin isolated 0.005 ms.
export const round = (ms: number) => +ms.toFixed(2);

// A duration to report, undefined if there is none.
export const duration = (ms?: number) => (ms! > 0 && ms! <= longest && round(ms!)) || undefined;

// A name to report; nothing if it cannot be one.
export const id = (name?: string | null) => word.test(name!) && name;

// DNS, TCP handshake, TLS handshake, and request sent to first byte; each 0
// where there was none. TCP is 0 over QUIC, and the first three are on a
// connection that was open already.
export const phases = (e: PerformanceResourceTiming) => [
  e.domainLookupEnd - e.domainLookupStart,
  (e.secureConnectionStart || e.connectEnd) - e.connectStart,
  e.connectEnd - (e.secureConnectionStart || e.connectEnd),
  e.responseStart - e.requestStart,
];

// What a server says of itself in Server-Timing.
export interface Told {
  pop?: string;
  vip?: string;
  af?: string;
  srv?: number;
  mrtt?: number;
}

export function told(e: PerformanceResourceTiming): Told {
  const all: Record<string, string | number | undefined> = {};
  for (const s of e.serverTiming || []) all[s.name] = id(s.description) || s.duration || undefined;
  return all;
}
