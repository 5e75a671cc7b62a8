// Report measures what `catchment report assignment` costs over a store of
// generated page views: CPU time and peak memory of the process, from start to
// the last line of output.
//
// The store is made once, through the same code that seals real beacons, and
// kept in -dir for the next run.
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"math"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"catchment/internal/edge"
	"catchment/internal/store"
)

// The world of the generated views, in the proportions of a large site's week.
const (
	countries    = 60
	subdivisions = 446
	networks     = 3447
	cells        = 25600
	prefixes     = 300000
	pops         = 40
	days         = 7

	// churn is the share of views that a scheme leads elsewhere than most views
	// of the same prefix: catchments follow routes, not single views.
	churn = 0.03
)

func main() {
	log.SetFlags(0)
	var (
		catchment = flag.String("catchment", "bin/catchment", "catchment binary")
		views     = flag.Int("views", 10_000_000, "page views")
		base      = flag.String("dir", ".cache", "where stores are kept from run to run")
		rounds    = flag.Int("rounds", 3, "the least of so many runs counts")
	)
	flag.Parse()
	dir := filepath.Join(*base, fmt.Sprintf("report-%d-v%d", *views, store.SchemaVersion))
	if err := generate(dir, *views); err != nil {
		log.Fatal(err)
	}
	for _, by := range []string{"subdivision", "country,subdivision,asn"} {
		if err := measure(*catchment, dir, by, *views, *rounds); err != nil {
			log.Fatal(err)
		}
	}
}

func measure(catchment, dir, by string, views, rounds int) error {
	var best time.Duration
	var rss int64
	var groups []struct {
		Views   int
		Schemes map[string]struct {
			Low        *float64
			PenaltyP90 *float64 `json:"penalty_p90"`
		}
	}
	var took time.Duration
	for round := range rounds {
		cmd := exec.Command(catchment, "report", "assignment", "--data", dir, "--by", by, "--format", "json")
		cmd.Stderr = os.Stderr
		start := time.Now()
		out, err := cmd.Output()
		if err != nil {
			return fmt.Errorf("report: %w", err)
		}
		wall := time.Since(start)
		cpu := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
		if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
			rss = max(rss, usage.Maxrss<<10)
		}
		if round == 0 || cpu < best {
			best, took = cpu, wall
		}
		if err := json.NewDecoder(bytes.NewReader(out)).Decode(&groups); err != nil {
			return fmt.Errorf("report's output: %w", err)
		}
	}
	total, judged := 0, 0
	for _, g := range groups {
		total += g.Views
		if s := g.Schemes["global"]; s.Low != nil && s.PenaltyP90 != nil {
			judged++
		}
	}
	if total != views {
		return fmt.Errorf("the report counts %d views, the store holds %d", total, views)
	}
	fmt.Printf("%d views by %s: %d groups, %d with interval and penalties: %.2f s CPU, %.2f s wall, %d MiB peak (least CPU of %d)\n",
		views, by, len(groups), judged, best.Seconds(), took.Seconds(), rss>>20, rounds)
	return nil
}

// generate fills dir with views, unless it is full already.
func generate(dir string, views int) error {
	done := filepath.Join(dir, "complete")
	if _, err := os.Stat(done); err == nil {
		return nil
	}
	log.Printf("generating %d page views into %s (once)", views, dir)
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	w := newWorld()
	first := edge.DayOf(time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC))
	for d := range days {
		n := views / days
		if d == days-1 {
			n = views - n*(days-1)
		}
		day := first + edge.Day(d)
		batch := make([]*edge.Beacon, n)
		for i := range batch {
			batch[i] = w.view(day.Time().Add(24 * time.Hour / time.Duration(n) * time.Duration(i)))
		}
		// One segment a day, as compaction leaves a closed day of this size.
		if _, err := store.WriteSegment(dir, day, uint64(d+1), uint64(d+1), batch); err != nil {
			return err
		}
		log.Printf("  day %d of %d", d+1, days)
	}
	return os.WriteFile(done, nil, 0o644)
}

type world struct {
	rng *rand.Rand
	ids uint64
	pop [pops]edge.PoPID
}

func newWorld() *world {
	w := &world{rng: rand.New(rand.NewPCG(1, 2))}
	for i := range w.pop {
		w.pop[i] = edge.PoPID(fmt.Sprintf("p%02d", i))
	}
	return w
}

// view draws a client prefix (few send much, many send little), which belongs
// to one cell, and the PoPs that it reaches.
func (w *world) view(at time.Time) *edge.Beacon {
	r := w.rng.Float64()
	prefix := int(r * r * prefixes)
	cell := prefix % cells
	sub := cell % subdivisions
	best := cell % pops
	w.ids++
	b := &edge.Beacon{
		V: 1, ID: fmt.Sprintf("%016x", w.ids*0x9e3779b97f4a7c15), Rate: 0.01, Received: at,
		Client: netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(11 + prefix>>16), byte(prefix >> 8), byte(prefix), 0}), 24),
		Place: edge.Place{
			Continent: "NA", Country: fmt.Sprintf("%c%c", 'A'+sub%countries/26, 'A'+sub%countries%26),
			Subdivision: fmt.Sprintf("S%d", sub), ASN: uint32(64512 + cell%networks),
		},
		Probes: make([]edge.Probe, 0, 6),
	}
	rtt := func(pop int) float64 {
		distance := float64((pop-best+pops)%pops) * 12
		return math.Round(10*(8+distance+float64(prefix%7)+3*w.rng.ExpFloat64())) / 10
	}
	probe := func(t edge.Target, pop int) {
		b.Probes = append(b.Probes, edge.Probe{Target: t, PoP: w.pop[pop], RTT: rtt(pop), AF: 4})
	}
	scheme := func(s edge.Scheme, optimal float64) {
		// Where most views of this prefix go is the prefix's own.
		draw := rand.New(rand.NewPCG(uint64(prefix), uint64(s.Index())))
		if w.rng.Float64() < churn {
			draw = w.rng
		}
		pop := best
		if draw.Float64() > optimal {
			pop = (best + 1 + draw.IntN(3)) % pops
		}
		probe(edge.Target(s), pop)
	}
	scheme(edge.Unicast, 0.75)
	scheme(edge.Global, 0.80)
	scheme(edge.Regional, 0.90)
	probe(edge.TargetOf(w.pop[best]), best)
	for _, step := range []int{1 + w.rng.IntN(2), 3 + w.rng.IntN(2)} {
		pop := (best + step) % pops
		probe(edge.TargetOf(w.pop[pop]), pop)
	}
	return b
}
