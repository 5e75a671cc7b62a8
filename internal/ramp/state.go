package ramp

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"catchment/internal/edge"
)

// State is all that is remembered of a ramp. As JSON it is the same to the
// bit after it was saved and loaded.
type State struct {
	Plan        string     `json:"plan"` // its ID
	Seen        time.Time  `json:"seen"` // end of the evidence that was taken up
	Paused      string     `json:"paused,omitempty"`
	LoadsSeen   time.Time  `json:"loads_seen,omitzero"`
	Overloads   []Overload `json:"overloads,omitempty"`
	Geographies []Progress `json:"geographies"` // as in the plan
}

// Overload is a PoP whose load is above the guardrail's margin.
type Overload struct {
	PoP   edge.PoPID `json:"pop"`
	Since time.Time  `json:"since"`
	Load  float64    `json:"load"` // in shares of capacity
}

// Phase is where a geography stands.
type Phase string

// The phases. Done and RolledBack are terminal but for the operator.
const (
	Pending    Phase = "pending"
	Running    Phase = "running"
	Held       Phase = "held" // until the operator resumes it
	RolledBack Phase = "rolled_back"
	Done       Phase = "done"
)

// Progress is how far one geography is.
type Progress struct {
	ID        string    `json:"id"`
	Phase     Phase     `json:"phase"`
	Step      int       `json:"step"` // index in Plan.Steps; −1: no share
	Since     time.Time `json:"since"`
	Why       string    `json:"why,omitempty"` // of Held and RolledBack
	Back      int       `json:"back,omitempty"`
	NotBefore time.Time `json:"not_before,omitzero"`

	// Covered is for how long there was evidence in the present step: dwell
	// counts that and no clock, so that neither gaps nor jumps shorten it.
	Covered  Duration     `json:"covered,omitempty"`
	Last     [2]time.Time `json:"last"`     // when an arm last had views
	Expected [2]float64   `json:"expected"` // views that it should have had since

	Tally Tally `json:"tally"`
}

// Begin returns the state before anything has happened. Evidence counts from
// at on.
func Begin(p *Plan, at time.Time) State {
	at = at.UTC().Round(0)
	s := State{Plan: p.ID, Seen: at, LoadsSeen: at, Geographies: make([]Progress, len(p.Geographies))}
	for i := range s.Geographies {
		g := &s.Geographies[i]
		*g = Progress{ID: p.Geographies[i].ID, Phase: Pending, Step: -1, Since: at, Last: [2]time.Time{at, at}}
		g.Tally = newTally(p, &p.Geographies[i])
		g.Tally.begin(p, at)
	}
	return s
}

// Restore reads a state of plan p from its JSON form.
func Restore(p *Plan, data []byte) (State, error) {
	var s State
	if err := json.Unmarshal(data, &s); err != nil {
		return State{}, fmt.Errorf("ramp: state: %w", err)
	}
	if err := s.fits(p); err != nil {
		return State{}, err
	}
	for i := range s.Geographies {
		for j := range s.Geographies[i].Tally.Cells {
			if err := s.Geographies[i].Tally.Cells[j].check(len(p.Steps) + 1); err != nil {
				return State{}, fmt.Errorf("ramp: state: geographies[%d]: %w", i, err)
			}
		}
	}
	return s, nil
}

// fits returns why s cannot be a state of p.
func (s *State) fits(p *Plan) error {
	if s.Plan != p.ID || len(s.Geographies) != len(p.Geographies) {
		return fmt.Errorf("ramp: state: it is of ramp %q with %d geographies, not of %q with %d", s.Plan, len(s.Geographies), p.ID, len(p.Geographies))
	}
	for i := range s.Geographies {
		g := &s.Geographies[i]
		err := g.fits(p, &p.Geographies[i])
		if err != nil {
			return fmt.Errorf("ramp: state: geographies[%d]: %w", i, err)
		}
	}
	return nil
}

