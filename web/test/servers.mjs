// A page, its collectors and the PoPs that it probes, as small HTTP servers on
// loopback. They play what the script has to cope with; what the real servers
// do is not tested here.

import { once } from "node:events";
import { readFile } from "node:fs/promises";
import http from "node:http";

const bundles = new URL("../../internal/beacon/rum/", import.meta.url);
const script = await readFile(new URL("rum.js", bundles));

async function listen(handler) {
  const server = http.createServer({ keepAliveTimeout: 60_000 }, handler);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: server.address().port,
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}

async function read(req) {
  let body = "";
  for await (const chunk of req) body += chunk;
  return body;
}

// Serves HTML by path; add(html, headers) returns the address.
export async function site() {
  const pages = new Map();
  const server = await listen((req, res) => {
    const page = pages.get(req.url) ?? { html: "<!doctype html><title>elsewhere</title>", headers: {} };
    res.writeHead(200, { "content-type": "text/html; charset=utf-8", ...page.headers }).end(page.html);
  });
  const origin = `http://127.0.0.1:${server.port}`;
  return {
    ...server,
    origin,
    add(html, headers = {}) {
      const path = `/${pages.size}`;
      pages.set(path, { html, headers });
      return origin + path;
    },
  };
}

// Collectors by the first element of the path. A collector's plan is what its
// plan(req) returns, or a status; beacons likewise. undefined: the connection
// breaks. null: no answer at all.
export async function collectors() {
  const all = new Map();
  const server = await listen(async (req, res) => {
    if (req.url.endsWith("/rum.js")) {
      res.writeHead(200, { "content-type": "text/javascript", "access-control-allow-origin": "*" }).end(script);
      return;
    }
    const [, name, , what] = req.url.split("/");
    const c = all.get(name);
    c.requests.push({ method: req.method, url: req.url, headers: req.headers });
    const body = await read(req);
    const answer = what == "plan" ? c.plan(req) : c.beacons(body, req);
    if (answer === null) return;
    if (answer === undefined) {
      req.socket.destroy();
      return;
    }
    const cors = { "access-control-allow-origin": "*" };
    if (typeof answer == "number") res.writeHead(answer, cors).end();
    else res.writeHead(200, { ...cors, "content-type": "application/json" }).end(JSON.stringify(answer));
  });
  return {
    ...server,
    scriptURL: `http://127.0.0.1:${server.port}/rum.js`,
    // A collector that hands out probes ({target: url}) and takes beacons in.
    add(probes = {}) {
      const name = `c${all.size}`;
      const waiting = [];
      const c = {
        base: `http://127.0.0.1:${server.port}/${name}`,
        requests: [],
        got: [],
        plan: () => ({ id: `plan-${name}`, ttl: 60, probes: Object.entries(probes).map(([target, url]) => ({ target, url })) }),
        beacons(body, req) {
          const beacon = JSON.parse(body);
          c.got.push({ beacon, headers: req.headers });
          waiting.splice(0).forEach((f) => f());
          return 204;
        },
        // The first beacon, once it is there.
        async first() {
          while (!c.got.length) await new Promise((resolve) => waiting.push(resolve));
          return c.got[0];
        },
      };
      all.set(name, c);
      return c;
    },
  };
}

// PoPs on *.localhost, which browsers resolve to loopback by themselves. The
// path says how one behaves.
export async function pops() {
  const requests = [];
  const hanging = [];
  const seen = new Map(); // host → requests so far
  const server = await listen(async (req, res) => {
    requests.push({ method: req.method, url: req.url, headers: req.headers });
    const host = req.headers.host;
    const n = seen.get(host) ?? 0;
    seen.set(host, n + 1);
    const path = req.url.split("?")[0];
    let pop = "iad";
    const timing = (id = pop, srv = 0.05, mrtt = 0.01) =>
      `pop;desc="${id}", vip;desc="global", srv;dur=${srv}, rtt;dur=0.4, mrtt;dur=${mrtt}, af;desc="4"`;
    const headers = {
      "access-control-allow-origin": "*",
      "access-control-expose-headers": "X-PoP, Server-Timing",
      "timing-allow-origin": "*",
      "cache-control": "no-store",
      "x-pop": pop,
      "server-timing": timing(),
    };
    const reply = (status = 200) => res.writeHead(status, headers).end("1");
    switch (path) {
      case "/o":
        return reply();
      case "/hang":
        hanging.splice(0).forEach((f) => f());
        return;
      case "/break":
        return n >= 2 ? req.socket.destroy() : reply(); // for good: browsers try again once
      case "/503":
        return reply(503);
      case "/no-tao":
        delete headers["timing-allow-origin"];
        return reply();
      case "/no-header":
        delete headers["x-pop"];
        return reply();
      case "/anonymous":
        delete headers["x-pop"];
        headers["server-timing"] = "cache;desc=HIT";
        return reply();
      case "/merged":
        headers["x-pop"] = "iad, iad";
        return reply();
      case "/replayed":
        headers["x-pop"] = "lax";
        return reply();
      case "/flip":
        if (n >= 2) {
          headers["x-pop"] = pop = "lax";
          headers["server-timing"] = timing();
        }
        return reply();
      case "/far": // behind something that accepts connections nearby
        headers["server-timing"] = timing("iad", 0.05, 300);
        setTimeout(reply, 300);
        return;
      case "/busy": // 60 ms of server time, which is not distance
        headers["server-timing"] = timing("iad", 60);
        setTimeout(reply, 61); // timers may fire 1 ms early
        return;
    }
    res.writeHead(404).end();
  });
  let nonce = 0;
  return {
    ...server,
    requests,
    // Settled when a request hangs.
    hung: () => new Promise((resolve) => hanging.push(resolve)),
    // A fresh name for a PoP that behaves as path says.
    url: (path = "/o") => `http://n${nonce++}.localhost:${server.port}${path}`,
  };
}

// The address of a port on which nothing listens.
export async function nobody() {
  const server = await listen(() => {});
  server.close();
  return `http://127.0.0.1:${server.port}`;
}
