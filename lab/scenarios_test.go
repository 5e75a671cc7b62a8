package lab_test

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"catchment/internal/edge"
	"catchment/lab/delay"
)

// measuring is true once the page has finished a download from a PoP.
const measuring = `performance.getEntriesByType("resource").some((e) => e.name.includes(".` + probeZone + `/"))`

// scenario is a page view of some kind, and what its beacon must say.
type scenario struct {
	name   string
	steps  []step
	before func(*world)
	after  func(*world)
	errors int // how many errors the page shows, CSP violations among them
	check  func(*testing.T, *world, *edge.Beacon)
}

// underWorker is a view of a page that a service worker controls.
func underWorker(name string) []step {
	const controlled = "navigator.serviceWorker.controller !== null"
	return []step{open("/" + name), until(controlled), open("/plain"), answered(1), until(controlled), lastID}
}

// lastID, as the last step, tells which beacon is the view's.
var lastID = eval("beacon.id")

var scenarios = []scenario{
	{
		// The tab is closed while the script measures; the beacon leaves with
		// what there is. It has all the other scenarios' time to arrive.
		name:  "closed tab",
		steps: []step{open("/plain"), until(measuring), closeTab},
		check: checkCutShort,
	},
	{
		name:  "plain",
		steps: []step{open("/plain"), answered(1), lastID},
		check: func(t *testing.T, w *world, b *edge.Beacon) {
			w.checkAssignment(t, b, 4, "")
			// Chromium connects to a page's host ahead of the request, and
			// then tells no connect times.
			if p := b.Page; p.Load <= 0 || p.TTFB <= 0 {
				t.Errorf("page %+v, want load and ttfb", p)
			}
			if b.Place.Subdivision != "VA" || b.Place.ASN != 64500 || b.Client.String() != "192.0.2.0/24" {
				t.Errorf("client %v at %+v, want 192.0.2.0/24 in VA, AS 64500", b.Client, b.Place)
			}
		},
	},
	{
		name:  "tag at load",
		steps: []step{open("/late"), answered(1), lastID},
		check: func(t *testing.T, w *world, b *edge.Beacon) { w.checkAssignment(t, b, 4, "") },
	},
	{
		// A service worker that leaves other origins alone.
		name:  "service worker",
		steps: underWorker("polite"),
		check: func(t *testing.T, w *world, b *edge.Beacon) {
			w.checkAssignment(t, b, 4, "")
			w.checkRTT(t, b, 2)
		},
	},
	{
		// A service worker that answers for every request of the page. The
		// browser then hides the connection from the page, and the worker's
		// own time is in the RTT: a few ms too much, never too little.
		name:  "greedy service worker",
		steps: underWorker("greedy"),
		check: func(t *testing.T, w *world, b *edge.Beacon) {
			for _, p := range b.Probes {
				want := w.reached[p.Target]
				if p.Error != "" || p.PoP != want.pop || p.VIP != want.vip || len(p.Cold) > 0 || p.RTT < w.rtt(p.PoP) {
					t.Errorf("%+v, want PoP %q, VIP %q and an RTT from warm downloads alone", p, want.pop, want.vip)
				}
			}
			w.checkRTT(t, b, 10)
		},
	},
	{
		name:  "strict policy",
		steps: []step{open("/strict"), answered(1), lastID},
		check: func(t *testing.T, w *world, b *edge.Beacon) { w.checkAssignment(t, b, 4, "") },
	},
	{
		// The policy allows the collector and forgets the probe names.
		name:   "policy without probes",
		steps:  []step{open("/forgetful"), answered(1), lastID},
		errors: -1, // as many as there are attempts
		check: func(t *testing.T, w *world, b *edge.Beacon) {
			if len(b.Probes) != 6 {
				t.Errorf("%d probes, want 3 schemes and 3 PoPs", len(b.Probes))
			}
			for _, p := range b.Probes {
				if p.Error != "net" {
					t.Errorf("%+v, want error net", p)
				}
			}
		},
	},
	{
		name: "back after the measurement",
		steps: []step{
			open("/plain"), answered(1), open("/away"), back, until("window.restored"), lastID,
		},
		check: func(t *testing.T, w *world, b *edge.Beacon) { w.checkAssignment(t, b, 4, "") },
	},
	{
		name: "back during the measurement",
		steps: []step{
			open("/plain"), until(measuring), open("/away"), back, until("window.restored"), lastID,
		},
		check: checkCutShort,
	},
	{
		name:   "dead PoP",
		before: func(w *world) { w.sites["gru"].SetLink(delay.Link{Down: true}) },
		steps:  []step{open("/plain"), answered(1), lastID},
		after:  func(w *world) { w.sites["gru"].SetLink(delay.Link{RTT: gru.rtt}) },
		check: func(t *testing.T, w *world, b *edge.Beacon) {
			w.checkAssignment(t, b, 4, "gru")
			if got := b.View().Served; got != [...]edge.PoPID{"iad", edge.Failed, "lax"} {
				t.Errorf("the view was served by %q, want unicast by iad, global by none, regional by lax", got)
			}
		},
	},
	{
		name:  "busy page",
		steps: []step{open("/heavy"), answered(1), lastID},
		check: func(t *testing.T, w *world, b *edge.Beacon) {
			w.checkAssignment(t, b, 4, "")
			w.checkRTT(t, b, 2)
		},
	},
}

