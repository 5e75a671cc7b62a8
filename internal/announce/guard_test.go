package announce

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"catchment/internal/edge"
)

var six = []edge.PoPID{"ams", "fra", "gru", "iad", "lax", "nrt"}

// desk is a guard whose PoPs have all reported that all is well.
type desk struct {
	t   *testing.T
	g   *Guard
	now time.Time
}

func newDesk(t *testing.T, p Policy, pops ...edge.PoPID) *desk {
	t.Helper()
	g, err := NewGuard(p, map[edge.VIPID][]edge.PoPID{"global": pops}, start)
	if err != nil {
		t.Fatal(err)
	}
	d := &desk{t: t, g: g, now: start.Add(time.Minute)}
	d.allWell(pops...)
	return d
}

func (d *desk) allWell(pops ...edge.PoPID) {
	for _, p := range pops {
		d.says(p, VIPReport{Announced: true})
	}
}

// says is a report on global.
func (d *desk) says(pop edge.PoPID, v VIPReport) []Answer {
	v.VIP = "global"
	d.now = d.now.Add(time.Millisecond)
	return d.g.Report(d.now, Report{PoP: pop, Sent: d.now, Began: start, VIPs: []VIPReport{v}})
}

func (d *desk) asks(pop edge.PoPID, ok bool, why string) {
	d.t.Helper()
	got := d.says(pop, VIPReport{Announced: true, Asks: true})
	want := []Answer{{VIP: "global", Asked: d.now, OK: ok, For: DefaultLease, Why: why}}
	if diff := cmp.Diff(want, got); diff != "" {
		d.t.Fatal(diff)
	}
}

func (d *desk) out(pop edge.PoPID) { d.says(pop, VIPReport{Out: true, Withdrawn: d.now}) }

func TestGuardCountsPermissionsAndWithdrawals(t *testing.T) {
	d := newDesk(t, Policy{}, six...)
	d.asks("fra", true, "2 of 6 PoPs of global may be out, this is number 1")
	d.asks("fra", true, "2 of 6 PoPs of global may be out, this is number 1") // again
	d.out("fra")
	d.asks("iad", true, "2 of 6 PoPs of global may be out, this is number 2")
	d.asks("lax", false, "2 of 6 PoPs of global may be out, and there are already fra (withdrawn), iad (may withdraw)")
	d.says("iad", VIPReport{Announced: true}) // it was one lost packet
	d.asks("lax", true, "2 of 6 PoPs of global may be out, this is number 2")
}

func TestGuardSharedCause(t *testing.T) {
	d := newDesk(t, Policy{}, six...)
	var granted int
	for _, p := range six {
		for _, a := range d.says(p, VIPReport{Announced: true, Asks: true}) {
			if a.OK {
				granted++
			}
		}
	}
	if granted != 2 {
		t.Errorf("%d of 6 may withdraw, want 2", granted)
	}
	// Now nobody is left who is well: those who hold a permission and have not
	// used it lose it.
	d.asks("ams", false, "0 of 6 PoPs of global are announced and healthy, 1 must be left; 6 of 6 PoPs fail at once, which looks like a shared cause")
}

func TestGuardCountsWithdrawalsWithinTheWindow(t *testing.T) {
	d := newDesk(t, Policy{Count: 1}, six...)
	d.asks("fra", true, "1 of 6 PoPs of global may be out, this is number 1")
	d.out("fra")
	at := d.now.Add(-time.Millisecond)
	d.now = d.now.Add(time.Minute)
	d.allWell(six[2:]...)
	d.says("fra", VIPReport{Announced: true, Withdrawn: at}) // back
	d.asks("iad", false, "1 of 6 PoPs of global may be out, and there are already fra (withdrawn within the last 10m0s)")
	d.asks("fra", true, "1 of 6 PoPs of global may be out, this is number 1") // it counts already
	d.says("fra", VIPReport{Announced: true, Withdrawn: at})
	d.now = d.now.Add(DefaultWindow)
	d.allWell(six...)
	d.asks("iad", true, "1 of 6 PoPs of global may be out, this is number 1")
}

