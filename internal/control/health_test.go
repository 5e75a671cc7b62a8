package control

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"catchment/internal/edge"
)

const second = time.Second

// script drives a tracker: one step a line, "SECONDS WHO WHAT", and what the
// state of iad is then. Who is iad itself, or a name server.
func script(t *testing.T, before []edge.Health, text string) {
	t.Helper()
	tr := newTracker(15*second, 2, 2, before, nil)
	start := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	tr.start(start)
	f := &edge.Fleet{PoPs: []edge.PoP{{ID: "iad"}}}
	for line := range strings.Lines(strings.TrimSpace(text)) {
		var at int
		var who, what, want string
		if _, err := fmt.Sscan(line, &at, &who, &what, &want); err != nil {
			t.Fatal(line, err)
		}
		now := start.Add(time.Duration(at) * second)
		switch {
		case who == "iad":
			tr.report("iad", edge.HealthReport{State: edge.HealthState(what), Share: 1, Why: "told"}, now)
		case who != "-":
			tr.probed(who, []edge.Reachable{{PoP: "iad", Address: "a", OK: false, Why: "v6"}, {PoP: "iad", Address: "b", OK: what == "up", Why: "refused"}}, now)
		}
		tr.settle(f, now)
		got := string(tr.of("iad").State)
		if tr.of("iad").silent {
			got += "!"
		}
		if got != want {
			t.Errorf("after %q: %s (%s)", strings.TrimSpace(line), got, tr.of("iad").Why)
		}
	}
}

func TestHealthRules(t *testing.T) {
	wasDown := []edge.Health{{PoP: "iad", State: edge.Down, Why: "before the restart"}}
	for name, c := range map[string]struct {
		before []edge.Health
		text   string
	}{
		"unchecked is unknown, and silence is told": {nil, `
			0 - - unknown
			15 - - unknown
			16 - - unknown!
			20 iad up up`},
		"its own word counts at once": {nil, `
			0 iad up up
			3 iad down down
			6 iad up up`},
		"its own word beats probes": {nil, `
			0 iad up up
			1 ns1 down up
			2 ns1 down up
			3 ns2 down up
			4 ns2 down up
			14 - - up`},
		"silence alone flips nothing": {nil, `
			0 iad up up
			15 - - up
			16 - - up!
			9999 - - up!`},
		"silence and a majority of failed probes do": {nil, `
			0 iad up up
			12 ns1 down up
			13 ns2 down up
			14 ns3 up up
			15 ns3 up up
			16 ns1 down up
			17 ns2 down down
			18 ns1 up down
			19 ns1 up up
			30 iad up up`},
		"one failed probe is none": {nil, `
			0 iad up up
			16 ns1 down up
			17 ns1 up up
			18 ns1 down up
			19 ns1 up up`},
		"half is no majority": {nil, `
			0 iad up up
			15 ns1 down up
			15 ns2 up up
			16 ns1 down up
			17 ns2 up up
			18 ns1 down up`},
		"what said it was down and fell silent stays down": {nil, `
			0 iad down down
			16 ns1 up down
			17 ns1 up down
			18 ns2 up down
			19 ns2 up down`},
		"probes alone make an unknown PoP known": {nil, `
			16 ns1 up unknown
			17 ns1 up up
			18 ns1 down up
			19 ns1 down down
			40 - - down!
			41 ns1 up down
			42 ns1 up up`},
		"probes that end hold the last state": {nil, `
			16 ns1 down unknown
			17 ns1 down down
			60 - - down!`},
		"a restart forgets nothing": {wasDown, `
			0 - - down
			16 - - down!
			17 iad up up`},
	} {
		t.Run(name, func(t *testing.T) { script(t, c.before, c.text) })
	}
}

