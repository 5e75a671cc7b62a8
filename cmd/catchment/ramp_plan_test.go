package main

import (
	"bytes"
	"io"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"catchment/internal/analysis"
	"catchment/internal/demo"
	"catchment/internal/edge"
	"catchment/internal/fleet"
	"catchment/internal/ramp"
	"catchment/internal/ramp/propose"
)

// On the demo's world, global anycast is refused where transit is bad and
// taken elsewhere; and the regions that are proposed, put into the simulator,
// are really no worse than the continents of the fleet file.
func TestRampPlan(t *testing.T) {
	f, err := fleet.Parse("demo", demo.FleetFile())
	if err != nil {
		t.Fatal(err)
	}
	internet, err := demo.Internet()
	if err != nil {
		t.Fatal(err)
	}
	w, err := demo.NewWorld(f, internet, demo.Seed)
	if err != nil {
		t.Fatal(err)
	}
	g, err := w.Traffic(time.Date(2026, 11, 12, 0, 0, 0, 0, time.UTC), 6, 240_000)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "data")
	quietly := stdio{nil, io.Discard, io.Discard}
	if err := fillStore(t.Context(), quietly, g, dir); err != nil {
		t.Fatal(err)
	}
	p, err := proposeRamp(t.Context(), quietly, f, dir, 6, []analysis.Key{analysis.ByCountry}, analysis.DefaultMargin, 2)
	if err != nil {
		t.Fatal(err)
	}
	verdict := func(country string, s edge.Scheme) analysis.Verdict {
		for _, a := range p.Geographies {
			for _, g := range a.Gains {
				if a.Country == country && g.Scheme == s {
					return g.Verdict
				}
			}
		}
		return analysis.None
	}
	if v := verdict("BR", edge.Global); v != analysis.UseDNS {
		t.Errorf("global anycast for Brazil: %s, want %s", v, analysis.UseDNS)
	}
	if v := verdict("US", edge.Global); v != analysis.UseAnycast {
		t.Errorf("global anycast for the US: %s, want %s", v, analysis.UseAnycast)
	}
	for _, a := range p.Geographies {
		if a.Country == "BR" && a.To == edge.Global || a.Country == "US" && a.Do != propose.DoRamp {
			t.Errorf("advice for %s: %s %s", a.Country, a.Do, a.To)
		}
	}

	r := p.Regions
	if r == nil {
		t.Fatal(p.NoRegions)
	}
	t.Logf("on other days: continents %+v, proposed %+v, guessed %.3f, same %v", r.Default, r.Proposed, r.Guessed, r.Same)
	for i := range r.Regions {
		t.Log(&r.Regions[i])
	}
	if r.Proposed.Lost > r.Default.Lost || r.Proposed.Optimal < r.Default.Optimal-0.002 {
		t.Errorf("proposed %+v, the continents have %+v", r.Proposed, r.Default)
	}
	next := *f
	next.Regions, next.VIPs = nil, slices.Clone(f.VIPs)
	for _, x := range r.Regions {
		id := edge.VIPID(x.ID)
		if !slices.ContainsFunc(next.VIPs, func(v edge.VIP) bool { return v.ID == id }) {
			next.VIPs = append(next.VIPs, edge.VIP{ID: id, Addresses: f.VIPs[0].Addresses, Prefixes: f.VIPs[0].Prefixes})
		}
		next.Regions = append(next.Regions, edge.Region{ID: edge.RegionID(x.ID), VIP: id, Continents: x.Continents, Countries: x.Countries, PoPs: x.PoPs})
	}
	proposed, err := demo.NewWorld(&next, internet, demo.Seed)
	if err != nil {
		t.Fatal(err)
	}
	lost := func(w *demo.World) (ms float64) {
		users := 0.0
		for i := range internet.Groups {
			_, best := w.Outcome.Best(i)
			for _, x := range w.Outcome.Assigned(nil, i, edge.Regional) {
				if x.PoP >= 0 {
					n := float64(internet.Groups[i].Users) * x.Share
					users += n
					ms += n * float64(w.Outcome.RTT(i, x.PoP)-best)
				}
			}
		}
		return ms / users
	}
	was, is := lost(w), lost(proposed)
	t.Logf("announced in the simulator: %.2f ms are lost in the mean by continents, %.2f as proposed", was, is)
	if is > was*1.01 {
		t.Errorf("announced, the proposal loses %.2f ms in the mean, the continents %.2f", is, was)
	}

	var text, draft bytes.Buffer
	if err := p.write(&text, 10); err != nil {
		t.Fatal(err)
	}
	t.Logf("\n%s", &text)
	if err := p.writeDraft(&draft, "www.edge.example"); err != nil {
		t.Fatal(err)
	}
	if _, err := ramp.Parse("draft", draft.Bytes()); err != nil {
		t.Errorf("the draft is no declaration: %v\n%s", err, &draft)
	}
}
