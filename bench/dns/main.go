// Dns measures what a query costs `catchment dns` against gdnsd, Knot DNS with
// its geoip module, and PowerDNS with its geoip backend, all of Debian: the
// same 540,000 places, the same 50,000 clients by ECS, one worker each.
//
// The server is pinned to processor 0, the load to processor 1. A round measures
// all servers by turns, in short slices whose order is drawn anew, first
// saturated and then at a fixed rate: what disturbs a shared machine then
// disturbs all of them. The cost of a query is the CPU time of all the server's
// threads over the answers; rounds are compared within themselves. Every answer
// is checked.
package main

import (
	"errors"
	"flag"
	"fmt"
	"log"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// options are the flags.
type options struct {
	catchment  string
	servers    string
	rounds     int
	warm, span time.Duration
	rate       int
	seed       uint64
	clients    int
	json       string
}

func main() {
	log.SetFlags(0)
	var o options
	flag.StringVar(&o.catchment, "catchment", "bin/catchment", "catchment binary")
	flag.StringVar(&o.servers, "servers", strings.Join(names(), ","), "servers to measure")
	flag.IntVar(&o.rounds, "rounds", 7, "rounds, 1 to 100")
	flag.DurationVar(&o.warm, "warm", 50*time.Millisecond, "warm-up of each slice of a round")
	flag.DurationVar(&o.span, "time", 2*time.Second, "measured time of a round, for each server, saturated and at the fixed rate; up to 1m")
	flag.IntVar(&o.rate, "rate", 10_000, "the fixed rate, queries per second, up to 20,000")
	flag.Uint64Var(&o.seed, "seed", 1, "of the places, the clients and the order of the servers")
	flag.IntVar(&o.clients, "clients", 50_000, "different ECS prefixes")
	flag.StringVar(&o.json, "json", "", "`file` for the figures of every round; -: standard output, in the place of the table")
	asFloor := flag.String("floor", "", "be the server without a look-up, on this `address`")
	flag.Parse()
	if *asFloor != "" {
		addr, err := netip.ParseAddrPort(*asFloor)
		if err == nil {
			err = serveFloor(addr)
		}
		log.Fatal(err)
	}
	err := o.check()
	if err == nil {
		err = run(&o)
	}
	if err != nil {
		log.Fatal(err)
	}
}

func (o *options) check() error {
	switch {
	case flag.NArg() > 0:
		return fmt.Errorf("unexpected argument %q", flag.Arg(0))
	case o.rounds < 1 || o.rounds > 100:
		return errors.New("-rounds: want 1 to 100")
	case o.span <= 0 || o.span > time.Minute || o.warm < 0 || o.warm > time.Minute:
		return errors.New("-time and -warm: want up to 1m")
	case o.rate < 1 || o.rate > 20_000: // load.flights bounds what may be under way
		return errors.New("-rate: want 1 to 20000")
	case o.clients < 1 || o.clients > 1_000_000:
		return errors.New("-clients: want 1 to 1000000")
	}
	return nil
}

// setups are the servers there are, by the names that -servers takes.
var setups = []struct {
	name string
	make func(*site) (*contender, error)
}{
	{"floor", always(floor)},
	{"gdnsd", always(gdnsd)},
	{"knot", always(func(s *site) *contender { return knot(s, false) })},
	{"knot-signed", always(func(s *site) *contender { return knot(s, true) })},
	{"powerdns", always(powerDNS)},
	{"catchment", always(catchment)},
	{"catchment-full", catchmentFull},
}

func always(make func(*site) *contender) func(*site) (*contender, error) {
	return func(s *site) (*contender, error) { return make(s), nil }
}

func names() (all []string) {
	for _, s := range setups {
		all = append(all, s.name)
	}
	return all
}

func run(o *options) error {
	dir, err := os.MkdirTemp("", "catchment-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s, err := newSite(dir, o)
	if err != nil {
		return err
	}
	var results []*result
	defer func() {
		for _, r := range results {
			r.daemon.stop()
		}
	}()
	for name := range strings.SplitSeq(o.servers, ",") {
		i := slices.Index(names(), name)
		if i < 0 {
			return fmt.Errorf("-servers: there is no %q: want some of %s", name, strings.Join(names(), ", "))
		}
		c, err := setups[i].make(s)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		r, err := begin(c)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		results = append(results, r)
	}
	if err := settle(); err != nil {
		return err
	}
	rng := rand.New(rand.NewPCG(o.seed, 3))
	for round := range o.rounds {
		if err := o.round(rng, results); err != nil {
			return err
		}
		for _, r := range results {
			fmt.Fprintf(os.Stderr, "round %d  %-28s %6.2f µs saturated, %6.2f µs at %d/s\n",
				round+1, r.Name, r.Saturated.Cost[round], r.Offered.Cost[round], o.rate)
		}
	}
	return report(o, s, results)
}

// turns is how many of either kind a round has for each server.
const turns = 8

// round measures every server, a slice after the other in an order drawn anew.
func (o *options) round(rng *rand.Rand, results []*result) error {
	span := o.span / turns
	each := func(step func(*result) error) error {
		for _, i := range rng.Perm(len(results)) {
			if err := step(results[i]); err != nil {
				return fmt.Errorf("%s: %w", results[i].Name, err)
			}
		}
		return nil
	}
	for range turns {
		if err := each(func(r *result) error { return r.saturated(o.warm, span) }); err != nil {
			return err
		}
	}
	for range turns {
		if err := each(func(r *result) error { return r.offered(o.rate, o.warm, span) }); err != nil {
			return err
		}
	}
	return each((*result).finish)
}

func newSite(dir string, o *options) (*site, error) {
	fmt.Fprintln(os.Stderr, "making places and clients")
	w := newWorld(o.seed, wholeWorld)
	s := &site{
		dir: dir, places: filepath.Join(dir, "places.mmdb"), catchment: o.catchment,
		leaves4: len(w.v4), leaves6: len(w.v6), queries: newQueries(w, o.seed, o.clients),
	}
	return s, w.writePlaces(s.places)
}

// settle makes this process disturb what it measures as little as it can.
func settle() error {
	debug.FreeOSMemory()
	debug.SetGCPercent(-1) // from here on hardly anything is allocated
	return pinSelf()
}
