// Catchment's probe script: after the page has loaded, measures which PoP
// answers under each scheme and how far candidate PoPs are, and reports it.
// Every attribute of its script element is described in docs/rum.md.

import type { Beacon, Listener, Plan, Probe } from "./rum/beacon";
import { page } from "./rum/page";
import { probe, resolution } from "./rum/probe";
import { type Answer, end, over, request } from "./rum/request";
import { idle } from "./rum/wait";

const doc = document;
const script = doc.currentScript as HTMLScriptElement;
const option = script.dataset;
const rate = +(option.rate || 1);
const nav = navigator;
const net = nav.connection || {};
const collectors = [option.collector || new URL(script.src).origin, option.fallback];
const flags: { [flag: string]: unknown } = {
  webdriver: nav.webdriver,
  prerender: doc.prerendering,
  hidden: doc.hidden, // as a prerendered page is
};
const beacon = { v: 1, rate, probes: [] as Probe[] } as Beacon;

// Settled once the beacon is complete. Listeners hang on it, so that it does
// not matter when they come, and so that what they throw stays theirs.
let complete: (beacon: Beacon) => void;
const completed = new Promise<Beacon>((resolve) => (complete = resolve));

// A second copy of the script must not measure the view a second time.
const { q } = window.catchment || { q: [] };
if (q) {
  const onBeacon = (listener: Listener) => completed.then(listener);
  window.catchment = { onBeacon };
  q.map(onBeacon);
  if (
    rate > Math.random() && // false where the rate is not a number
    (option.dnt == "ignore" || (!nav.globalPrivacyControl && nav.doNotTrack != "1")) &&
    !net.saveData &&
    !/2g/.test(net.effectiveType!) &&
    (window.PerformanceObserver as unknown) &&
    (nav.sendBeacon as unknown)
  ) {
    // In the capture phase, events of the document pass the window as well.
    addEventListener("pageshow", (e) => (flags.bfcache = e.persisted));
    addEventListener("pagehide", leave);
    addEventListener("visibilitychange", () => doc.hidden && leave(), true);
    schedule();
  }
}

function schedule() {
  if (doc.prerendering) addEventListener("prerenderingchange", schedule, true);
  else if (doc.readyState == "complete") setTimeout(measure, (option.delay as any) || 2000);
  else addEventListener("load", schedule);
}

async function measure() {
  await idle();
  // A hook that is named but missing gives no consent.
  if ((option.consent && !(await (window as any)[option.consent]())) || doc.hidden) return;
  beacon.id = [...crypto.getRandomValues(new Uint8Array(32))].map((b) => (b % 16).toString(16)).join("");
  try {
    const plan: Plan = JSON.parse(option.plan || (await ask("/v1/plan"))!.content);
    beacon.plan = plan.id;
    while (plan.probes[0]) {
      await idle();
      if (over) return;
      await probe(beacon.probes, plan.probes.splice(Math.random() * plan.probes.length, 1)[0]!);
    }
  } catch {
    // A collector that is down must not be silent: a beacon without probes
    // says so, if there is any way left.
    flags.noplan = 1;
  }
  finish(() => ask("/v1/beacons", body));
}

// The page goes out of sight. What would be measured from here on is a
// throttled page, and there may be no later moment to report in.
function leave() {
  flags.hidden = 1;
  finish(() => nav.sendBeacon(collectors[0] + "/v1/beacons", body()));
}

// Ends the measurement, once, and has the beacon sent after all who listen
// have seen it.
function finish(send: () => void) {
  if (over || !beacon.id) return;
  end();
  flags.coarse = resolution > 2; // clocks have 1 ms or less, or else 16 and more
  beacon.page = page();
  beacon.net = { type: net.effectiveType };
  body();
  complete(beacon);
  if (option.send != "none") completed.then(send);
}

function body() {
  beacon.t = Date.now();
  beacon.flags = Object.keys(flags).filter((flag) => flags[flag]);
  return JSON.stringify(beacon);
}

// Requests path from the collector, and from the second address once the
// first has failed; undefined if all fail. The answer is read even for a
// beacon (it is a plain cross-origin request, without preflight): only so is a
// 503 seen.
async function ask(path: string, body?: () => string): Promise<Answer | undefined> {
  const r = await request(collectors[0] + path, body && { method: "POST", keepalive: true, body: body() });
  if ((r && r.ok) || !collectors[1] || (over && !body)) return r;
  flags.fallback = collectors.shift();
  return ask(path, body);
}
