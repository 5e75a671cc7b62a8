package main

import (
	"encoding/json"
	"testing"
	"time"
)

// TestDashStability: the dashboard has what the reports have, by day too, and
// keeps it for a while; of nothing it says nothing.
func TestDashStability(t *testing.T) {
	data := t.TempDir()
	s := &dashStability{data: data}
	until := time.Now().Add(time.Hour)
	since := until.Add(-10 * 24 * time.Hour)
	if f, err := s.Stability(t.Context(), since, until); f != nil || err != nil {
		t.Fatalf("of nothing: %+v %v", f, err)
	}
	handIn(t, data)
	s = &dashStability{data: data}
	f, err := s.Stability(t.Context(), since, until)
	if err != nil {
		t.Fatal(err)
	}
	const want = "Is TCP over global as stable as over unicast? No, not for 1 of 2 groups that were watched for long enough: DE AS64497 Example Netz (packets balanced)." +
		" In 1,000 minutes of connection 41.2 more broke than over unicast (95 %: 33.4 to 50.2 more)." +
		" A group that lost 2 % of downloads of 75 s would have been found with 95 %."
	if len(f.Answers) != 1 || f.Answers[0].VIP != "global" || f.Answers[0].Text != want {
		t.Errorf("answers %+v", f.Answers)
	}
	var networks, resets []struct {
		Group   struct{ ASN uint32 }
		Verdict string
		Resets  int
	}
	if err := json.Unmarshal(f.Networks, &networks); err != nil {
		t.Fatal(err)
	}
	if len(networks) != 2 || networks[0].Group.ASN != 64497 || networks[0].Verdict != "unstable" || networks[0].Resets != 9 || networks[1].Verdict != "stable" {
		t.Errorf("networks %s", f.Networks)
	}
	if err := json.Unmarshal(f.Resets, &resets); err != nil || len(resets) != 1 || resets[0].Resets != 9 {
		t.Errorf("resets %s: %v", f.Resets, err)
	}
	whole := 0
	for i := range f.Days {
		if d := &f.Days[i]; d.VIPs != nil {
			// One of ten downloads of 75 s breaks after 30 s in one of the two networks.
			if *d.VIPs < 30 || *d.VIPs > 55 || d.Unicast == nil || *d.Unicast != 0 {
				t.Errorf("%s: %v over VIPs, %v over unicast", d.Day, *d.VIPs, d.Unicast)
			}
			whole++
		}
	}
	if whole < 7 || f.Days[len(f.Days)-1].PerHour == nil || *f.Days[len(f.Days)-1].PerHour <= 0 {
		t.Errorf("days %+v", f.Days)
	}
	if again, err := s.Stability(t.Context(), since, until); err != nil || again != f {
		t.Errorf("not kept: %v", err)
	}
}
