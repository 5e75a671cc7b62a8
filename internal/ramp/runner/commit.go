package runner

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/klauspost/compress/gzip"

	"catchment/internal/edge"
	"catchment/internal/ramp"
	"catchment/internal/ramp/observe"
)

// Look is an entry of a ramp's trail: what was looked at and decided, or what
// an operator ordered.
type Look struct {
	At        time.Time         `json:"at"`
	From      time.Time         `json:"from,omitzero"` // the evidence; zero: there was none
	Until     time.Time         `json:"until,omitzero"`
	Coverage  *observe.Coverage `json:"coverage,omitempty"`
	Trouble   string            `json:"trouble,omitempty"` // why there was none
	By        string            `json:"by,omitempty"`      // operator; empty: the runner
	Commands  []ramp.Command    `json:"commands,omitempty"`
	Decisions []ramp.Decision   `json:"decisions"`
}

// attempts is how often a look or a command is tried anew when somebody else
// changed the ramp meanwhile.
const attempts = 10

// step judges the evidence that was gathered and commits what comes of it.
func (r *Runner) step(id string, from, until, now time.Time, lease *edge.RampLease) error {
	followed := func(geography string) bool { return r.cfg.Steering.RampFollowed(id+"/"+geography, now) }
	evidence, coverage := r.observers[id].Evidence(from, until, followed, r.cfg.Steering.Loads())
	r.metrics.covered(id, coverage)
	point := pointOf(evidence)
	return r.commit(id, lease, func(k *kept) (ramp.Input, *Look, *Point, bool) {
		// Whoever changed the ramp meanwhile may have taken up the same.
		return ramp.Input{Now: now, Evidence: evidence}, &Look{At: now, From: from, Until: until, Coverage: &coverage}, point, !k.state.Seen.After(from)
	})
}

// blind looks without evidence.
func (r *Runner) blind(id string, now time.Time, trouble error, lease *edge.RampLease) error {
	look := &Look{At: now}
	if trouble != nil {
		look.Trouble = trouble.Error()
	}
	return r.commit(id, lease, func(*kept) (ramp.Input, *Look, *Point, bool) { return ramp.Input{Now: now}, look, nil, true })
}

// commit steps and commits. The input is asked for anew when the ramp has
// changed meanwhile; false means that there is nothing to do any more.
func (r *Runner) commit(id string, lease *edge.RampLease, input func(*kept) (ramp.Input, *Look, *Point, bool)) error {
	for range attempts {
		k := r.known[id]
		if k == nil {
			return nil // it was ended
		}
		in, look, point, ok := input(k)
		if !ok {
			return nil
		}
		next, change, err := stepped(k, in, look, point)
		if err != nil {
			return err
		}
		change.Lease, change.Who = lease, "ramp"
		seq, err := r.cfg.Records.ChangeRamp(change)
		if errors.Is(err, edge.ErrRampChanged) {
			if err := r.read(); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		next.record.Seq = seq
		r.known[id] = next
		r.announce(k, next, look)
		return nil
	}
	return fmt.Errorf("runner: ramp %s: %w", id, edge.ErrRampChanged)
}

// stepped returns a ramp after an input, and the change that makes it so.
func stepped(k *kept, in ramp.Input, look *Look, point *Point) (*kept, edge.RampChange, error) {
	state, decisions := ramp.Step(k.plan, k.state, in)
	look.Commands, look.Decisions = in.Commands, decisions
	next := &kept{record: k.record, plan: k.plan, state: state}
	marks := marksOf(decisions)
	if point == nil && len(marks) > 0 {
		point = &Point{From: in.Now, At: in.Now}
	}
	change := edge.RampChange{ID: k.record.ID, Seq: k.record.Seq, Plan: k.record.Plan, Shares: k.plan.Ramps(&state), Why: whyOf(decisions)}
	var err error
	if change.State, err = pack(&state); err != nil {
		return nil, change, err
	}
	if change.Look, err = pack(look); err != nil {
		return nil, change, err
	}
	if point != nil {
		point.Marks = marks
		if change.Point, err = json.Marshal(point); err != nil {
			return nil, change, fmt.Errorf("runner: %w", err)
		}
	}
	next.record.State = change.State
	return next, change, nil
}

// whyOf tells the audit trail why shares change.
func whyOf(decisions []ramp.Decision) string {
	for i := range decisions {
		if d := &decisions[i]; d.From != d.To {
			return fmt.Sprintf("%s %s: %s", d.Geography, d.Action, d.Reason)
		}
	}
	return "as the ramp has it"
}

// open reads a record.
func open(record edge.RampRecord) (*kept, error) {
	p := &ramp.Plan{}
	if err := json.Unmarshal(record.Plan, p); err != nil {
		return nil, fmt.Errorf("runner: ramp %s: plan: %w", record.ID, err)
	}
	if errs := p.Validate(); len(errs) > 0 {
		return nil, fmt.Errorf("runner: ramp %s: %w", record.ID, errors.Join(errs...))
	}
	text, err := unpack(record.State)
	if err != nil {
		return nil, fmt.Errorf("runner: ramp %s: state: %w", record.ID, err)
	}
	s, err := ramp.Restore(p, text)
	if err != nil {
		return nil, fmt.Errorf("runner: ramp %s: %w", record.ID, err)
	}
	return &kept{record, p, s}, nil
}

// pack returns v as JSON, gzip.
func pack(v any) ([]byte, error) {
	var buf bytes.Buffer
	w, err := gzip.NewWriterLevel(&buf, gzip.BestSpeed)
	if err == nil {
		err = json.NewEncoder(w).Encode(v)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("runner: %w", err)
	}
	return buf.Bytes(), nil
}

// maxState bounds what a packed state unfolds to.
const maxState = 256 << 20

func unpack(data []byte) ([]byte, error) {
	w, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	return readAll(w, maxState)
}
