import type { Page } from "./beacon";
import { duration, phases, told } from "./timing";

// How the page was served, by Navigation Timing. A page out of the browser's
// cache (transferSize 0) says nothing about PoPs: its headers are old ones.
export function page(): Page {
  const e = (performance.getEntriesByType("navigation")[0] || {}) as PerformanceNavigationTiming;
  const p: Page = { load: duration(e.loadEventEnd) };
  if (e.transferSize) {
    p.pop = told(e).pop;
    p.vip = told(e).vip;
    [p.dns, p.connect, p.tls, p.ttfb] = phases(e).map(duration);
  }
  return p;
}
