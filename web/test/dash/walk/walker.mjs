// One browser with an eye on everything that should not happen: errors on the
// console, requests to elsewhere, violations of accessibility, pages that are
// wider than the screen.

import { createRequire } from "node:module";
import { join } from "node:path";

const require = createRequire(new URL("../../../package.json", import.meta.url));
const { chromium } = require("playwright-core");
const axe = require("axe-core").source;

const args = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

export const wide = { width: 1440, height: 900 };
export const narrow = { width: 390, height: 844 };

/** The pages, with a link to each in the menu but the last ones. */
export const pages = [
  ["overview", "/"],
  ["compare", "/compare"],
  ["catchments", "/catchments"],
  ["pop", "/catchments/gru"],
  ["offenders", "/offenders"],
  ["stability", "/stability"],
  ["resolvers", "/resolvers"],
  ["ramps", "/ramps"],
  ["pops", "/pops"],
  ["whatif", "/whatif?edit=withdraw+gru&vip=global"],
  ["explain", "/explain?client=203.0.113.7"],
  ["ramp", "/ramps/rehearsal"],
  ["docs", "/docs"],
];

export async function walker(base, shots) {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args });
  const context = await browser.newContext({ viewport: wide, colorScheme: "light", reducedMotion: "reduce", locale: "en-US", timezoneId: "UTC" });
  context.setDefaultTimeout(15_000);
  await context.addInitScript(axe);
  await context.addInitScript(() => addEventListener("securitypolicyviolation", (e) => console.error(`CSP: ${e.violatedDirective} ${e.blockedURI}`)));
  const problems = [];
  const problem = (text) => problems.push(text);
  const page = await context.newPage();
  const w = { base, page, context, problem, expected: null, shots };
  const where = () => page.url().slice(base.length) || "/";
  page.on("pageerror", (e) => problem(`${where()}: ${e.stack}`));
  page.on("console", (m) => {
    if (m.type() != "error" && m.type() != "warning") return;
    if (w.expected?.test(m.text())) return; // a status that the walk asked for
    problem(`${where()}: console: ${m.text()} ${m.location().url}`);
  });
  context.on("request", (r) => {
    const url = r.url();
    if (!url.startsWith(base + "/") && !/^(data|blob):/.test(url)) problem(`${where()}: a request leaves the origin: ${url}`);
  });

  /** Until the page shows what it has. */
  w.ready = async () => {
    await page.waitForSelector("main h1");
    await page.waitForFunction(() => !document.querySelector(".waiting"));
  };
  /** Follows an address as a link would, without loading the page anew. */
  w.go = async (path) => {
    await page.evaluate((p) => {
      const a = document.createElement("a");
      a.href = p;
      document.body.append(a);
      a.click();
      a.remove();
    }, path);
    await w.ready();
  };
  w.open = async (path) => {
    await page.goto(base + path);
    await w.ready();
  };
  w.expect = (what, is) => is || problem(`${where()}: ${what}`);
  w.equal = (what, is, want) => JSON.stringify(is) == JSON.stringify(want) || problem(`${where()}: ${what}: ${JSON.stringify(is)}, want ${JSON.stringify(want)}`);
  /** Through the link that the demo prints, if there is one, and then with a token. */
  w.login = async () => {
    if (process.env.CATCHMENT_LOGIN) {
      const guest = await browser.newContext();
      const tab = await guest.newPage();
      await tab.goto(process.env.CATCHMENT_LOGIN);
      await tab.waitForSelector("nav.main").catch(() => problem("the link does not log in"));
      await guest.close();
    }
    w.expected = /status of 401/; // nobody is logged in yet
    await page.goto(base + "/");
    await page.waitForSelector("h1");
    if (await page.$("input[name=token]")) {
      await page.fill("input[name=token]", process.env.CATCHMENT_TOKEN ?? "");
      await page.click("button.primary");
      await page.waitForSelector("nav.main");
    }
    w.expected = null;
  };
  /** Until the history that was stored a moment ago is in the figures, which the page shows by itself. */
  w.settled = async () => {
    await w.open("/compare?by=country");
    await page.waitForFunction(() => document.querySelectorAll("main tbody tr").length > 20 && !document.querySelector("main .notice"), null, { timeout: 60_000 });
  };
  w.fits = async (name) => {
    const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    w.expect(`${name} is ${over} px wider than the screen`, over <= 0);
  };
  w.accessible = async (name) => {
    const found = await page.evaluate(async () => {
      const r = await axe.run(document, { resultTypes: ["violations"], runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] });
      return r.violations.filter((v) => v.impact == "serious" || v.impact == "critical").map((v) => `${v.id}: ${v.help}: ${v.nodes.slice(0, 3).map((n) => n.html.slice(0, 160) + " " + (n.any[0]?.message ?? "")).join(" | ")}`);
    });
    for (const f of found) problem(`${where()}: ${name}: axe: ${f}`);
  };
  w.shot = async (name) => {
    if (!shots) return;
    await page.mouse.move(0, 0); // off everything that says more under the pointer
    await page.waitForFunction(() => !document.getElementById("said")?.textContent);
    await page.screenshot({ path: join(shots, `dash-${name}.png`), fullPage: false });
  };
  w.end = async () => {
    await browser.close();
    return problems;
  };
  return w;
}

/** Every page in both themes and at both widths. */
export async function visit(w) {
  for (const [theme, size] of [["light", wide], ["dark", wide], ["light", narrow], ["dark", narrow]]) {
    await w.page.emulateMedia({ colorScheme: theme, reducedMotion: "reduce" });
    await w.page.setViewportSize(size);
    for (const [name, path] of pages) {
      const what = `${name} ${theme} ${size.width} px`;
      await w.go(path);
      await w.fits(what);
      if ((theme == "light") == (size == wide)) await w.accessible(what); // each theme once, each width once
      if (size == wide && theme == "light") await w.shot(name);
      if (name == "overview" && theme == "dark") await w.shot(size == wide ? "dark" : "phone");
    }
  }
  await w.page.emulateMedia({ colorScheme: "light", reducedMotion: "reduce" });
  await w.page.setViewportSize(wide);
}