// TestScenarios: the script copes with what pages are like.
func TestScenarios(t *testing.T) {
	w := newWorld(t, iad, lax, gru, sin)
	b := newBrowser(t, w, 4)

	// First that preflights are seen at all.
	forced := fmt.Sprintf(`fetch("https://pop-iad-0.%s/o", {headers: {"X-Custom": "1"}}).catch(() => {})`, probeZone)
	if o := b.watched(open("/none"), eval(forced)); len(o.Preflights) != 1 {
		t.Fatalf("preflights that a custom header causes: %q, want one", o.Preflights)
	}

	ids := map[string]string{} // scenario to beacon
	unknown := ""              // the one that cannot tell its beacon
	for _, s := range scenarios {
		if s.before != nil {
			s.before(w)
		}
		o := b.watched(s.steps...)
		if s.after != nil {
			s.after(w)
		}
		if len(o.Preflights) > 0 {
			t.Errorf("%s: preflights: %q", s.name, o.Preflights)
		}
		if s.errors == 0 && len(o.Errors) > 0 || s.errors < 0 && len(o.Errors) == 0 {
			t.Errorf("%s: errors: %q", s.name, o.Errors)
		}
		if _, ok := s.steps[len(s.steps)-1]["close"]; ok {
			unknown = s.name
		} else {
			ids[s.name] = value[string](t, o, len(s.steps)-1)
		}
	}
	if n := w.pages.preflights.Load(); n > 0 {
		t.Errorf("%d preflights reached the page host", n)
	}

	stored := w.export()
	for id := range stored {
		if !slices.Contains(slices.Collect(maps.Values(ids)), id) {
			if ids[unknown] != "" {
				t.Errorf("beacon %s belongs to no page view", id)
			}
			ids[unknown] = id
		}
	}
	for _, s := range scenarios {
		t.Run(strings.ReplaceAll(s.name, " ", "_"), func(t *testing.T) {
			b := stored[ids[s.name]]
			if b == nil {
				t.Fatalf("its beacon %q is not in the store", ids[s.name])
			}
			s.check(t, w, b)
			if t.Failed() {
				t.Logf("%+v", *b)
			}
		})
	}
}

// checkCutShort checks the beacon of a view that ended while it measured.
func checkCutShort(t *testing.T, w *world, b *edge.Beacon) {
	t.Helper()
	if !slices.Contains(b.Flags, "hidden") {
		t.Errorf("flags %q, want hidden", b.Flags)
	}
	if len(b.Probes) == 0 {
		t.Fatal("no probes")
	}
	for i, p := range b.Probes {
		last := i == len(b.Probes)-1
		switch {
		case last && p.Error == "aborted":
		case p.Error != "" || p.PoP != w.reached[p.Target].pop:
			t.Errorf("probe %d of %d: %+v", i+1, len(b.Probes), p)
		}
	}
}

// checkRTT checks that the RTTs of one view are about right: off by at most
// limit ms in the median. TestAccuracy is strict, over more views.
func (w *world) checkRTT(t *testing.T, b *edge.Beacon, limit float64) {
	t.Helper()
	var off []float64
	for _, p := range b.Probes {
		off = append(off, math.Abs(p.RTT-w.rtt(p.PoP)))
	}
	t.Logf("RTT off by %.2f ms in the median, %.2f ms at most", quantile(off, 0.5), quantile(off, 1))
	if m := quantile(off, 0.5); m > limit {
		t.Errorf("RTT off by %.2f ms in the median, want at most %v ms", m, limit)
	}
}
