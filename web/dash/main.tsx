// The dashboard: which page an address is, and whether one may see it.

import { render } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";
import { Failure, forget, get, send, setCSRF, useAPI } from "./lib/api";
import { SessionContext, type Session } from "./lib/session";
import { followLinks, usePlace } from "./lib/place";
import { popState, type PoPNow, type Site } from "./lib/pops";
import { Frame } from "./ui/frame";
import { Failed, Waiting } from "./ui/standing";
import { applyTheme } from "./ui/theme";
import { Head } from "./ui/panel";
import { Catchment } from "./pages/catchment";
import { Catchments } from "./pages/catchments";
import { Compare } from "./pages/compare";
import { Docs } from "./pages/docs";
import { Explain } from "./pages/explain";
import { Login } from "./pages/login";
import { Offenders } from "./pages/offenders";
import { Overview } from "./pages/overview";
import { PoPs } from "./pages/pops";
import { Ramp } from "./pages/ramp";
import { Ramps } from "./pages/ramps";
import { Resolvers } from "./pages/resolvers";
import { Stability } from "./pages/stability";
import { WhatIf } from "./pages/whatif";

interface Fleet {
  pops: Site[];
  vips: string[];
  services: string[];
  example?: string; // an address of a client
}

const nowhere: Fleet = { pops: [], vips: [], services: [] };

function Page() {
  const { path } = usePlace();
  const [, name = "", id = "", more = ""] = path.split("/");
  // Which PoPs there are is what nearly every page needs; how they are, one wants to see as it changes.
  const fleet = useAPI<Fleet>("/api/v1/fleet", 60_000);
  const now = useAPI<PoPNow[]>("/api/v1/pops", name == "pops" ? 2000 : 30_000);
  const { pops: sites, vips, services, example } = fleet.data ?? nowhere;
  const place = (all: PoPNow[]) => all.map((p) => popState(p, sites.find((s) => s.id == p.pop)));
  const pops = useMemo(() => place(now.data ?? []), [now.data, fleet.data]);
  switch (more ? "none" : name) {
    case "":
      return <Overview pops={pops} />;
    case "compare":
      return <Compare />;
    case "catchments":
      return id ? <Catchment id={id} pops={pops} key={id} /> : <Catchments pops={pops} />;
    case "offenders":
      return <Offenders />;
    case "ramps":
      return id ? <Ramp id={id} key={id} /> : <Ramps />;
    case "stability":
      return <Stability />;
    case "resolvers":
      return <Resolvers />;
    case "pops":
      return <PoPs of={now} list={(d) => place(d as PoPNow[])} />;
    case "whatif":
      return <WhatIf pops={pops} vips={vips} />;
    case "explain":
      return <Explain services={services} example={example} />;
    case "docs":
      return <Docs id={id} />;
  }
  return (
    <>
      <Head title="There is no such page" />
      <p>
        Nothing is at <code>{path}</code>. <a href="/">The overview</a> has all there is.
      </p>
    </>
  );
}

function App() {
  const [session, set] = useState<Session | Failure>();
  const enter = () =>
    get<Session>("/api/v1/session").then(
      (s) => (setCSRF(s.csrf ?? ""), set(s)),
      (e) => set(e instanceof Failure ? e : new Failure(0, String(e))),
    );
  useEffect(() => {
    const out = () => enter();
    addEventListener("unauthenticated", out);
    enter();
    return () => removeEventListener("unauthenticated", out);
  }, []);
  if (!session) return <Waiting tall />;
  if (session instanceof Failure) {
    if (session.status == 401) return <Login done={enter} />;
    return (
      <main class="login">
        <h1>Catchment</h1>
        <Failed error={session} retry={enter} />
      </main>
    );
  }
  const logout = async () => {
    await send("DELETE", "/api/v1/session").catch(() => {}); // what comes next says whether it worked
    forget();
    enter();
  };
  return (
    <SessionContext.Provider value={session}>
      <Frame who={session.id} role={session.role} logout={logout}>
        <Page />
      </Frame>
    </SessionContext.Provider>
  );
}

applyTheme();
followLinks();
render(<App />, document.getElementById("app")!);
