package lab_test

import (
	"math"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"catchment/internal/edge"
)

// views returns how many page views a test makes: want, or $LAB_VIEWS.
func views(t *testing.T, want int) int {
	t.Helper()
	s := os.Getenv("LAB_VIEWS")
	if s == "" {
		return want
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		t.Fatalf("LAB_VIEWS=%q: want a positive number", s)
	}
	return n
}

// measure makes n views of page, one after another, and returns the ids of
// their beacons, every one of which was answered with 204.
func measure(t *testing.T, b *browser, page string, n int) []string {
	t.Helper()
	ids := make([]string, n)
	start := time.Now()
	silent := 0
	for i := 0; i < n; {
		// Once in some 500 views the driver sees no beacon being answered, on a
		// machine without a core to spare. Such a view is repeated and told of.
		o := b.attempt(false, []step{open(page), answered(1), eval("beacon.id")})
		if o.Error != "" {
			t.Logf("figures: page view %d of %d: %s", i+1, n, o.Error)
			if silent++; silent > 1+n/50 {
				t.Fatalf("%d page views of %d without a beacon: %+v", silent, n, o)
			}
			continue
		}
		for _, beacon := range o.Beacons {
			if beacon.Status != 204 {
				t.Fatalf("a beacon was answered with %d: %s", beacon.Status, beacon.Body)
			}
		}
		for _, e := range o.Errors {
			t.Errorf("error on %s: %s", page, e)
		}
		ids[i] = value[string](t, o, 2)
		i++
	}
	took := time.Since(start)
	t.Logf("%d page views of %s in %.1f s", n, page, took.Seconds())
	return ids
}

// TestAccuracy: every probe names the PoP and the VIP that its packets went
// to, and its RTT is what the network was set to.
func TestAccuracy(t *testing.T) {
	w := newWorld(t, iad, lax, gru, sin)
	b := newBrowser(t, w, 4)
	ids := measure(t, b, "/plain", views(t, 20))
	stored := w.export()

	var off []float64 // ms
	split := 0
	byPoP := map[edge.PoPID][]float64{}
	for _, id := range ids {
		beacon := stored[id]
		if beacon == nil {
			t.Errorf("beacon %s was acknowledged and is not in the store", id)
			continue
		}
		w.checkAssignment(t, beacon, 4, "")
		for _, p := range beacon.Probes {
			rtt := w.rtt(p.PoP)
			if math.IsNaN(rtt) || p.RTT == 0 {
				t.Errorf("%s: no RTT of %s", id, p.Target)
				continue
			}
			e := math.Abs(p.RTT - rtt)
			off = append(off, e)
			if slices.Contains(p.Flags, "split") {
				split++ // a false alarm: nothing here splits connections
				t.Logf("connect disbelieved: %+v", p)
			}
			byPoP[p.PoP] = append(byPoP[p.PoP], e)
		}
	}
	if len(off) == 0 {
		t.Fatal("no probes")
	}
	for _, p := range w.pops {
		e := byPoP[p.id]
		t.Logf("%s at %v: RTT off by %.2f ms in the median, %.2f ms p95, %d probes", p.id, p.rtt, quantile(e, 0.5), quantile(e, 0.95), len(e))
	}
	median, p95 := quantile(off, 0.5), quantile(off, 0.95)
	t.Logf("figures: accuracy: RTT off by %.2f ms in the median, %.2f ms p95, %.2f ms at most; %d probes in %d page views, connect disbelieved in %d",
		median, p95, slices.Max(off), len(off), len(ids), split)
	if median > 1 {
		t.Errorf("RTT is off by %.2f ms in the median, want at most 1 ms", median)
	}
	if p95 > 3 {
		t.Errorf("RTT is off by %.2f ms in the 95th percentile, want at most 3 ms", p95)
	}
}