func TestGuardLastPoPs(t *testing.T) {
	d := newDesk(t, Policy{}, "fra")
	d.asks("fra", false, "0 of 1 PoPs of global are announced and healthy, 1 must be left")
	d = newDesk(t, Policy{}, "fra", "iad")
	d.asks("fra", true, "1 of 2 PoPs of global may be out, this is number 1")
	d.out("fra")
	d.asks("iad", false, "0 of 2 PoPs of global are announced and healthy, 1 must be left; 2 of 2 PoPs fail at once, which looks like a shared cause")
	d = newDesk(t, Policy{}, "fra", "iad")
	d.says("iad", VIPReport{Announced: true, Drained: true})
	d.asks("fra", false, "0 of 2 PoPs of global are announced and healthy, 1 must be left")
	d = newDesk(t, Policy{}, "fra", "iad")
	d.now = d.now.Add(time.Minute) // iad is silent
	d.asks("fra", false, "0 of 2 PoPs of global are announced and healthy, 1 must be left")
	d = newDesk(t, Policy{Share: 1, Keep: -1}, "fra")
	d.asks("fra", true, "1 of 1 PoPs of global may be out, this is number 1")
}

func TestGuardThatHasJustStarted(t *testing.T) {
	g, err := NewGuard(Policy{}, map[edge.VIPID][]edge.PoPID{"global": six}, start)
	if err != nil {
		t.Fatal(err)
	}
	d := &desk{t: t, g: g, now: start.Add(5 * time.Second)}
	d.asks("fra", false, "the control node has just started and listens for another 25s")
	d.now = d.now.Add(time.Minute)
	d.allWell("iad", "lax")
	// Nothing was heard of the others, and fra may hold an older permission.
	d.asks("iad", false, "2 of 6 PoPs of global may be out, and there are already ams (not heard of), fra (may withdraw), gru (not heard of), nrt (not heard of)")
}

func TestGuardDisregards(t *testing.T) {
	d := newDesk(t, Policy{}, six...)
	old := Report{PoP: "fra", Sent: d.now.Add(-time.Second), Began: start, VIPs: []VIPReport{{VIP: "global", Announced: true}}}
	d.asks("fra", true, "2 of 6 PoPs of global may be out, this is number 1")
	if g := d.g.Report(d.now, old); g != nil {
		t.Error(g)
	}
	if st := d.g.Standings(d.now, "global")[1]; !st.Counts {
		t.Errorf("a delayed report gave a permission back: %+v", st)
	}
	for _, r := range []Report{
		{PoP: "xyz", Sent: d.now, VIPs: []VIPReport{{VIP: "global", Asks: true}}},
		{PoP: "iad", Sent: d.now, VIPs: []VIPReport{{VIP: "emea", Asks: true}}},
	} {
		if got := d.g.Report(d.now, r); len(got) != 0 {
			t.Errorf("%s: answered %v", r.PoP, got)
		}
	}
	if n := len(d.g.Heard()); n != 6 {
		t.Errorf("%d PoPs are remembered", n)
	}
}

func TestGuardPoPThatLostItsMemory(t *testing.T) {
	d := newDesk(t, Policy{Count: 1}, six...)
	d.asks("fra", true, "1 of 6 PoPs of global may be out, this is number 1")
	d.now = d.now.Add(time.Second)
	d.g.Report(d.now, Report{PoP: "fra", Sent: d.now, Began: d.now, VIPs: []VIPReport{{VIP: "global"}}})
	d.asks("iad", false, "1 of 6 PoPs of global may be out, and there are already fra (withdrawn within the last 10m0s)")
}

func TestLimit(t *testing.T) {
	for _, test := range []struct {
		p       Policy
		n, want int
	}{
		{Policy{}, 0, 0},
		{Policy{}, 1, 0},
		{Policy{}, 2, 1},
		{Policy{}, 3, 1},
		{Policy{}, 6, 2},
		{Policy{}, 100, 34},
		{Policy{Share: 0.3}, 10, 3},
		{Policy{Share: 1}, 4, 4},
		{Policy{Share: 1, Count: 2}, 4, 2},
		{Policy{Share: 0.01}, 3, 1},
	} {
		if got := test.p.Limit(test.n); got != test.want {
			t.Errorf("%+v of %d: %d, want %d", test.p, test.n, got, test.want)
		}
	}
}

func TestNewGuardRefuses(t *testing.T) {
	for want, p := range map[string]Policy{
		"announce: guard: share: 1.5 is not above 0 and up to 1": {Share: 1.5},
		"announce: guard: count: -1 is negative":                 {Count: -1},
		"announce: guard: window: -1ns is not 0 to 168h0m0s":     {Window: -1},
		"announce: guard: lease: 2h0m0s is not up to 1h0m0s":     {Lease: 2 * time.Hour},
		"announce: guard: fresh: is not above 0":                 {Fresh: -1},
	} {
		if _, err := NewGuard(p, nil, start); fmt.Sprint(err) != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