// TestHealthInSnapshots: a report reaches followers at once, noise does not,
// and TTLs get long again when the fleet has settled.
func TestHealthInSnapshots(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.tell(iad, "health", `{"state":"up","share":1,"load":10}`)
		r.settle()
		if s := r.Snapshot(); s.Version != 2 || r.health("iad") != edge.Up {
			t.Fatalf("version %d: %+v", s.Version, s.Health)
		}
		for i := range 20 { // loads, reasons and thousandths of a share are no news
			r.tell(iad, "health", fmt.Sprintf(`{"state":"up","share":%v,"load":%d,"why":"%d"}`, 1-float64(i)/10000, 100+i, i))
			time.Sleep(3 * second)
		}
		synctest.Wait()
		if s := r.Snapshot(); s.Version != 2 {
			t.Errorf("version %d: %+v", s.Version, s.Health)
		}
		r.tell(iad, "health", `{"state":"up","share":0.5}`)
		r.settle()
		if s := r.Snapshot(); s.Version != 3 || s.Health[0].Share != 0.5 {
			t.Errorf("version %d: %+v", s.Version, s.Health)
		}
		r.tell(iad, "health", `{"state":"down","why":"disks"}`)
		r.settle()
		s := r.Snapshot()
		if s.Version != 4 || r.health("iad") != edge.Down || s.Health[0].Why != "disks" || s.Made.Sub(s.Health[0].Since) > second {
			t.Errorf("version %d: %+v", s.Version, s.Health)
		}
		plan, err := r.plan()
		if err != nil || plan.Services()[0].TTL() != 5*second {
			t.Errorf("TTL %v (%v)", plan.Services()[0].TTL(), err)
		}
		time.Sleep(5*time.Minute + 2*second) // it has settled
		synctest.Wait()
		if got := r.Snapshot(); got.Version != 5 || r.health("iad") != edge.Down {
			t.Errorf("version %d: %+v", got.Version, got.Health)
		}
		if plan, err = r.plan(); err != nil || plan.Services()[0].TTL() != 30*second {
			t.Errorf("TTL %v (%v)", plan.Services()[0].TTL(), err)
		}
	})
}

// TestSilentPoP goes the whole way: reports end, two of three name servers
// cannot reach the PoP, it leaves; they reach it again, it comes back.
func TestSilentPoP(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.tell(iad, "health", `{"state":"up"}`)
		time.Sleep(17 * second)
		probe := func(ok bool) {
			for range 3 {
				r.tell(ns1, "probes", fmt.Sprintf(`[{"pop":"iad","address":"192.0.2.10:443","ok":%v,"why":"refused"}]`, ok))
				r.tell(ns2, "probes", fmt.Sprintf(`[{"pop":"iad","address":"192.0.2.10:443","ok":%v,"why":"refused"},{"pop":"gone","address":"x","ok":true}]`, ok))
				r.tell(ns3, "probes", `[{"pop":"iad","address":"192.0.2.10:443","ok":true}]`)
				time.Sleep(5 * second)
			}
			synctest.Wait()
		}
		probe(false)
		if h := r.Snapshot().Health; len(h) != 1 || h[0].State != edge.Down || h[0].Why != "no report, and 2 of 3 name servers cannot reach it: 192.0.2.10:443: refused" {
			t.Errorf("%+v", h)
		}
		if text := r.api(200, "GET", "health", ""); !strings.Contains(text, `"state":"down"`) || !strings.Contains(text, `"ns3":{"state":"up","ok":true,"times":3`) {
			t.Error(text)
		}
		probe(true)
		if r.health("iad") != edge.Up {
			t.Errorf("%+v", r.Snapshot().Health)
		}
	})
}

func TestShare(t *testing.T) {
	f := func(state edge.HealthState, told, want float64) {
		t.Helper()
		if got := share(edge.HealthReport{State: state, Share: told}); got != want {
			t.Errorf("%s %v: %v, want %v", state, told, got, want)
		}
	}
	f(edge.Up, 1, 1)
	f(edge.Up, 0.504, 0.5)
	f(edge.Up, 0.001, 0.01) // 0 would stand for all
	f(edge.Up, 0, 0)
	f(edge.Down, 0.7, 0)
}

func TestBadReports(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		f := func(token, path, body, want string) {
			t.Helper()
			if code, text := do(r.Handler(), token, "POST", "/v1/"+path, body); code < 400 || !strings.Contains(text, want) {
				t.Errorf("%s: %d %s, want %s", body, code, text, want)
			}
		}
		f(iad, "health", `{"state":"unknown"}`, `"field":"state"`)
		f(iad, "health", `{"state":"up","share":2}`, `"field":"share"`)
		f(iad, "health", `{"state":"up","load":-1}`, `"field":"load"`)
		f(iad, "health", `{"state":"up","pop":"lax"}`, `"field":"pop"`)
		f(iad, "health", `{"state":"up","why":"`+strings.Repeat("x", 300)+`"}`, `"field":"why"`)
		f(iad, "health", `{"state":"up","why":"`+strings.Repeat("x", maxReport)+`"}`, "larger than")
		f(ns1, "probes", `{}`, "want []edge.Reachable")
		f(ns1, "probes", `[{"pop":"iad","why":"`+strings.Repeat("x", 300)+`"}]`, `"field":"why"`)
	})
}