// TestOrder: of two PoPs 5 ms apart, 98 of 100 page views find the nearer one
// (LAB_VIEWS=100; fewer unless told, as each takes more than a second).
func TestOrder(t *testing.T) {
	iad, lax, gru := iad, lax, gru
	iad.rtt, lax.rtt = 20*time.Millisecond, 25*time.Millisecond
	gru.rtt = time.Millisecond // where the schemes lead: they only cost time here
	w := newWorld(t, iad, lax, gru)
	w.lead("regional", "americas", "gru")
	b := newBrowser(t, w, 4)
	ids := measure(t, b, "/plain", views(t, 50))
	stored := w.export()

	right := 0
	for _, id := range ids {
		beacon := stored[id]
		if beacon == nil {
			t.Errorf("beacon %s was acknowledged and is not in the store", id)
			continue
		}
		near, far := probeOf(beacon, "pop:iad"), probeOf(beacon, "pop:lax")
		if near == nil || far == nil || near.RTT == 0 || far.RTT == 0 {
			t.Errorf("%s: not both PoPs measured: %+v", id, beacon.Probes)
			continue
		}
		if near.RTT < far.RTT {
			right++
		} else {
			t.Logf("wrong order: %+v, %+v", *near, *far)
		}
	}
	t.Logf("figures: order: PoPs 5 ms apart ordered rightly in %d of %d page views", right, len(ids))
	if float64(right) < 0.98*float64(len(ids)) {
		t.Errorf("PoPs at 20 and 25 ms ordered rightly in %d of %d page views, want 98 %%", right, len(ids))
	}
}

// TestIPv6: all of it works over IPv6 as well.
func TestIPv6(t *testing.T) {
	w := newWorld(t, iad, lax, gru, sin)
	b := newBrowser(t, w, 6)
	ids := measure(t, b, "/plain", views(t, 3))
	stored := w.export()
	for _, id := range ids {
		beacon := stored[id]
		if beacon == nil {
			t.Errorf("beacon %s was acknowledged and is not in the store", id)
			continue
		}
		w.checkAssignment(t, beacon, 6, "")
		w.checkRTT(t, beacon, 2)
		if got := beacon.Client.String(); got != "2001:db8:c::/48" || beacon.Place.ASN != 64500 {
			t.Errorf("client %s at %+v, want 2001:db8:c::/48 in AS 64500", got, beacon.Place)
		}
	}
}

// checkAssignment checks that each target of b was answered by the PoP and over
// the VIP that it leads to, but for PoP dead, which must have timed out.
func (w *world) checkAssignment(t *testing.T, b *edge.Beacon, family int, dead edge.PoPID) {
	t.Helper()
	seen := map[edge.Target]bool{}
	for _, p := range b.Probes {
		seen[p.Target] = true
		want, ok := w.reached[p.Target]
		switch {
		case !ok:
			t.Errorf("%s: unknown target %s", b.ID, p.Target)
		case want.pop == dead:
			if p.Error != "timeout" || p.PoP != "" || p.RTT != 0 {
				t.Errorf("%s: %s leads to a black hole, want a timeout: %+v", b.ID, p.Target, p)
			}
		case p.Error != "" || p.PoP != want.pop || p.VIP != want.vip || len(p.Served) > 0:
			t.Errorf("%s: %s reached PoP %q over VIP %q, want %q over %q: %+v", b.ID, p.Target, p.PoP, p.VIP, want.pop, want.vip, p)
		case p.Proto != "http/1.1" || p.AF != family || len(p.Warm) != 3 || len(p.Cold) != 3:
			t.Errorf("%s: %s: want 1 cold and 3 warm downloads over HTTP/1.1 and IPv%d: %+v", b.ID, p.Target, family, p)
		}
	}
	for _, target := range []edge.Target{"unicast", "global", "regional", "pop:iad"} {
		if !seen[target] {
			t.Errorf("%s: %s was not probed", b.ID, target)
		}
	}
}

func probeOf(b *edge.Beacon, target edge.Target) *edge.Probe {
	for i := range b.Probes {
		if b.Probes[i].Target == target {
			return &b.Probes[i]
		}
	}
	return nil
}

// quantile returns the q-quantile of values (nearest rank), NaN of none.
func quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(values))
	return s[max(0, int(math.Ceil(q*float64(len(s))))-1)]
}
