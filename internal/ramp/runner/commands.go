package runner

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"catchment/internal/edge"
	"catchment/internal/ramp"
	"catchment/internal/steer"
)

// Errors that a caller tells apart.
var (
	ErrUnknown = errors.New("there is no such ramp")
	ErrTaken   = errors.New("there is a ramp of that id already")
	ErrState   = errors.New("the ramp is not in a state for that")
)

// RefusedError says why a declaration or a command does not fit.
type RefusedError struct{ Why string }

func (e *RefusedError) Error() string { return "runner: " + e.Why }

// Start declares a ramp. It is watched from now on, and begins by itself.
func (r *Runner) Start(p *ramp.Plan, who, why string) error {
	if _, err := r.find(p.ID); !errors.Is(err, ErrUnknown) {
		return cmp.Or(err, fmt.Errorf("runner: %s: %w", p.ID, ErrTaken))
	}
	if err := r.fits(p); err != nil {
		return err
	}
	now := r.cfg.Now().UTC().Round(0)
	state := ramp.Begin(p, r.cutoff(now))
	change := edge.RampChange{ID: p.ID, Who: who, Why: why}
	var err error
	if change.Plan, err = json.Marshal(p); err != nil {
		return fmt.Errorf("runner: %w", err)
	}
	if change.State, err = pack(&state); err != nil {
		return err
	}
	if change.Look, err = pack(&Look{At: now, By: who, Decisions: []ramp.Decision{{At: now, Action: "declare", Reason: why}}}); err != nil {
		return err
	}
	_, err = r.cfg.Records.ChangeRamp(change)
	if errors.Is(err, edge.ErrRampChanged) {
		return fmt.Errorf("runner: %s: %w", p.ID, ErrTaken)
	}
	return err
}

// fits says why a plan does not go with what is published.
func (r *Runner) fits(p *ramp.Plan) error {
	snapshot := r.cfg.Steering.Snapshot()
	if snapshot == nil {
		return errors.New("runner: nothing is published yet")
	}
	refuse := func(format string, args ...any) error { return &RefusedError{fmt.Sprintf(format, args...)} }
	at := slices.IndexFunc(snapshot.Fleet.Services, func(s edge.Service) bool { return s.Name == p.Service })
	switch {
	case at < 0:
		return refuse("service: the fleet has no service %q", p.Service)
	case snapshot.Fleet.Services[at].Scheme != p.From:
		return refuse("from: the service's scheme is %s, and whom no ramp moves gets that", snapshot.Fleet.Services[at].Scheme)
	}
	if p.Watches(ramp.Load) && !slices.ContainsFunc(snapshot.Fleet.PoPs, func(x edge.PoP) bool { return x.Capacity > 0 }) {
		return refuse("guardrails: load: no PoP of the fleet has a capacity: the ramp would hold for want of loads (list the guardrails without it)")
	}
	for m, known := range map[ramp.Metric]bool{ramp.PageFailures: r.cfg.Requests != nil, ramp.Resets: r.cfg.Resets != nil} {
		if p.Watches(m) && !known {
			return refuse("guardrails: %s: it has no source here, and the ramp would wait for ever", m)
		}
	}
	// As it will be: with every geography at the first step.
	state := ramp.Begin(p, time.Time{})
	for i := range state.Geographies {
		state.Geographies[i].Step = 0
	}
	next := *snapshot
	next.Ramps = slices.Concat(snapshot.Ramps, p.Ramps(&state))
	if _, err := steer.Compile(&next, nil); err != nil {
		return refuse("%v", err)
	}
	return nil
}

// Do carries out commands on a ramp, at once and without looking at evidence.
func (r *Runner) Do(id string, commands ...ramp.Command) ([]ramp.Decision, error) {
	for range attempts {
		k, err := r.find(id)
		if err != nil {
			return nil, err
		}
		now := r.cfg.Now().UTC().Round(0)
		look := &Look{At: now, By: commands[0].By}
		next, change, err := stepped(k, ramp.Input{Now: now, Commands: commands, OnlyCommands: true}, look, nil)
		if err != nil {
			return nil, err
		}
		change.Who, change.Why = commands[0].By, commands[0].Why
		_, err = r.cfg.Records.ChangeRamp(change)
		if errors.Is(err, edge.ErrRampChanged) {
			continue
		}
		if err != nil {
			return nil, err
		}
		r.announce(k, next, look)
		return look.Decisions, nil
	}
	return nil, fmt.Errorf("runner: ramp %s: %w", id, edge.ErrRampChanged)
}

