package views

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"catchment/internal/beacon"
	"catchment/internal/edge"
	"catchment/internal/sim/people"
)

// write returns what WriteNDJSON writes.
func write(t testing.TB, g *Generator, from, until int) string {
	t.Helper()
	var b bytes.Buffer
	if err := g.WriteNDJSON(context.Background(), &b, from, until, nil, nil); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// each makes all views.
func each(g *Generator, do func(i int, b *edge.Beacon)) {
	f, b := g.Filler(), &edge.Beacon{}
	for i := range g.Views() {
		f.Fill(b, i)
		do(i, b)
	}
}

// near fails unless a share of n draws is within four standard deviations of
// what it should be.
func near(t *testing.T, what string, got, want float64, n int) {
	t.Helper()
	if slack := 4 * math.Sqrt(want*(1-want)/float64(n)); math.Abs(got-want) > slack+1e-12 {
		t.Errorf("%s: %.4f, want %.4f ± %.4f", what, got, want, slack)
	}
}

// TestDeterministic: a view follows from its number, whatever was made before,
// in how many parts, on how many processors.
func TestDeterministic(t *testing.T) {
	w := newHandWorld(t, people.DefaultModel(1))
	m := DefaultModel(7)
	m.Views, m.Days = 3*chunkViews+100, 3
	g := newGenerator(t, w, m)
	all := write(t, g, 0, g.Views())

	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	if again := write(t, newGenerator(t, w, m), 0, m.Views); again != all {
		t.Error("one processor makes other views")
	}
	runtime.GOMAXPROCS(3)
	if parts := write(t, newGenerator(t, w, m), 0, 1000) + write(t, g, 1000, m.Views+5); parts != all {
		t.Error("parts make other views")
	}
	lines := strings.SplitAfter(all, "\n")
	f, b := g.Filler(), &edge.Beacon{}
	for _, i := range []int{5000, 3, 0, m.Views - 1, 4999, 5000} {
		f.Fill(b, i)
		if line := string(b.AppendJSON(nil)) + "\n"; line != lines[i] {
			t.Errorf("view %d alone:\n%sin the file:\n%s", i, line, lines[i])
		}
	}
	m.Seed = 8
	if write(t, newGenerator(t, w, m), 0, 10) == strings.Join(lines[:10], "") {
		t.Error("another seed makes the same views")
	}
}

// TestReadBack: the importer accepts every line, and derives from the raw
// timings the RTT that stands there.
func TestReadBack(t *testing.T) {
	w := newHandWorld(t, people.DefaultModel(1))
	m := DefaultModel(2)
	m.Views, m.Balanced, m.Timeout = 500, 0.5, 0.05
	g := newGenerator(t, w, m)
	dec := beacon.Decoder{Names: beacon.NewNames(w.fleet)}
	ids := map[string]bool{}
	var last time.Time
	each(g, func(i int, b *edge.Beacon) {
		dec.Reset()
		if err := dec.Line(b.AppendJSON(nil)); err != nil {
			t.Fatalf("view %d: %v", i, err)
		}
		got := dec.Beacons()[0]
		beacon.Derive(got)
		if diff := cmp.Diff(b, got, cmpopts.EquateEmpty(), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
			t.Fatalf("view %d: %s", i, diff)
		}
		if ids[b.ID] || b.Received.Before(last) {
			t.Fatalf("view %d: id %s, received %v after %v", i, b.ID, b.Received, last)
		}
		ids[b.ID], last = true, b.Received
		for _, p := range b.Probes {
			if p.Error == "" && !(p.MRTT > 0 && p.MRTT <= p.RTT && p.RTT <= p.Cold[1] && len(p.Warm) == warm) {
				t.Fatalf("view %d: %+v", i, p)
			}
		}
	})
}

// TestRhythm: views come by local solar time and fewer at the weekend, groups
// by their users.
func TestRhythm(t *testing.T) {
	w := newHandWorld(t, people.DefaultModel(1))
	m := plain(DefaultModel(3))
	m.From, m.Days, m.Views = edge.DayOf(time.Date(2026, 11, 2, 0, 0, 0, 0, time.UTC)), 7, 50_000 // a Monday
	m.Active = 1
	g := newGenerator(t, w, m)
	var local [24]int
	days := map[edge.Day]int{}
	byGroup := make([]int, len(w.topo.Groups))
	f, b := g.Filler(), &edge.Beacon{}
	for i := range m.Views {
		f.Fill(b, i)
		lon := w.topo.Cities[w.topo.Groups[f.view.group].Metro].Place.Lon
		hour := math.Mod(b.Received.Sub(edge.DayOf(b.Received).Time()).Hours()+lon/15+24, 24)
		local[int(hour)]++
		days[edge.DayOf(b.Received)]++
		byGroup[f.view.group]++
	}
	sum := 0.0
	for h, r := range m.Rhythm {
		sum += (r + m.Rhythm[(h+1)%24]) / 2
	}
	for h, n := range local {
		want := (m.Rhythm[h] + m.Rhythm[(h+1)%24]) / 2 / sum
		// Four standard deviations, and half a band of longitude and half a
		// quarter of an hour, which are lost.
		slack := 4/math.Sqrt(want*float64(m.Views)) + 0.02
		if got := float64(n) / float64(m.Views); math.Abs(got/want-1) > slack {
			t.Errorf("%d o'clock: %.4f of views, want %.4f ± %.0f %%", h, got, want, 100*slack)
		}
	}
	if work, end := days[m.From], days[m.From+5]; len(days) != 7 || math.Abs(float64(end)/float64(work)-m.Weekend) > 0.001 {
		t.Errorf("views by day: %v", days)
	}
	users := w.topo.Users()
	for group, n := range byGroup {
		near(t, fmt.Sprintf("group %d", group), float64(n)/float64(m.Views), float64(w.topo.Groups[group].Users)/users, m.Views)
	}
}

// TestShares: askers, families, failures and flips come as often as the
// parameters say.
func TestShares(t *testing.T) {
	pm := people.DefaultModel(1)
	w := newHandWorld(t, pm)
	m := DefaultModel(4)
	m.Views, m.Timeout, m.Failing, m.Balanced = 25_000, 0.01, map[string]float64{"lax": 0.03}, 0
	m.Flips, m.FlipHours = 0, 4
	g := newGenerator(t, w, m)
	users := w.topo.Users()
	want, got := map[edge.PoPID]float64{}, map[edge.PoPID]float64{}
	var ecs, wantECS, v6, wantV6 float64
	for i := range w.topo.Groups {
		share := float64(w.topo.Groups[i].Users) / users
		for _, x := range w.Assigned(nil, i, edge.Unicast) {
			want[w.fleet.PoPs[x.PoP].ID] += share * x.Share
		}
		for _, a := range w.people.Askers(i) {
			if a.ECS {
				wantECS += share * a.Share
			}
		}
		if w.people.HasV6(w.topo.Groups[i].AS) {
			wantV6 += share * pm.V6Users
		}
	}
	lost, lostLAX, reached, n, laxes := 0, 0, 0, 0, 0
	each(g, func(_ int, b *edge.Beacon) {
		if b.Client.Addr().Is6() {
			v6++
		}
		if b.Resolver.ECS.IsValid() {
			ecs++
			if b.Resolver.ECS != b.Client {
				t.Fatalf("ECS %v of client %v", b.Resolver.ECS, b.Client)
			}
		}
		for _, p := range b.Probes {
			own, direct := p.Target.PoP()
			switch {
			case p.Target == "unicast" && p.Error == "":
				got[p.PoP]++
				reached++
			case direct && own == "lax":
				laxes++
				if p.Error == "timeout" {
					lostLAX++
				}
			case direct:
				n++
				if p.Error == "timeout" {
					lost++
				}
				if p.Error == "" && (p.PoP != own || p.VIP != "") {
					t.Fatalf("%+v", p)
				}
				if p.Error == "" && (p.AF == 6) != (b.Client.Addr().Is6() && own != "gru") {
					t.Fatalf("%v: %+v", b.Client, p)
				}
			}
		}
	})
	near(t, "ECS", ecs/float64(m.Views), wantECS, m.Views)
	near(t, "IPv6", v6/float64(m.Views), wantV6, m.Views)
	near(t, "timeouts", float64(lost)/float64(n), 0.01, n)
	near(t, "timeouts of lax", float64(lostLAX)/float64(laxes), 0.04, laxes)
	for id, share := range want {
		// lax fails three times as often more, so that it counts for less.
		if math.Abs(got[id]/float64(reached)-share) > 4*math.Sqrt(share/float64(reached))+0.03*share*want["lax"]+0.03*share {
			t.Errorf("unicast leads %.4f to %s, want %.4f", got[id]/float64(reached), id, share)
		}
	}
}

// TestFlips: at any moment a share of Flips × FlipHours / 24 of the groups
// reach another PoP; networks that balance show two.
func TestFlips(t *testing.T) {
	w := newHandWorld(t, people.DefaultModel(1))
	m := plain(DefaultModel(5))
	m.Views, m.Days, m.Flips, m.FlipHours = 20_000, 200, 0.3, 2
	for h := range m.Rhythm {
		m.Rhythm[h] = 1
	}
	g := newGenerator(t, w, m)
	moved := func(g *Generator) (share float64, flips int) {
		f, b, n := g.Filler(), &edge.Beacon{}, 0
		for i := range g.Views() {
			f.Fill(b, i)
			home := f.view.asker.reach[edge.Global.Index()].pop
			for _, p := range b.Probes {
				if p.Target == "global" && p.PoP != w.fleet.PoPs[home].ID {
					n++
				}
				if len(p.Served) > 0 {
					if p.Target == "global" {
						flips++
					}
					if p.Served[0] != p.PoP || p.Served[1] == p.PoP || !slices.Equal(p.Flags, []string{"flip"}) {
						t.Fatalf("%+v", p)
					}
				}
			}
		}
		return float64(n) / float64(g.Views()), flips
	}
	want := m.Flips * m.FlipHours / 24
	share, flips := moved(g)
	if math.Abs(share/want-1) > 0.15 || flips > 0 { // some 1,200 changes
		t.Errorf("%.4f of views reach another PoP, want %.4f ± 15 %%; %d flips", share, want, flips)
	}
	m.Flips, m.Balanced, m.Views = 0, 1, 4000
	share, flips = moved(newGenerator(t, w, m))
	near(t, "balanced: the other PoP", share, 0.5, m.Views)
	near(t, "balanced: both PoPs", float64(flips)/float64(m.Views), 0.5, m.Views)
}

// TestOutage: until it is noticed nobody reaches the PoP, afterwards another
// one answers, and at the end all is as before.
func TestOutage(t *testing.T) {
	w := newHandWorld(t, people.DefaultModel(1))
	m := plain(DefaultModel(6))
	m.Views = 20_000
	begin := m.From.Time().Add(10 * time.Hour)
	o := Outage{PoP: "iad", From: begin, Until: begin.Add(2 * time.Hour), Noticed: 20 * time.Minute}
	m.Outages = []Outage{o}
	seen := map[string]int{}
	each(newGenerator(t, w, m), func(_ int, b *edge.Beacon) {
		for _, p := range b.Probes {
			_, direct := p.Target.PoP()
			phase := "up"
			if !b.Received.Before(begin) && b.Received.Before(o.Until) {
				if phase = "unnoticed"; !b.Received.Before(begin.Add(o.Noticed)) {
					phase = "noticed"
				}
				if p.PoP == "iad" {
					t.Fatalf("%v: iad answers %+v", b.Received, p)
				}
			}
			if p.Error != "" {
				phase += " timeout"
				if direct && p.Target != "pop:iad" {
					t.Fatalf("%+v", p)
				}
			}
			if !direct {
				phase += " scheme"
			}
			seen[phase]++
		}
	})
	for phase, some := range map[string]bool{
		"up timeout": false, "up timeout scheme": false, "unnoticed timeout": true, "unnoticed timeout scheme": true,
		"noticed timeout": true, "noticed timeout scheme": false,
	} {
		if (seen[phase] > 0) != some {
			t.Errorf("%s: %d probes", phase, seen[phase])
		}
	}
}

// TestChurn: a prefix is there on the share Active of days, and then for all of
// the day.
func TestChurn(t *testing.T) {
	w := newHandWorld(t, people.DefaultModel(1))
	m := DefaultModel(7)
	m.Active = 0.6
	g := newGenerator(t, w, m)
	n, there := 0, 0
	for line := range 64 {
		for day := range 200 {
			n++
			if g.active(w.people.Key(0), line, m.From+edge.Day(day)) {
				there++
			}
		}
	}
	near(t, "active", float64(there)/float64(n), m.Active, n)
	seen := map[netip.Prefix]bool{}
	each(g, func(_ int, b *edge.Beacon) { seen[b.Client] = true })
	lines := 0
	for i := range w.topo.Groups {
		lines += w.people.Lines(i)
	}
	if got := len(seen); got < lines/2 || got > 2*lines*3/4 {
		t.Errorf("%d prefixes of %d lines on one day", got, lines)
	}
}

func TestValidate(t *testing.T) {
	w := newHandWorld(t, people.DefaultModel(1))
	m := DefaultModel(1)
	m.Days, m.Rate, m.Active = 0, 2, 0
	m.Failing = map[string]float64{"ams": 0.1}
	m.Outages = []Outage{{PoP: "ams"}}
	m.Page = "anycast"
	_, err := New(w.fleet, w.people, w, m)
	want := strings.Join([]string{
		"views: Days is 0 (want 1 to 3660)",
		"views: Rate is 2 (want more than 0, at most 1)",
		"views: Active is 0 (want 0.01 to 1)",
		`views: Failing: the fleet has no PoP or VIP "ams"`,
		`views: Outages[0]: the fleet has no PoP "ams"`,
		"views: Outages[0]: want From before Until and Noticed of at least 0",
		`views: Page: there is no scheme "anycast"`,
	}, "\n")
	if diff := cmp.Diff(want, fmt.Sprint(err)); diff != "" {
		t.Error(diff)
	}
}

type failing struct{ after int }

func (f *failing) Write(p []byte) (int, error) {
	if f.after--; f.after < 0 {
		return 0, errors.New("no room")
	}
	return len(p), nil
}

// TestWriteFails: errors end it at once and leave nothing running.
func TestWriteFails(t *testing.T) {
	w := newHandWorld(t, people.DefaultModel(1))
	m := DefaultModel(1)
	m.Views = 20 * chunkViews
	g := newGenerator(t, w, m)
	told := 0
	err := g.WriteNDJSON(t.Context(), &failing{2}, 0, m.Views, nil, func(n int) { told += n })
	if err == nil || err.Error() != "views: no room" || told != 2*chunkViews {
		t.Errorf("%v after %d views", err, told)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err = g.WriteNDJSON(ctx, &failing{100}, 0, m.Views, nil, func(int) { cancel() })
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	broken := func() func(dst, text []byte) ([]byte, error) {
		return func(dst, text []byte) ([]byte, error) { return nil, errors.New("cannot pack") }
	}
	if err = g.WriteNDJSON(t.Context(), &failing{100}, 0, m.Views, broken, nil); err == nil || err.Error() != "views: cannot pack" {
		t.Error(err)
	}
}

func TestFillDoesNotAllocate(t *testing.T) {
	w := newHandWorld(t, people.DefaultModel(1))
	m := DefaultModel(1)
	g := newGenerator(t, w, m)
	f, b, i := g.Filler(), &edge.Beacon{}, 0
	f.Fill(b, i)
	if n := testing.AllocsPerRun(2000, func() { i++; f.Fill(b, i) }); n > 0 {
		t.Errorf("%v allocations a view", n)
	}
}

func TestAlias(t *testing.T) {
	weights := []float64{0, 1, 2, 3, 0.5}
	a := newAlias(weights)
	f := newGenerator(t, newHandWorld(t, people.DefaultModel(1)), DefaultModel(1)).Filler()
	f.bits.state = 1
	var counts [5]int
	const n = 100_000
	for range n {
		counts[a.draw(f.rng)]++
	}
	for i, w := range weights {
		near(t, fmt.Sprint(i), float64(counts[i])/n, w/6.5, n)
	}
}
