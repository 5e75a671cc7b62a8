import type { Planned, Probe } from "./beacon";
import { downloads, patience } from "./limits";
import { over, request, timedOut } from "./request";
import { duration, id, phases, round, told } from "./timing";

// The clock's resolution, ms: the greatest common divisor of what was measured,
// to 0.1 ms (0: nothing was). The least difference would mistake a slow device
// for a coarse clock.
export let resolution = 0;

// Measures one target and adds it to probes, at once: should the page go away,
// it is reported as it is then. A failure is a result: the first failed
// download ends it, and what was measured until then is kept, without an rtt.
// Rejects only if url is none.
export async function probe(probes: Probe[], { target, url }: Planned) {
  const p: Probe = { target, error: "aborted", warm: [], flags: [] };
  probes.push(p);
  let tcp = Infinity;
  let warm = Infinity;
  let error: Probe["error"];

  for (let i = 0; i < downloads && !error; i++) {
    const href = new URL(url + "?" + Math.random()).href; // past every cache
    // An observer of our own: the page's buffer of timings may be full, and is
    // the page's.
    let observer: PerformanceObserver;
    const timings = new Promise<PerformanceResourceTiming>((resolve: (e: any) => void) => {
      observer = new PerformanceObserver((list) => list.getEntriesByName(href).map(resolve));
      observer.observe({ entryTypes: ["resource"] });
      setTimeout(resolve, patience, {}); // where the browser delivers none
    });
    const r = await request(href);
    if (r) {
      const e = await timings;
      const said = told(e);
      // A cache or proxy on the way may strip or replay either of the two.
      const pop = id(r.headers.get("x-pop")) || said.pop;
      if (!i) p.pop = pop;
      if (!r.ok) {
        error = "http";
        p.status = r.status;
      } else if (!e.requestStart) {
        error = "tao";
      } else if (!pop || (said.pop && said.pop != pop)) {
        error = "mismatch";
      } else if (pop != p.pop) {
        // Its timings would spoil the first one's.
        p.served = [p.pop!, pop];
      } else {
        const phase = phases(e);
        for (let ms of phase) {
          while (ms > 0.1) [resolution, ms] = [ms, resolution % ms];
        }
        const ttfb = phase.pop()!;
        p.mrtt = said.mrtt;
        if (i) {
          p.warm.push(round(ttfb));
          if (ttfb < warm) {
            warm = ttfb;
            p.srv = said.srv;
          }
        } else {
          p.vip = said.vip;
          p.af = +said.af! || undefined;
          p.proto = e.nextHopProtocol || undefined;
          // Nothing is cold about a connection that was open already.
          if (phase[1]) {
            tcp = phase[1];
            p.cold = phase.map(round);
          }
        }
      }
    } else {
      error = timedOut ? "timeout" : "net";
    }
    observer!.disconnect();
    if (over) return;
  }

  if (p.served) p.flags.push("flip");
  if (!error) {
    // A connect far below the rest was accepted by something nearer, unless
    // the PoP's kernel saw no more: then the browser was busy all along.
    warm -= p.srv || 0;
    if (tcp < warm / 2 && tcp < warm - 10 && !(p.mrtt! <= tcp)) {
      tcp = warm;
      p.flags.push("split");
    }
    p.rtt = duration(Math.min(tcp, warm));
  }
  p.error = error;
}
