package dns_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"catchment/internal/edge"
)

// TestSwaps replaces the snapshot a hundred times while clients ask as fast as
// they get answers. None may be lost, and each must be, byte for byte, that of
// the state in use.
func TestSwaps(t *testing.T) {
	const (
		sockets = 4
		settled = 20 // swaps after which memory should not grow any more
		swaps   = 100
	)
	s := newSite(t)
	w := newWorld(7, 500, 30*time.Second)
	w.mixFamilies()
	states := [2]*edge.Snapshot{w.state(), w.state()}
	keys, _ := s.keys()
	server := s.serve(append(s.files(w, states[0]), "--key-dir", keys)...)

	l := &load{t: t}
	for i := range 4000 {
		family := 4 + 2*(i%2)
		subnet, _ := w.client(family).Prefix([]int{24, 32, 56, 64}[i%2*2+w.rng.IntN(2)])
		l.lookups = append(l.lookups, lookup{name: services[w.rng.IntN(len(services))].Name, qtype: []uint16{dns.TypeA, dns.TypeAAAA}[w.rng.IntN(2)], subnet: subnet})
	}
	const from = "192.0.2.99"
	l.learn(s, 0, newTruth(t, w, states[0]), from)
	s.swap(server, states[1])
	l.learn(s, 1, newTruth(t, w, states[1]), from)
	differ := 0
	for i := range l.lookups {
		if !bytes.Equal(l.right[0][i], l.right[1][i]) {
			differ++
		}
	}
	if differ < len(l.lookups)/4 {
		t.Fatalf("the states differ for %d of %d clients only", differ, len(l.lookups))
	}

	l.begun.Store(1)
	l.done.Store(1)
	var asking sync.WaitGroup
	for i := range sockets {
		c := s.dial(from, server4)
		asking.Go(func() {
			rng := rand.New(rand.NewPCG(7, uint64(i)))
			for queries := l.pack(); !l.stop.Load(); {
				if err := l.round(c, queries, rng); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	memory := func() float64 { return s.mustScrape(admin)["process_resident_memory_bytes"] / (1 << 20) }
	var early float64
	start := time.Now()
	for k := int64(2); k < 2+swaps && !t.Failed(); k++ {
		state := *states[k%2]
		state.Version = uint64(k + 1)
		l.begun.Store(k)
		s.swap(server, &state)
		l.done.Store(k)
		enough := l.asked.Load() + 500 // answers that can only be of this state
		s.until("answers", func() error {
			if l.asked.Load() < enough && !t.Failed() {
				return errors.New("too few")
			}
			return nil
		}, server)
		if k == 1+settled {
			early = memory()
		}
	}
	late, took := memory(), time.Since(start)
	l.stop.Store(true)
	asking.Wait()
	if t.Failed() {
		return
	}
	m := s.mustScrape(admin)
	asked := l.asked.Load()
	t.Logf("figures: %d swaps in %.1f s under %.0f queries/s on a shared machine; %d clients differ; memory %.0f MiB after %d swaps, %.0f MiB after all",
		swaps, took.Seconds(), float64(asked)/took.Seconds(), differ, early, settled, late)
	if asked < 20_000 {
		t.Errorf("only %d queries: no load to speak of", asked)
	}
	if late > 1.5*early+20 {
		t.Errorf("memory grows from %.0f to %.0f MiB", early, late)
	}
	if n := m["catchment_dns_snapshot_swaps_total"]; n < swaps {
		t.Errorf("%v swaps counted", n)
	}
	if n := m.sum("catchment_dns_dropped_total") + m["catchment_dns_snapshot_refusals_total"] + m["catchment_snapshot_refused_total"]; n != 0 {
		t.Errorf("%v packets dropped or snapshots refused", n)
	}
}

// load asks the same questions over and over, while two states replace each
// other: swap k puts state k%2 in use.
type load struct {
	t           *testing.T
	lookups     []lookup
	right       [2][][]byte // by state and lookup: the answer, without its ID
	begun, done atomic.Int64
	asked       atomic.Int64
	stop        atomic.Bool
}

func (l *load) pack() (queries [][]byte) {
	for _, x := range l.lookups {
		queries = append(queries, x.pack(l.t))
	}
	return queries
}

// learn notes the answers of a state, which must be what steering says.
func (l *load) learn(s *site, state int, right truth, from string) {
	l.t.Helper()
	queries := l.pack()
	l.right[state] = make([][]byte, len(queries))
	who := netip.MustParseAddr(from)
	err := ask(s.dial(from, server4), window, len(queries), func(i int) []byte { return queries[i] }, func(i int, reply []byte) error {
		l.right[state][i] = slices.Clone(reply[2:])
		got, err := parse(queries[i], reply)
		if want := right.of(l.lookups[i], who); err == nil && got != want {
			err = fmt.Errorf("%v: %+v, want %+v", l.lookups[i], got, want)
		}
		return err
	})
	if err != nil {
		l.t.Fatal(err)
	}
}

// round asks everything once, in random order.
func (l *load) round(c net.Conn, queries [][]byte, rng *rand.Rand) error {
	order := rng.Perm(len(queries))
	oldest := make([]int64, len(order)) // that could have answered: the last swap that was done when it was sent
	query := func(i int) []byte {
		oldest[i] = l.done.Load()
		return queries[order[i]]
	}
	return ask(c, window, len(order), query, func(i int, reply []byte) error {
		newest := l.begun.Load()
		l.asked.Add(1)
		x := order[i]
		for k := oldest[i]; k <= min(newest, oldest[i]+1); k++ {
			if bytes.Equal(reply[2:], l.right[k%2][x]) {
				return nil
			}
		}
		return fmt.Errorf("%v between swaps %d and %d: % x", l.lookups[x], oldest[i], newest, reply)
	})
}
