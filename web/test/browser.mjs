// One browser for a test file, with a page's site, collectors and PoPs beside
// it. All of it ends with the tests.

import assert from "node:assert/strict";
import { after } from "node:test";
import { chromium } from "playwright-core";
import * as servers from "./servers.mjs";

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
export const site = await servers.site();
export const collectors = await servers.collectors();
export const pops = await servers.pops();
export const dead = await servers.nobody();

after(async () => {
  await browser.close();
  for (const s of [site, collectors, pops]) s.close();
});

const escape = (s) => s.replaceAll("&", "&amp;").replaceAll('"', "&quot;");

// A script element for rum.js with data- attributes.
export function tag(attributes) {
  const data = Object.entries(attributes).map(([name, value]) => ` data-${name}="${escape(String(value))}"`);
  return `<script async src="${collectors.scriptURL}"${data.join("")}></script>`;
}

// Opens a page with the script. before runs in the page ahead of everything
// else; markup precedes the script. page.errors gathers what pages log of.
export async function open({ attributes = {}, before, markup = "", headers }) {
  const context = await browser.newContext();
  const page = await context.newPage();
  page.errors = [];
  page.on("pageerror", (e) => page.errors.push(String(e)));
  await page.addInitScript(() => {
    globalThis.seen = [];
    globalThis.violations = [];
    addEventListener("securitypolicyviolation", (e) => violations.push(e.blockedURI), true);
  });
  if (before) await page.addInitScript(before);
  await page.goto(site.add(`<!doctype html><meta charset=utf-8><title>page</title>${markup}${tag({ delay: 0, ...attributes })}`, headers));
  return page;
}

// Measures probes ({target: url}) from a page and returns the beacon.
export async function beaconOf(probes, options = {}) {
  const collector = collectors.add(probes);
  const page = await open({ ...options, attributes: { collector: collector.base, ...options.attributes } });
  const { beacon } = await collector.first();
  assert.deepEqual(page.errors, []);
  await page.context().close();
  return beacon;
}

// To be run in a page: records in calls the script's calls of what it cannot
// do anything without.
export function spy() {
  globalThis.calls = [];
  for (const name of ["setTimeout", "addEventListener", "fetch", "requestIdleCallback"]) {
    const original = globalThis[name];
    globalThis[name] = function (...args) {
      if (Error().stack.includes("/rum.js")) calls.push(name);
      return original.apply(this, args);
    };
  }
}

// To be run in a page: gives the script the chance to do what it should not.
export const idle = () => new Promise((resolve) => requestIdleCallback(() => requestIdleCallback(resolve)));
