package ramp

import (
	"errors"
	"fmt"
	"math"
	"time"

	"catchment/internal/edge"
)

// Evidence is what came in during a stretch of time: for each geography, page
// views by the unit that was randomized, and the load of the PoPs. Stretches
// follow each other and do not overlap; one of 5 minutes is usual.
type Evidence struct {
	From        time.Time        `json:"from"`
	Until       time.Time        `json:"until"`
	Geographies []GeographyViews `json:"geographies,omitempty"`
	Loads       []PoPLoad        `json:"loads,omitempty"`
}

// GeographyViews are the page views of one geography. One that is not listed
// sent none.
type GeographyViews struct {
	ID string `json:"id"`
	// Share is the treatment arm's, by which the name servers answered during
	// the whole stretch. While it is not the one decided, nothing is judged.
	Share float64 `json:"share"`
	Rows  []Row   `json:"rows,omitempty"`
	// What the heaviest single page load stands for where they are sampled, in
	// minutes of connection, and the heaviest single report, in requests.
	Minutes  float64    `json:"minutes,omitempty"`
	Requests float64    `json:"requests,omitempty"`
	PoPs     []PoPViews `json:"pops,omitempty"` // where they went; for blame when a PoP is overloaded
}

// Arm is a side of the comparison. A unit's arm is by the hash that steering
// uses, not by what it got: see Row.Bucket and Row.Contaminated.
type Arm uint8

// The arms.
const (
	Control   Arm = 0
	Treatment Arm = 1
)

// Row sums up the page views of one unit: the prefix that was hashed, that is
// the granule around what the resolver sent (ECS), else around the resolver. A
// unit has one row for each network in it.
//
// Everything is as counted and not divided by sampling rates: both arms of a
// geography are sampled alike.
type Row struct {
	Unit    uint64 `json:"unit"` // any key; equal for equal units
	Network uint32 `json:"network,omitempty"`
	// Bucket is the unit's by the salt of the geography (Plan.SaltOf), 0 to
	// 9999, as docs/steering.md has it: it is treated below share · 10000. It is
	// known at every share, so that a unit can be compared with what it was
	// before there was any.
	Bucket uint16  `json:"bucket"`
	Views  float64 `json:"views"`

	Contaminated float64 `json:"contaminated,omitempty"` // views whose page came by the other arm's scheme

	Judged    float64 `json:"judged,omitempty"` // views whose assignment under the arm's scheme could be judged
	Optimal   float64 `json:"optimal,omitempty"`
	Probes    float64 `json:"probes,omitempty"` // of the arm's scheme
	Failed    float64 `json:"failed,omitempty"`
	Loads     float64 `json:"loads,omitempty"` // page loads, also those without a beacon
	Broken    float64 `json:"broken,omitempty"`
	Connected float64 `json:"connected,omitempty"` // connection-minutes
	Resets    float64 `json:"resets,omitempty"`

	Latency []BinCount `json:"latency,omitempty"` // of the page's own connection
}

// BinCount is how many latencies are in a logarithmic bin (edge.Bin).
type BinCount struct {
	Bin   uint16  `json:"bin"`
	Count float64 `json:"count"`
}

// PoPViews are the page views that went to a PoP.
type PoPViews struct {
	PoP       edge.PoPID `json:"pop"`
	Control   float64    `json:"control,omitempty"`
	Treatment float64    `json:"treatment,omitempty"`
}

// PoPLoad is a PoP's load at the end of the stretch.
type PoPLoad struct {
	PoP      edge.PoPID `json:"pop"`
	Load     float64    `json:"load"`     // requests/s
	Capacity float64    `json:"capacity"` // requests/s; 0: unknown
}

// buckets are how many there are, so that shares are in steps of 1/10000.
const buckets = 10000

// arm returns the row's at a share.
func (r *Row) arm(share float64) Arm {
	if r.Treated(share) {
		return Treatment
	}
	return Control
}

// Treated reports whether the row's unit is in the treatment arm at a share.
func (r *Row) Treated(share float64) bool { return float64(r.Bucket) < share*buckets }

// check returns why e cannot be taken at its word.
func (e *Evidence) check() error {
	if !e.Until.After(e.From) {
		return errors.New("it ends before it begins")
	}
	for i := range e.Geographies {
		g := &e.Geographies[i]
		if !(g.Share >= 0 && g.Share <= 1) {
			return fmt.Errorf("%s: share %v", g.ID, g.Share)
		}
		for j := range g.Rows {
			if field := g.Rows[j].wrong(); field != "" {
				return fmt.Errorf("%s: rows[%d]: %s does not fit", g.ID, j, field)
			}
		}
		for _, p := range g.PoPs {
			if !count(p.Control) || !count(p.Treatment) {
				return fmt.Errorf("%s: views of %s do not fit", g.ID, p.PoP)
			}
		}
	}
	for _, l := range e.Loads {
		if !count(l.Load) || !count(l.Capacity) {
			return fmt.Errorf("load of %s does not fit", l.PoP)
		}
	}
	return nil
}

// count reports whether x can be a number of things.
func count(x float64) bool { return x >= 0 && x <= 1e15 && !math.IsNaN(x) }

// wrong names the field that does not fit, or returns "".
func (r *Row) wrong() string {
	switch {
	case r.Bucket >= buckets:
		return "bucket"
	case !count(r.Views):
		return "views"
	case !count(r.Contaminated) || r.Contaminated > r.Views:
		return "contaminated"
	case !count(r.Judged) || !count(r.Optimal) || r.Optimal > r.Judged:
		return "optimal"
	case !count(r.Probes) || !count(r.Failed) || r.Failed > r.Probes:
		return "failed"
	case !count(r.Loads) || !count(r.Broken) || r.Broken > r.Loads:
		return "broken"
	case !count(r.Connected) || !count(r.Resets): // a connection may outlast the stretch of its page load
		return "resets"
	}
	for _, b := range r.Latency {
		if b.Bin >= edge.NumBins || !count(b.Count) {
			return "latency"
		}
	}
	return ""
}