func (r *Runner) find(id string) (*kept, error) {
	all, err := r.cfg.Records.RampRecords()
	if err != nil {
		return nil, err
	}
	for _, record := range all {
		if record.ID == id {
			return open(record)
		}
	}
	return nil, fmt.Errorf("runner: %s: %w", id, ErrUnknown)
}

// RollBackAll takes every declared ramp back to nothing, at once: for
// emergencies. It reads nothing but the records, and a ramp whose record
// cannot be read loses its shares all the same. All are tried, whatever
// becomes of one.
func (r *Runner) RollBackAll(who, why string) (ids []string, err error) {
	all, err := r.cfg.Records.RampRecords()
	if err != nil {
		return nil, err
	}
	for _, record := range all {
		ids = append(ids, record.ID)
		_, e := r.Do(record.ID, ramp.Command{Do: ramp.Abort, By: who, Why: why}, ramp.Command{Do: ramp.Pause, By: who, Why: why})
		if e != nil {
			r.log.Error("ramp not rolled back in order, its shares are removed", "ramp", record.ID, "error", e)
			_, e = r.cfg.Records.ChangeRamp(edge.RampChange{ID: record.ID, Seq: record.Seq, Plan: record.Plan, State: record.State, Who: who, Why: why})
		}
		err = errors.Join(err, e)
	}
	return ids, err
}

// End rolls a ramp back and forgets it; its trail stays.
func (r *Runner) End(id, who, why string) error {
	if _, err := r.Do(id, ramp.Command{Do: ramp.Abort, By: who, Why: why}); err != nil {
		return err
	}
	return r.remove(id, who, why)
}

// Finish forgets a ramp that is through: the service's own scheme is the one
// that it led to, so that nobody is moved by that.
func (r *Runner) Finish(id, who, why string) error {
	k, err := r.find(id)
	if err != nil {
		return err
	}
	snapshot := r.cfg.Steering.Snapshot()
	if snapshot == nil {
		return errors.New("runner: nothing is published yet")
	}
	moved := len(k.plan.Ramps(&k.state)) > 0
	led := slices.ContainsFunc(snapshot.Fleet.Services, func(s edge.Service) bool { return s.Name == k.plan.Service && s.Scheme == k.plan.To })
	if moved && !led {
		return fmt.Errorf("runner: %s has shares, whose clients would go back: make %s the service's scheme in the fleet file first, or abort: %w", id, k.plan.To, ErrState)
	}
	return r.remove(id, who, why)
}

func (r *Runner) remove(id, who, why string) error {
	for range attempts {
		k, err := r.find(id)
		if err != nil {
			return err
		}
		look, err := pack(&Look{At: r.cfg.Now().UTC().Round(0), By: who, Decisions: []ramp.Decision{{At: r.cfg.Now().UTC().Round(0), Action: "end", Reason: why}}})
		if err != nil {
			return err
		}
		_, err = r.cfg.Records.ChangeRamp(edge.RampChange{ID: id, Seq: k.record.Seq, Who: who, Why: why, Look: look})
		if !errors.Is(err, edge.ErrRampChanged) {
			return err
		}
	}
	return fmt.Errorf("runner: ramp %s: %w", id, edge.ErrRampChanged)
}

// checkWhy makes sure that the trail will say something.
func checkWhy(why string) (string, error) {
	why = strings.TrimSpace(why)
	switch {
	case why == "":
		return "", &RefusedError{"why: is missing: the trail wants a reason"}
	case len(why) > 1000 || strings.ContainsAny(why, "\n\r\x00"):
		return "", &RefusedError{"why: want at most 1000 bytes on one line"}
	}
	return why, nil
}
