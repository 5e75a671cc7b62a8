// Sim measures the simulator at the size of today's Internet, on one
// processor: loading the topology, routing one anycast prefix, and draining a
// PoP with every group of users resolved anew. It prints medians and the
// resident memory of the process.
package main

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"time"

	"catchment/internal/sim/generate"
	"catchment/internal/sim/route"
	"catchment/internal/sim/topology"
)

const (
	pops     = 20
	perPoP   = 30 // sessions
	transits = 4  // of them
	apart    = 1000
)

func main() {
	log.SetFlags(0)
	var (
		ases   = flag.Int("ases", 80_000, "networks")
		rounds = flag.Int("rounds", 200, "propagations; a tenth of them drains")
		make   = flag.String("make", "", "only make the topology, in this file")
	)
	flag.Parse()
	if *make != "" {
		if err := generateTo(*make, *ases); err != nil {
			log.Fatal(err)
		}
		return
	}
	dir, err := os.MkdirTemp("", "bench-sim-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "internet")
	// In a process of its own: what generating takes is not what planning takes.
	maker := exec.Command(os.Args[0], "-make", file, "-ases", fmt.Sprint(*ases))
	maker.Stderr = os.Stderr
	if err := maker.Run(); err != nil {
		log.Fatal(err)
	}
	runtime.GOMAXPROCS(1)
	if err := measure(file, *rounds); err != nil {
		log.Fatal(err)
	}
}

func generateTo(file string, ases int) error {
	in, err := generate.Generate(generate.Params{ASes: ases, Seed: 1})
	if err != nil {
		return err
	}
	t, err := topology.Build(in)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := t.Encode(&b); err != nil {
		return err
	}
	return os.WriteFile(file, b.Bytes(), 0o644)
}

func measure(file string, rounds int) error {
	begin := time.Now()
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	t, err := topology.Decode(data)
	if err != nil {
		return err
	}
	loaded := time.Since(begin)
	n := route.NewNetwork(t, route.DefaultModel(1))
	s := sessions(t, n)
	links := len(t.Customers.To) + len(t.Peers.To)/2
	fmt.Printf("%d ASes, %d links, %d groups of users; %d PoPs with %d sessions; one processor\n",
		t.Len(), links, len(t.Groups), pops, len(s))
	fmt.Printf("  load %.1f MB                     %8.2f ms\n", float64(len(data))/1e6, ms(loaded))

	var propagate, drain []time.Duration
	for range rounds {
		begin := time.Now()
		n.Announce(s)
		propagate = append(propagate, time.Since(begin))
	}
	base := n.Announce(s)
	begin = time.Now()
	base.Landings()
	first := time.Since(begin)
	for i := range max(pops, rounds/10) {
		rest := slices.DeleteFunc(slices.Clone(s), func(s route.Session) bool { return s.PoP == i%pops })
		begin := time.Now()
		base.Change(rest).Landings()
		drain = append(drain, time.Since(begin))
	}
	fmt.Printf("  route one anycast prefix         %8.2f ms (median of %d)\n", ms(median(propagate)), len(propagate))
	fmt.Printf("  resolve all groups, first time   %8.2f ms\n", ms(first))
	fmt.Printf("  drain a PoP: route and resolve   %8.2f ms (median of %d)\n", ms(median(drain)), len(drain))
	var use syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &use); err != nil {
		return err
	}
	fmt.Printf("  most resident memory             %8.0f MB\n", float64(use.Maxrss)/1024)
	return nil
}

// sessions connects PoPs in the metros with most networks, far from each
// other, to the largest networks there.
func sessions(t *topology.Topology, n *route.Network) []route.Session {
	present := make([]int, len(t.Cities))
	for a := range t.Len() {
		for m := range t.Footprint[a].All() {
			present[m]++
		}
	}
	metros := make([]topology.Metro, len(t.Cities))
	for i := range metros {
		metros[i] = topology.Metro(i)
	}
	slices.SortStableFunc(metros, func(a, b topology.Metro) int { return cmp.Compare(present[b], present[a]) })
	var at []topology.Metro
	for _, m := range metros {
		if near := slices.ContainsFunc(at, func(p topology.Metro) bool { return n.Km(p, m) < apart }); !near && len(at) < pops {
			at = append(at, m)
		}
	}
	var all []route.Session
	for pop, m := range at {
		var there []topology.AS
		for a := range t.Len() {
			if t.Footprint[a].Has(m) {
				there = append(there, topology.AS(a))
			}
		}
		slices.SortStableFunc(there, func(a, b topology.AS) int {
			return cmp.Compare(len(t.Customers.Of(b)), len(t.Customers.Of(a)))
		})
		for i, a := range there[:min(perPoP, len(there))] {
			s := route.Session{PoP: pop, Metro: m, Neighbor: a, Class: route.FromPeer}
			if i < transits {
				s.Class = route.FromCustomer
			}
			all = append(all, s)
		}
	}
	return all
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}

func ms(d time.Duration) float64 { return float64(d) / 1e6 }
