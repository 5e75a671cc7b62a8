package sim

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"catchment/internal/edge"
	"catchment/internal/sim/route"
	"catchment/internal/sim/topology"
)

// TestDrawn: a PoP more leaves all that was drawn for the others as it was,
// whatever its place in the file.
func TestDrawn(t *testing.T) {
	in := topology.Input{Cities: cities()}
	for c := range uint32(8) { // carriers
		for d := range c {
			in.Links = append(in.Links, topology.Link{A: 65000 + c, B: 65000 + d, Rel: topology.Peering})
		}
		for m := range 6 {
			if (int(c)+m)%3 > 0 {
				in.Presence = append(in.Presence, topology.Presence{ASN: 65000 + c, Metro: topology.Metro(m)})
			}
		}
	}
	for i := range uint32(400) { // networks in one to three metros
		in.Links = append(in.Links, topology.Link{A: 65000 + i%8, B: 100 + i, Rel: topology.Transit})
		for m := range 1 + i%3 {
			in.Presence = append(in.Presence, topology.Presence{ASN: 100 + i, Metro: topology.Metro((i + m) % 6), Users: float64(100 * (1 + i))})
		}
	}
	topo, err := topology.Build(in)
	if err != nil {
		t.Fatal(err)
	}
	bare := loadFleet(t, nil)
	for i := range bare.PoPs {
		bare.PoPs[i].BGP = nil
	}
	more := *bare
	more.PoPs = append([]edge.PoP{{ID: "fra", Place: cities()[frankfurt].Place}}, bare.PoPs...)
	type session struct {
		PoP      edge.PoPID
		Neighbor topology.AS
		Class    route.Class
	}
	drawn := func(f *edge.Fleet, o Options) (all []session) {
		w, err := New(f, topo, o)
		if err != nil {
			t.Fatal(err)
		}
		sessions, err := w.Sessions("global")
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range sessions {
			if id := f.PoPs[s.PoP].ID; id != "fra" {
				all = append(all, session{id, s.Neighbor, s.Class})
			}
		}
		return all
	}
	count := func(all []session, pop edge.PoPID, c route.Class) (of []topology.AS) {
		for _, s := range all {
			if s.PoP == pop && s.Class == c {
				of = append(of, s.Neighbor)
			}
		}
		return of
	}
	for _, same := range []Sameness{SameEverywhere, SameInRegion, OwnPerPoP} {
		o := plainOptions()
		o.Connectivity.Transit = same
		few, many := drawn(bare, o), drawn(&more, o)
		if d := cmp.Diff(few, many); d != "" {
			t.Errorf("%s: a PoP more changed the others (-few +many)\n%s", same, d)
		}
		for _, pop := range []edge.PoPID{"iad", "gru", "sin"} {
			if n := len(count(few, pop, route.FromCustomer)); n != 3 {
				t.Errorf("%s: %s has %d transits", same, pop, n)
			}
			// A third of 400 networks is there, half of them peer in 0.85 of their
			// metros: 57 on average (±4σ).
			peers := len(count(few, pop, route.FromPeer))
			if peers < 34 || peers > 80 {
				t.Errorf("%s: %s has %d peers", same, pop, peers)
			}
		}
	}
	// Another seed draws others.
	o := plainOptions()
	was := drawn(bare, o)
	o.Seed = 2
	if cmp.Equal(was, drawn(bare, o)) {
		t.Error("the seed makes no difference")
	}
	// Nor does a PoP that an edit adds, even if it buys from a peer of others.
	w, err := New(bare, topo, plainOptions())
	if err != nil {
		t.Fatal(err)
	}
	peer := topo.ASNs[count(was, "iad", route.FromPeer)[0]]
	p, err := w.plan("global", []Edit{{Kind: AddPoP, pop: "fra", place: cities()[frankfurt].Place, asns: []uint32{peer}}})
	if err != nil {
		t.Fatal(err)
	}
	before, err := w.Sessions("global")
	if err != nil {
		t.Fatal(err)
	}
	added := p.sessions()
	if d := cmp.Diff(before, added[:len(before)]); d != "" {
		t.Error(d)
	}
	if len(added) < len(before)+30 || topo.ASNs[added[len(before)].Neighbor] > 500 {
		t.Errorf("%d sessions of %d are new", len(added)-len(before), len(added))
	}
	// Large networks peer more often; with certainty, if told so.
	o.Connectivity.LargeUsers, o.Connectivity.PeerLarge, o.Connectivity.SingleMetro, o.Connectivity.EachMetro = 1, 1, 0, 1
	all := drawn(bare, o)
	present := 0
	for i := range 400 {
		a, _ := topo.Find(uint32(100 + i))
		if topo.Footprint[a].Has(ashburn) {
			present++
		}
	}
	if n := len(count(all, "iad", route.FromPeer)); n != present {
		t.Errorf("%d of %d peer", n, present)
	}
}

// TestNeighbors: what the fleet file says about sessions.
func TestNeighbors(t *testing.T) {
	w, err := New(loadFleet(t, func(s string) string {
		s = strings.Replace(s, "asn: 64497}", "asn: 64499, no_export_to: [64496]}", 1)
		s = strings.Replace(s, "        - {address: 192.0.2.31", "        - {address: \"2001:db8::31\", asn: 64498}\n        - {address: 192.0.2.31", 1)
		s = strings.Replace(s, "asn: 64496}", "asn: 64496, vips: [global], prepend: 2, no_export_to: [64505, 64503, 64501], scope: [EU, NA]}", 1)
		return s
	}), story(t), plainOptions())
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"pops[0].bgp.neighbors[0].no_export_to[1]: AS64503 is not in the topology: left out",
		"pops[0].bgp.neighbors[1].asn: AS64499 is not in the topology: left out",
	}
	if d := cmp.Diff(want, w.Warnings); d != "" {
		t.Error(d)
	}
	global, err := w.Sessions("global")
	if err != nil {
		t.Fatal(err)
	}
	as := func(asn uint32) topology.AS { a, _ := w.Topology.Find(asn); return a }
	var scope topology.Metros
	for _, m := range []topology.Metro{ashburn, chicago, frankfurt} {
		scope.Add(m)
	}
	first := route.Session{
		PoP: 0, Metro: ashburn, Neighbor: as(64496), Class: route.FromCustomer, Prepend: 2,
		NoExport: []topology.AS{as(64501), as(64505)}, Scope: &scope,
	}
	if d := cmp.Diff(first, global[0]); d != "" {
		t.Error(d)
	}
	if global[2].Class != route.FromPeer || global[2].Neighbor != as(64502) || len(global) != 5 {
		t.Errorf("%+v", global)
	}
	americas, err := w.Sessions("americas")
	if err != nil || len(americas) != 2 || americas[0].PoP != 1 {
		t.Errorf("%+v %v", americas, err)
	}
	// Unicast goes to all, as it is.
	first.Prepend, first.NoExport, first.Scope = 0, nil, nil
	if d := cmp.Diff([]route.Session{first}, w.Unicast(0)); d != "" {
		t.Error(d)
	}

	// A PoP of whose neighbors none is there is an error.
	_, err = New(loadFleet(t, func(s string) string {
		return strings.Replace(strings.ReplaceAll(s, "64498", "64499"), "192.0.2.32, asn: 64497", "192.0.2.32, asn: 64503", 1)
	}), story(t), plainOptions())
	if err == nil || err.Error() != "sim: pops[2].bgp.neighbors: none of the neighbors of sin is in the topology" {
		t.Error(err)
	}
}
