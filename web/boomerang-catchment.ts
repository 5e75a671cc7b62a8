// Boomerang plug-in: puts Catchment's beacon into boomerang's. Load it after
// boomerang.js, or append it to boomerang's plug-ins when building that.
//
//   ct                the whole beacon as JSON, as the collector reads it
//   ct.id, ct.rate    of the beacon; ct.flags where there are any
//   ct.page.pop       the PoP that served the page
//   ct.TARGET.pop, ct.TARGET.rtt, ct.TARGET.err    of each probe
//
// Catchment measures after the page has loaded, when boomerang's page-load
// beacon has mostly been sent. Holding that back would lose those of people
// who leave early, so that the fields then go into a beacon of their own with
// http.initiator=catchment.

import type { Beacon, Listener } from "./rum/beacon";

type Vars = Record<string, string | number>;

interface Boomerang {
  plugins: Record<string, object>;
  window?: Window;
  addVar(vars: Vars, singleBeacon: boolean): void;
  hasSentPageLoadBeacon(): boolean;
  isPageLoadBeacon(vars: Vars): boolean;
  real_sendBeacon(): void;
  responseEnd(resource: object): void;
  subscribe(event: "before_beacon", listener: (vars: Vars) => void): void;
}

const initiator = "catchment";

const BOOMR = ((window as any).BOOMR = (window as any).BOOMR || {}) as Boomerang;
BOOMR.plugins = BOOMR.plugins || {};
if (!BOOMR.plugins.Catchment) {
  let listening = false;
  BOOMR.plugins.Catchment = {
    init() {
      if (!listening) listen(BOOMR.window || window); // boomerang may run in a frame
      listening = true;
      return this;
    },
    is_complete: () => true,
  };
}

function listen(page: Window) {
  const queue: Listener[] = [];
  page.catchment = page.catchment || { q: queue, onBeacon: (listener) => void queue.push(listener) };
  page.catchment.onBeacon((beacon) => send(page, beacon));
}

function send(page: Window, beacon: Beacon) {
  const own = BOOMR.hasSentPageLoadBeacon();
  let pending: Vars | undefined = flatten(beacon);
  BOOMR.subscribe("before_beacon", (vars) => {
    if (pending && (own ? vars["http.initiator"] == initiator : BOOMR.isPageLoadBeacon(vars))) {
      BOOMR.addVar(pending, true);
      pending = undefined;
    }
  });
  if (!own) return;
  // What boomerang does for a dynamic request: any other beacon would wait for
  // plug-ins that have nothing left to say.
  const now = Date.now();
  BOOMR.responseEnd({
    initiator,
    url: page.location.href,
    subresource: "passive", // no page view of its own
    timing: { requestStart: now, loadEventEnd: now },
  });
  BOOMR.real_sendBeacon(); // at once: the page may be going away
}

function flatten(beacon: Beacon): Vars {
  const vars: Vars = { ct: JSON.stringify(beacon), "ct.id": beacon.id, "ct.rate": beacon.rate };
  const set = (name: string, value?: string | number) => {
    if (value) vars["ct." + name] = value;
  };
  set("flags", (beacon.flags || []).join());
  set("page.pop", beacon.page.pop);
  for (const p of beacon.probes) {
    set(p.target + ".pop", p.pop);
    set(p.target + ".rtt", p.rtt);
    set(p.target + ".err", p.error);
  }
  return vars;
}
