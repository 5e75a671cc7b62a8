// Package rehearsal runs a declared ramp on a simulated Internet, from the
// first look to the last and as fast as the processor goes: page views of the
// simulator's people, steered by the plans that name servers compile, observed
// and judged by the runner that `catchment serve` runs. What is simulated is
// the users, the network and the time; all that decides is the product's.
//
// Only memory takes the place of the control node's disk (book.go), and page
// views that of the store (traffic.go).
package rehearsal

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"catchment/internal/edge"
	"catchment/internal/ramp"
	"catchment/internal/ramp/runner"
	"catchment/internal/sim"
	"catchment/internal/sim/people"
	"catchment/internal/sim/views"
)

//go:embed us.yaml
var usPlan []byte

// PlanFile returns the declaration that `catchment sim ramp` rehearses unless
// another is given.
func PlanFile() []byte { return usPlan }

// World is who there is and whom they reach.
type World struct {
	Fleet   *edge.Fleet
	People  *people.Population
	Outcome *sim.Outcome
}

// Config of a rehearsal. World and Plan are required.
type Config struct {
	World World
	Plan  *ramp.Plan
	Harms []Harm

	Seed      uint64
	From      edge.Day      // first day; 0: 2026-11-01
	Days      int           // after which it ends, through or not
	Views     int           // page views a day
	Every     time.Duration // between looks
	Countries []string      // whose users view; none: all
	Stale     float64       // share of page views that come by an answer of the other arm: caches; 0.01 is usual
}

// Harm makes things worse for the treatment arm of a geography while its share
// is From or more: its pages come from another PoP, and take longer.
type Harm struct {
	Geography string
	From      float64
	PoP       edge.PoPID
	Ms        float64
}

// Result is how it went.
type Result struct {
	API    http.Handler // the runner's, of what was done, for those who are identified (tokens.As)
	Chart  *runner.Chart
	Status *runner.Status
	Looks  int
	Views  int
	Days   float64
}

// Run rehearses. Told, unless nil, hears of everything that is decided but
// waits.
func Run(ctx context.Context, cfg Config, told func(ramp.Decision)) (*Result, error) {
	if cfg.From == 0 {
		cfg.From = views.DefaultModel(0).From
	}
	if cfg.Days < 1 || cfg.Views < 1 || cfg.Every < time.Minute || cfg.Days > views.MaxDays {
		return nil, errors.New("rehearsal: want days, views a day, and a minute or more between looks")
	}
	w, err := newTraffic(&cfg)
	if err != nil {
		return nil, err
	}
	book := newBook(&cfg, w)
	now := cfg.From.Time()
	r, err := runner.New(runner.Config{
		Records: book, Leases: book, Trails: book, Steering: book, Evidence: w, Places: w.places,
		Every: cfg.Every, Lag: time.Second, Now: func() time.Time { return now },
	}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		return nil, err
	}
	if book.snapshot.Orders, err = w.measure(ctx, now); err != nil {
		return nil, err
	}
	now = now.Add(time.Second)
	if err := r.Start(cfg.Plan, "rehearsal", "to see how it would go"); err != nil {
		return nil, err
	}
	result, last := &Result{API: r.API()}, map[string]ramp.Action{}
	for end := cfg.From.Time().Add(time.Duration(cfg.Days) * 24 * time.Hour); now.Before(end); {
		now = now.Add(cfg.Every)
		before := len(book.looks)
		if err := r.Look(ctx); err != nil {
			return nil, err
		}
		if len(book.looks) == before {
			break // it is through
		}
		result.Looks++
		if told != nil {
			if err := tell(r, cfg.Plan.ID, last, told); err != nil {
				return nil, err
			}
		}
	}
	result.Days, result.Views = now.Sub(cfg.From.Time()).Hours()/24, w.next
	if result.Chart, err = r.Chart(cfg.Plan.ID, chartEvery(cfg.Every)); err != nil {
		return nil, err
	}
	result.Status, err = r.Status(cfg.Plan.ID)
	return result, err
}

// chartEvery is how long a value of the chart is: an hour, or more.
func chartEvery(look time.Duration) time.Duration { return max(6*time.Hour, look) }

// tell tells of what the last look decided, of waits and holds but the first.
func tell(r *runner.Runner, id string, last map[string]ramp.Action, told func(ramp.Decision)) error {
	looks, _, err := r.Looks(id, -1, 1)
	if err != nil {
		return err
	}
	for i := range looks {
		for _, d := range looks[i].Decisions {
			quiet := d.Action == ramp.Waits || d.Action == ramp.Holds && last[d.Geography] == ramp.Holds
			if last[d.Geography] = d.Action; !quiet {
				told(d)
			}
		}
	}
	return nil
}

// Optimal returns the share of page views of all geographies that reached an
// optimal PoP in the first and in the last so many values of the chart.
func (r *Result) Optimal(values int) (first, last float64) {
	all := r.Chart.All
	mean := func(part []runner.Value) float64 {
		sum, n := 0.0, 0.0
		for i := range part {
			if x := part[i].Optimal; x != nil {
				sum += *x * part[i].Views
				n += part[i].Views
			}
		}
		if n == 0 {
			return math.NaN()
		}
		return sum / n
	}
	values = min(values, len(all))
	return mean(all[:values]), mean(all[len(all)-values:])
}

// String says it in a line.
func (r *Result) String() string {
	first, last := r.Optimal(4)
	return fmt.Sprintf("%d looks at %d page views in %.1f days: %.1f %% not optimal at the beginning, %.1f %% at the end", r.Looks, r.Views, r.Days, 100*(1-first), 100*(1-last))
}
