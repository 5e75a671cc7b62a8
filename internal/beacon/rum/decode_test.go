package rum_test

import (
	"bytes"
	"os"
	"testing"

	"catchment/internal/beacon"
	"catchment/internal/edge"
)

// What the script sent from Chromium, in web/test's behaviors: measured, flip,
// split; every way to fail; without a plan; left midway. The collector takes
// all of it.
func TestCollectorTakesBeacons(t *testing.T) {
	file, err := os.ReadFile("testdata/beacons.ndjson")
	if err != nil {
		t.Fatal(err)
	}
	d := beacon.Decoder{Names: beacon.NewNames(&edge.Fleet{
		PoPs: []edge.PoP{{ID: "iad"}, {ID: "lax"}},
		VIPs: []edge.VIP{{ID: "global"}},
	})}
	n := 0
	for line := range bytes.Lines(file) {
		n++
		if err := d.Body(line); err != nil {
			t.Errorf("beacon %d: %v", n, err)
		}
	}
	if n != 4 {
		t.Errorf("%d beacons, want 4", n)
	}

	// The collector's own arithmetic agrees with the script's.
	for i, b := range d.Beacons() {
		for j := range b.Probes {
			p := b.Probes[j]
			if p.Error != "" {
				continue
			}
			rtt, flags := p.RTT, len(p.Flags)
			beacon.Derive(&edge.Beacon{Probes: b.Probes[j : j+1]})
			if got := b.Probes[j]; got.RTT-rtt > 0.011 || rtt-got.RTT > 0.011 || len(got.Flags) != flags {
				t.Errorf("beacon %d, %s: rtt %v, flags %v; the script says %v, %v", i, p.Target, got.RTT, got.Flags, rtt, p.Flags)
			}
		}
	}
}
