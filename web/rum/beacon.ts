// The report from one page view, field for field as the collector reads it.
// Durations are milliseconds; what was not measured is left out.

export interface Beacon {
  v: 1;
  id: string; // 32 hexadecimal digits, random, new for each page view
  plan?: string;
  t?: number; // the browser's clock when it was sent, ms since 1970
  rate: number; // sampling rate, in (0, 1]
  page: Page;
  probes: Probe[];
  net?: { type?: string };
  flags?: string[];
}

// How the page itself was served.
export interface Page {
  pop?: string;
  vip?: string;
  dns?: number;
  connect?: number; // TCP only
  tls?: number;
  ttfb?: number; // request sent to first byte
  load?: number; // navigation start to the end of the load event
}

// One measured target.
export interface Probe {
  target: string;
  pop?: string; // the PoP that answered
  vip?: string;
  rtt?: number;
  warm: number[]; // responseStart − requestStart, on a connection in use
  cold?: number[]; // DNS, TCP connect, TLS
  srv?: number; // the server's own time, of the least warm download
  mrtt?: number; // the server kernel's minimum RTT
  proto?: string;
  af?: number; // 4 or 6
  status?: number; // where it was not a success
  error?: "timeout" | "net" | "http" | "tao" | "mismatch" | "aborted";
  served?: string[]; // where another PoP answered too: the first, and the last other one
  flags: ("split" | "flip")[];
}

// What the collector wants measured.
export interface Plan {
  id?: string;
  probes: Planned[];
}

export interface Planned {
  target: string;
  url: string;
}

export type Listener = (beacon: Beacon) => void;

declare global {
  interface Window {
    // The page's side of the script. A page that wants beacons before the
    // script has loaded defines it with a queue (q), which is then taken over.
    catchment?: { onBeacon: (listener: Listener) => void; q?: Listener[] };
  }
  // Not in the DOM library yet.
  interface Navigator {
    readonly globalPrivacyControl?: boolean;
    readonly connection?: { readonly saveData?: boolean; readonly effectiveType?: string };
  }
  interface Document {
    readonly prerendering?: boolean;
  }
}
