// Command ramp measures how often package ramp errs: how often it calls arms
// different that are alike, and how often it misses a harm before the next
// step. Everything follows from the seeds.
package main

import (
	"flag"
	"fmt"
	"math"
	"os"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"catchment/internal/ramp"
	"catchment/internal/ramp/ramptest"
)

func main() {
	alike := flag.Int("alike", 1000, "ramps whose arms are alike")
	harmed := flag.Int("harmed", 200, "ramps for each harm and step")
	first := flag.Uint64("seed", 1, "the first seed")
	workers := flag.Int("workers", 2, "trials at the same time")
	flag.Parse()
	debug.SetGCPercent(800)

	all := *alike
	kinds := harms()
	for _, h := range kinds {
		all += *harmed * len(h.steps)
	}
	b := bench{workers: *workers, seed: *first, all: int64(all)}
	if *alike > 0 {
		b.alike(*alike)
	}
	if *harmed > 0 {
		fmt.Printf("\n%-34s %6s  %-28s %8s %10s  %s\n", "harm", "share", "caught before the next step", "passed", "undecided", "hours until caught, median and p90")
		for _, h := range kinds {
			b.harmed(h, *harmed)
		}
	}
}

type bench struct {
	workers int
	seed    uint64
	done    atomic.Int64
	all     int64
}

// trials runs n trials and returns them by seed.
func (b *bench) trials(n int, run func(seed uint64) ramptest.Trial) []ramptest.Trial {
	out := make([]ramptest.Trial, n)
	next := atomic.Int64{}
	var wait sync.WaitGroup
	for range b.workers {
		wait.Go(func() {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				out[i] = run(b.seed + uint64(i))
				if done := b.done.Add(1); done%10 == 0 || done == b.all {
					fmt.Fprintf(os.Stderr, "\r%d of %d trials", done, b.all)
				}
			}
		})
	}
	wait.Wait()
	return out
}

// alike ramps arms that do not differ.
func (b *bench) alike(n int) {
	all := b.trials(n, func(seed uint64) ramptest.Trial {
		p := ramptest.Plan("us")
		return ramptest.Run(p, ramptest.New(seed, "us", 20000, 200000), 0, 30, nil)
	})
	different, worse, better, alarm, finished, looks := 0, 0, 0, 0, 0, 0
	var days []float64
	for i := range all {
		t := &all[i]
		looks += t.Looks
		count(&worse, t.Worse)
		count(&better, t.Better)
		count(&different, t.Worse || t.Better)
		count(&alarm, t.Alarm())
		count(&finished, t.Last.Action == ramp.Finish)
		days = append(days, t.Days)
	}
	fmt.Printf("%d ramps whose arms are alike, %d looks, %.1f days each in the median\n", n, looks, quantile(days, 0.5))
	fmt.Printf("  worse or better, at any look, in any comparison  %s\n", rate(different, n))
	fmt.Printf("    worse                                          %s\n", rate(worse, n))
	fmt.Printf("    better                                         %s\n", rate(better, n))
	fmt.Printf("  went back                                        %s\n", rate(alarm, n))
	fmt.Printf("  went through without an alarm                    %s\n", rate(finished, n))
}

// observe is for how long units are watched before a harmed ramp begins: less
// than by default, which is harder.
const observe = 6 * time.Hour

type kind struct {
	name  string
	harm  ramptest.Harm
	steps []int
}

func harms() []kind {
	compared := []int{0, 1, 2, 3}
	return []kind{
		{"latency +20 ms in one network", ramptest.Harm{Latency: 20, Network: ramptest.Networks[0]}, compared},
		{"1 % of probes and page loads fail", ramptest.Harm{Failures: 0.01}, compared},
		{"0.02 resets a minute more", ramptest.Harm{Resets: 0.02}, compared},
		{"a PoP over its capacity", ramptest.Harm{Load: 0.6}, []int{0, 1, 2, 3, 4}},
	}
}

// harmed ramps arms of which one suffers from the first share on.
func (b *bench) harmed(k kind, n int) {
	p := ramptest.Plan("us")
	p.Observe = ramp.Duration(observe)
	for _, step := range k.steps {
		all := b.trials(n, func(seed uint64) ramptest.Trial {
			w := ramptest.New(seed, "us", 20000, 200000)
			w.Harm, w.From = k.harm, p.Steps[step]
			return ramptest.Run(p, w, step, 15, func(d ramp.Decision) bool { return d.Action == ramp.Advance })
		})
		caught, passed := 0, 0
		var hours []float64
		for i := range all {
			t := &all[i]
			count(&passed, t.Passed())
			if t.Alarm() {
				caught++
				hours = append(hours, 24*t.Days-observe.Hours())
			}
		}
		fmt.Printf("%-34s %4.0f %%  %-28s %8d %10d  %.1f, %.1f\n", k.name, 100*p.Steps[step], rate(caught, n), passed, n-caught-passed, quantile(hours, 0.5), quantile(hours, 0.9))
	}
}

func count(n *int, is bool) {
	if is {
		*n++
	}
}

func quantile(x []float64, q float64) float64 {
	if len(x) == 0 {
		return math.NaN()
	}
	slices.Sort(x)
	return x[int(q*float64(len(x)-1))]
}

// rate writes k of n with its 95 % interval (Wilson 1927).
func rate(k, n int) string {
	const z = 1.959964
	p, m := float64(k)/float64(n), float64(n)
	middle := (p + z*z/(2*m)) / (1 + z*z/m)
	half := z / (1 + z*z/m) * math.Sqrt(p*(1-p)/m+z*z/(4*m*m))
	return fmt.Sprintf("%.1f %% (%.1f to %.1f)", 100*p, 100*max(0, middle-half), 100*min(1, middle+half))
}
