package main

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"catchment/internal/authdns"
	"catchment/internal/edge"
)

func steeringWorld() *edge.Snapshot {
	addrs := func(list ...string) (all []netip.Addr) {
		for _, s := range list {
			all = append(all, netip.MustParseAddr(s))
		}
		return all
	}
	return &edge.Snapshot{Version: 1, Fleet: &edge.Fleet{
		Zone: "edge.example", Probe: "probe.edge.example",
		PoPs: []edge.PoP{
			{ID: "iad", Place: edge.Place{Continent: "NA", Country: "US"}, Unicast: addrs("192.0.2.10", "2001:db8:10::1"), Capacity: 2},
			{ID: "fra", Place: edge.Place{Continent: "EU", Country: "DE"}, Unicast: addrs("192.0.2.30"), Capacity: 1},
			{ID: "dark", Place: edge.Place{Continent: "EU", Country: "SE"}},
		},
		VIPs:     []edge.VIP{{ID: "global", Addresses: addrs("198.51.100.1")}},
		Services: []edge.Service{{Name: "www.edge.example", Scheme: edge.Unicast, TTL: probeTTL}},
	}}
}

// TestProbeNames: every scheme that is compared and every PoP that has an
// address can be probed, and each answer says in metrics what it is.
func TestProbeNames(t *testing.T) {
	s, err := newSteering(steeringWorld(), nil)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, n := range s.Names() {
		var labels []string
		for _, a := range n.Answers {
			labels = append(labels, a.Label)
		}
		got[n.Name] = strings.Join(labels, " ")
	}
	want := map[string]string{
		"www.edge.example":             "iad", // the largest: nothing is known of any client
		"unicast-*.probe.edge.example": "iad",
		"global-*.probe.edge.example":  "vip:global",
		"pop-iad-*.probe.edge.example": "iad",
		"pop-fra-*.probe.edge.example": "fra",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if len(s.costs) != 1 || s.costs[0].Name() != "www.edge.example" {
		t.Errorf("costs of %d services", len(s.costs))
	}
}

// TestProbesFollowDrains: what is probed is what clients would get.
func TestProbesFollowDrains(t *testing.T) {
	answer := func(w *edge.Snapshot, name string) (label string) {
		s, err := newSteering(w, nil)
		if err != nil {
			t.Fatal(err)
		}
		var tailored authdns.Tailored
		at := -1
		for i, n := range s.Names() {
			if n.Name == name {
				tailored, at = n, i
			}
		}
		if at < 0 {
			t.Fatalf("there is no %s", name)
		}
		client := netip.MustParseAddr("203.0.113.1")
		a, _ := s.Lookup(at, client, client)
		if why := s.Explain(at, client, client); why == "" {
			t.Errorf("%s: no explanation", name)
		}
		return tailored.Answers[a].Label
	}
	w := steeringWorld()
	if got := answer(w, "unicast-*.probe.edge.example"); got != "iad" {
		t.Errorf("unicast goes to %s", got)
	}
	w.Drains = []edge.Drain{{PoP: "iad"}}
	if got := answer(w, "unicast-*.probe.edge.example"); got != "fra" {
		t.Errorf("unicast goes to %s while iad is drained", got)
	}
	if got := answer(w, "pop-iad-*.probe.edge.example"); got != "iad" {
		t.Errorf("a PoP's own name goes to %s", got)
	}
	w.Ramps = []edge.Ramp{{ID: "r", Service: "www.edge.example", Scheme: edge.Global, Share: 1, Salt: "s"}}
	if got := answer(w, "www.edge.example"); got != "vip:global" {
		t.Errorf("the ramp goes to %s", got)
	}
	if got := answer(w, "unicast-*.probe.edge.example"); got != "fra" {
		t.Errorf("unicast goes to %s under a ramp", got)
	}
}

func TestSteeringRefuses(t *testing.T) {
	if _, err := newSteering(&edge.Snapshot{}, nil); err == nil {
		t.Error("a snapshot without a fleet is taken")
	}
	w := steeringWorld()
	w.Drains = []edge.Drain{{PoP: "nrt"}}
	if _, err := newSteering(w, nil); err == nil || !strings.Contains(err.Error(), `there is no PoP "nrt"`) {
		t.Errorf("%v", err)
	}
}
