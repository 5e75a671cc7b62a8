package announce

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"catchment/internal/edge"
)

// maxWhy bounds a reason from outside, in bytes.
const maxWhy = 200

// checkState is a check's streak.
type checkState struct {
	State edge.HealthState `json:"state"`
	OK    bool             `json:"ok"`            // of the last result
	N     int              `json:"n"`             // results like it in a row
	Why   string           `json:"why,omitempty"` // of the last failure
	Heard time.Time        `json:"heard,omitzero"`
}

func (a *Agent) noteResults(results []Result) {
	heard := map[string]bool{}
	for _, r := range results {
		i := slices.IndexFunc(a.cfg.Checks, func(k Check) bool { return k.Name == r.Check })
		if i < 0 {
			continue
		}
		heard[r.Check] = true
		a.note(&a.cfg.Checks[i], r.OK, r.Why)
		a.st.Checks[r.Check].Heard = a.run.now
	}
	// One failure a step for silence: if nobody stepped for a while, it was not
	// the checks that hung.
	for i := range a.cfg.Checks {
		k := &a.cfg.Checks[i]
		s := a.st.Checks[k.Name]
		if s.Heard.IsZero() {
			continue
		}
		if due := s.Heard.Add(k.Every + k.Timeout); !heard[k.Name] && !a.run.now.Before(due) {
			a.note(k, false, "no result: the check hangs")
			s.Heard = a.run.now.Add(-k.Timeout)
		}
		a.wake(s.Heard.Add(k.Every + k.Timeout))
	}
}

func (a *Agent) note(k *Check, ok bool, why string) {
	s := a.st.Checks[k.Name]
	if ok != s.OK || s.N == 0 {
		s.OK, s.N = ok, 0
	}
	s.N = min(s.N+1, max(k.Rise, k.Fall))
	if !ok {
		s.Why = cut(why)
	}
	before := s.State
	switch {
	case ok && s.N >= k.Rise:
		s.State = edge.Up
	case !ok && s.N >= k.Fall:
		s.State = edge.Down
	}
	switch {
	case s.State == before:
	case s.State == edge.Down:
		a.tell("", false, "check %s is down: %s", k.Name, s.Why)
	default:
		a.tell("", false, "check %s is up", k.Name)
	}
}

// health is how a VIP's group is. Doubt is that it would not be up if the last
// result of each check were all that counts: the moment to ask for permission.
func (a *Agent) health(v *VIP) (state edge.HealthState, doubt bool, why string) {
	names, need := a.group(v.Group)
	var up, unknown, fine int
	var bad []string
	for _, name := range names {
		s := a.st.Checks[name]
		switch s.State {
		case edge.Up:
			up++
		case edge.Unknown:
			unknown++
			bad = append(bad, name+" has not decided")
		default:
			bad = append(bad, name+": "+s.Why)
		}
		if s.State != edge.Down && (s.OK || s.N == 0) {
			fine++
		}
	}
	switch {
	case up >= need:
		return edge.Up, fine < need, ""
	case up+unknown >= need:
		state = edge.Unknown
	default:
		state = edge.Down
	}
	why = cut(strings.Join(bad, "; "))
	if need < len(names) {
		why = fmt.Sprintf("%d of %d checks are needed, %d are up (%s)", need, len(names), up, why)
	}
	return state, fine < need, why
}

func (a *Agent) group(name string) (checks []string, need int) {
	for _, g := range a.cfg.Groups {
		if g.Name == name {
			need = g.Need
			if need == 0 {
				need = len(g.Checks)
			}
			return g.Checks, need
		}
	}
	for _, k := range a.cfg.Checks {
		checks = append(checks, k.Name)
	}
	return checks, len(checks)
}

// cut makes a text from outside fit to be kept and told.
func cut(s string) string {
	s = strings.ToValidUTF8(s, "?")
	if len(s) <= maxWhy {
		return s
	}
	s = s[:maxWhy-len("…")]
	for !utf8.ValidString(s) {
		s = s[:len(s)-1]
	}
	return s + "…"
}
