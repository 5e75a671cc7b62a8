package sources

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"testing"

	"catchment/internal/sim/topology"
)

// inventInternet writes a file of AS relationships with the size of the real
// one: 15 tier-1s who all peer, transits that buy from them, stubs that buy from
// transits, and peers, some of them told twice.
func inventInternet(w io.Writer, ases int) error {
	rnd := rand.New(rand.NewPCG(1, uint64(ases)))
	out := bufio.NewWriter(w)
	fmt.Fprint(out, "# source:example\n# input clique: 100000 100001\n")
	const tier1s, first = 15, 100_000
	transits := ases / 7
	asn := func(i int) int { return first + i }
	for i := range tier1s {
		for j := range i {
			fmt.Fprintf(out, "%d|%d|0|bgp\n", asn(j), asn(i))
		}
	}
	for i := tier1s; i < ases; i++ {
		from, to := 0, tier1s
		if i >= tier1s+transits {
			from, to = tier1s, tier1s+transits
		}
		p := from + rnd.IntN(to-from)
		fmt.Fprintf(out, "%d|%d|-1|bgp\n", asn(p), asn(i))
		if second := from + rnd.IntN(to-from); second != p {
			fmt.Fprintf(out, "%d|%d|-1|bgp\n", asn(second), asn(i))
		}
		for range 5 {
			if peer := tier1s + rnd.IntN(ases-tier1s); peer != i && i >= tier1s {
				fmt.Fprintf(out, "%d|%d|0|mlp\n", asn(i), asn(peer))
			}
		}
	}
	return out.Flush()
}

// TestInternet imports a file as large as CAIDA's: the one that CATCHMENT_ASREL
// names, or an invented one.
func TestInternet(t *testing.T) {
	const ases = 78_000
	name := os.Getenv("CATCHMENT_ASREL")
	s := newSet(t)
	if name != "" {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := s.ASRelationships(name, f); err != nil {
			t.Fatal(err)
		}
	} else {
		r, w := io.Pipe()
		go func() { w.CloseWithError(inventInternet(w, ases)) }()
		if err := s.ASRelationships("invented.txt", r); err != nil {
			t.Fatal(err)
		}
	}
	lines := len(s.links)
	in, notes := input(t, s)
	topo, err := topology.Build(in)
	if err != nil {
		t.Fatal(err)
	}
	stats := topo.Stats()
	t.Logf("%d lines; %v", lines, notes)
	t.Logf("%d ASes (%d stubs), %d links (%d transit, %d peering), cones %+v", stats.ASes, stats.Stubs, stats.Links, stats.Transit, stats.Peering, stats.Cones)
	for _, c := range stats.Clique {
		t.Logf("tier-1 AS%d: cone of %d", c.ASN, c.Size)
	}
	if name != "" {
		return
	}
	if stats.ASes != ases || stats.Links < 500_000 || stats.Links >= lines || len(stats.Clique) != 15 {
		t.Errorf("%d ASes, %d links, %d in the clique (want %d, 500000 or more, 15)", stats.ASes, stats.Links, len(stats.Clique), ases)
	}
}
