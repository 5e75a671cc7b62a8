// The demo page: shows this browser's own beacon, and the live table.
"use strict";

const byId = (id) => document.getElementById(id);

/** Returns a new element with text and, where given, a class. */
function make(tag, text, className) {
  const e = document.createElement(tag);
  e.textContent = text;
  if (className) e.className = className;
  return e;
}

function showBeacon(beacon) {
  byId("beacon").textContent = JSON.stringify(beacon, null, 1);
  const rows = beacon.probes
    .toSorted((a, b) => a.target.localeCompare(b.target))
    .map((p) => {
      const row = document.createElement("tr");
      const bar = document.createElement("td");
      if (p.rtt) {
        const meter = document.createElement("meter");
        meter.max = 350;
        meter.value = p.rtt;
        meter.textContent = `${p.rtt} ms`;
        bar.append(meter);
      }
      row.append(
        make("td", p.target),
        make("td", p.pop ?? p.error),
        make("td", p.rtt ? p.rtt.toFixed(1) : "–", "n"),
        bar,
      );
      return row;
    });
  const table = byId("probes");
  table.tBodies[0].replaceChildren(...rows);
  table.hidden = false;
  byId("status").textContent = `Measured ${rows.length} targets and reported them.`;
}

const percent = (x) => `${(100 * x).toFixed(1)} %`;

/** A share with its 95 % interval drawn on a line from 0 to 100 %. */
function shareCell(s) {
  const cell = make("td", "");
  if (!s || s.optimal == null) {
    cell.textContent = "–";
    return cell;
  }
  cell.append(make("span", percent(s.optimal)));
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 100 6");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", `95 % interval ${percent(s.low)} to ${percent(s.high)}`);
  const rect = (className, x, y, width, height) => {
    const r = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    for (const [k, v] of Object.entries({ class: className, x, y, width, height })) r.setAttribute(k, v);
    svg.append(r);
  };
  rect("track", 0, 2.5, 100, 1);
  rect(s.optimal < 0.7 ? "interval poor" : "interval", 100 * s.low, 0, Math.max(1, 100 * (s.high - s.low)), 6);
  cell.append(svg);
  return cell;
}

/** Fetches JSON of this server. */
async function get(path) {
  const response = await fetch(path, { cache: "no-store" });
  if (!response.ok) throw new Error(await response.text());
  return response.json();
}

const names = new Intl.DisplayNames(["en"], { type: "region" });

function placeName({ country, subdivision }) {
  if (subdivision) return `${country} ${subdivision}`;
  return country ? names.of(country) : "unknown";
}

let tables = { countries: [], states: [] };

/** Shows the chosen table, the places with most page views first. */
function showTable() {
  const groups = tables[document.querySelector("input[name=view]:checked").value];
  if (!groups.length) return;
  const rows = groups
    .toSorted((a, b) => b.views - a.views)
    .slice(0, 60)
    .map((g) => {
      const row = document.createElement("tr");
      row.append(
        make("td", placeName(g.group)),
        make("td", g.views.toLocaleString("en-US"), "n"),
        shareCell(g.schemes.unicast),
        shareCell(g.schemes.global),
        shareCell(g.schemes.regional),
        make("td", g.best_pop ?? "–"),
        make("td", g.verdicts?.global ?? "–"),
        make("td", g.verdicts?.regional ?? "–"),
      );
      return row;
    });
  byId("report").tBodies[0].replaceChildren(...rows);
}

async function refresh() {
  try {
    tables = await get("table.json");
    showTable();
    byId("fresh").textContent = `As of ${new Date().toLocaleTimeString()}; made anew every few seconds.`;
  } catch (e) {
    byId("fresh").textContent = `The table could not be read (${e.message}); trying again.`;
  }
  setTimeout(refresh, 5000);
}

/** Shows how much of the history is there, until all of it is. */
async function showHistory() {
  try {
    const { stored, total } = await get("history.json");
    byId("history").hidden = stored >= total;
    byId("progress").value = stored / total;
    byId("stored").textContent = `${stored.toLocaleString("en-US")} of ${total.toLocaleString("en-US")} page views of the last two weeks`;
    if (stored >= total) return;
  } catch {
    // Said by refresh.
  }
  setTimeout(showHistory, 1000);
}

async function showVisitor() {
  const v = await get("visitor.json");
  byId("pops").textContent = v.pops;
  byId("networks").textContent = v.networks.toLocaleString("en-US");
  const where = [v.place.city, v.place.subdivision, names.of(v.place.country)].filter(Boolean).join(", ");
  const leads = (s) => (v.leads[s] ? `${v.leads[s].city} (${v.leads[s].pop}, ${v.leads[s].rtt} ms)` : "nowhere");
  byId("visitor").textContent =
    `The demo takes you for a user of ${v.place.as_name || `AS${v.place.asn}`} in ${where}. ` +
    `From there geo-DNS leads to ${leads("unicast")}, global anycast to ${leads("global")}, regional anycast to ${leads("regional")}.`;
}

// rum.js is loaded async: whoever comes first makes the queue.
window.catchment ??= { q: [], onBeacon(fn) { this.q.push(fn); } };
window.catchment.onBeacon(showBeacon);
for (const input of document.querySelectorAll("input[name=view]")) input.addEventListener("change", showTable);
showVisitor();
showHistory();
refresh();