func (g *Progress) fits(p *Plan, of *Geography) error {
	phases := []Phase{Pending, Running, Held, RolledBack, Done}
	switch want := newTally(p, of); {
	case g.ID != of.ID:
		return fmt.Errorf("it is of %q, not of %q", g.ID, of.ID)
	case !slices.Contains(phases, g.Phase):
		return fmt.Errorf("there is no phase %q", g.Phase)
	case g.Step < -1 || g.Step >= len(p.Steps):
		return fmt.Errorf("there is no step %d", g.Step)
	case (g.Phase == Running || g.Phase == Held || g.Phase == Done) && g.Step < 0, (g.Phase == Pending || g.Phase == RolledBack) && g.Step >= 0:
		return fmt.Errorf("%s at step %d", g.Phase, g.Step)
	case len(g.Tally.Cells) != len(want.Cells):
		return errors.New("its networks are not the plan's")
	default:
		for i := range want.Cells {
			if err := g.Tally.Cells[i].fits(&want.Cells[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

func (g *Group) fits(want *Group) error {
	if g.Network != want.Network || len(g.Streams) != len(want.Streams) || len(g.Before) != len(want.Before) {
		return errors.New("its networks or guardrails are not the plan's")
	}
	return nil
}

// check returns why g's sums cannot be right.
func (g *Group) check(strata int) error {
	for _, h := range g.Latencies {
		if h.First < 0 || h.First+len(h.Count) > histBins || !counts(h.Count) {
			return errors.New("latencies do not fit")
		}
	}
	for i := range g.Before {
		b := &g.Before[i]
		if len(b.Strata) != 0 && len(b.Strata) != strata {
			return errors.New("what was before does not fit the plan's steps")
		}
		for _, u := range b.Strata {
			if len(u.N) != len(u.Y) || len(u.N) != 0 && len(u.N) != unitGroups || len(u.Z) != 0 || !counts(u.N) || !counts(u.Y) {
				return errors.New("sums do not fit")
			}
		}
	}
	for i := range g.Streams {
		s := &g.Streams[i]
		if s.Life < 1 || s.Round < 1 {
			return errors.New("comparisons are counted from 1")
		}
		for arm, u := range s.Arms {
			whole := len(u.N) == len(u.Y) && (len(u.N) == 0 || len(u.N) == unitGroups)
			if quantile := s.Cut > 0 && arm == int(Treatment) && len(u.N) > 0; quantile && len(u.Z) != unitGroups || !quantile && len(u.Z) != 0 {
				whole = false
			}
			if !whole || !counts(u.N) || !counts(u.Y) || !counts(u.Z) {
				return errors.New("sums do not fit")
			}
		}
	}
	return nil
}

func counts(all []float64) bool {
	return !slices.ContainsFunc(all, func(x float64) bool { return !(x >= 0 && x <= math.MaxFloat64/1e20) })
}

// clone returns a copy that shares nothing with s that Step writes to.
func (s *State) clone() State {
	c := *s
	c.Overloads = slices.Clone(s.Overloads)
	c.Geographies = slices.Clone(s.Geographies)
	for i := range c.Geographies {
		t := &c.Geographies[i].Tally
		sharesBefore := c.Geographies[i].Step >= 0 // where it is not written to
		t.PoPs = slices.Clone(t.PoPs)
		t.Cells = slices.Clone(t.Cells)
		for j := range t.Cells {
			g := &t.Cells[j]
			g.Streams = slices.Clone(g.Streams)
			if !sharesBefore {
				g.Before = slices.Clone(g.Before)
				for k := range g.Before {
					b := &g.Before[k]
					b.Strata = slices.Clone(b.Strata)
					for l := range b.Strata {
						u := &b.Strata[l]
						u.N, u.Y = slices.Clone(u.N), slices.Clone(u.Y)
					}
				}
			}
			for a := range g.Latencies {
				g.Latencies[a].Count = slices.Clone(g.Latencies[a].Count)
			}
			for k := range g.Streams {
				for a := range g.Streams[k].Arms {
					u := &g.Streams[k].Arms[a]
					u.N, u.Y, u.Z = slices.Clone(u.N), slices.Clone(u.Y), slices.Clone(u.Z)
				}
			}
		}
	}
	return c
}
