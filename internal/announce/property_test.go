package announce

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"catchment/internal/edge"
)

// world is some PoPs and a control node that hear of each other late, twice or
// never, restart when they like, and run checks that come and go.
type world struct {
	t      *testing.T
	rnd    *rand.Rand
	now    time.Time
	policy Policy
	guard  *Guard
	deaf   time.Time // until then the control node is down
	pops   []*site
	mail   []letter
	vips   []edge.VIPID
}

type site struct {
	cfg   Config
	agent *Agent
	saved []byte
	down  time.Time // until then its agent is
	ill   map[string]bool
	out   Output
	was   map[edge.VIPID]VIPReport
	gone  map[edge.VIPID][]time.Time // withdrawals by automation
}

type letter struct {
	at     time.Time
	to     *site // nil: the control node
	report Report
	answer Answer
}

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{t: t, rnd: rand.New(rand.NewPCG(seed, 1)), now: start, vips: []edge.VIPID{"global", "emea"}}
	w.policy = Policy{Share: 0.2 + 0.5*w.rnd.Float64(), Window: time.Duration(1+w.rnd.IntN(120)) * time.Second, Lease: 20 * time.Second, Keep: w.rnd.IntN(2) - 1}
	flaps := 1 + w.rnd.IntN(5)
	if seed%3 > 0 { // the guard is what holds them
		flaps = maxFlaps
	}
	n := 2 + w.rnd.IntN(6)
	for i := range n {
		checks := []Check{
			{Name: "web", Rise: 1 + w.rnd.IntN(3), Fall: 1 + w.rnd.IntN(3), Every: time.Second, Timeout: 500 * time.Millisecond},
			{Name: "disk", Rise: 1, Fall: 2, Every: 2 * time.Second, Timeout: time.Second},
		}
		s := &site{ill: map[string]bool{}, was: map[edge.VIPID]VIPReport{}, gone: map[edge.VIPID][]time.Time{}}
		s.cfg = Config{
			PoP: edge.PoPID(fmt.Sprintf("pop%d", i)), Checks: checks, Groups: []Group{{Name: "web", Checks: []string{"web"}}},
			VIPs: []VIP{
				{ID: "global", Prefixes: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}},
				{ID: "emea", Prefixes: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}, Group: "web"},
			},
			HoldDown: time.Duration(1+w.rnd.IntN(20)) * time.Second, Jitter: 5 * time.Second, Seed: seed, Flaps: flaps,
			Drain: Draining{TTL: 5 * time.Second, Grace: 5 * time.Second, Verify: 3 * time.Second, Settle: 3 * time.Second, Quiet: 3 * time.Second},
		}
		w.pops = append(w.pops, s)
		w.boot(s)
	}
	w.bootGuard()
	return w
}

func (w *world) members() map[edge.VIPID][]edge.PoPID {
	m := map[edge.VIPID][]edge.PoPID{}
	for _, s := range w.pops {
		for _, v := range w.vips {
			m[v] = append(m[v], s.cfg.PoP)
		}
	}
	return m
}

func (w *world) bootGuard() {
	g, err := NewGuard(w.policy, w.members(), w.now)
	if err != nil {
		w.t.Fatal(err)
	}
	w.guard = g
}

func (w *world) boot(s *site) {
	a, err := New(s.cfg, s.saved, w.now)
	if err != nil {
		w.t.Fatal(err)
	}
	s.agent = a
}

func (w *world) chance(p float64) bool { return w.rnd.Float64() < p }

// send loses, delays and repeats.
func (w *world) send(l letter) {
	for range 1 + w.rnd.IntN(2) {
		if w.chance(0.3) {
			continue
		}
		l.at = w.now.Add(time.Duration(w.rnd.ExpFloat64() * float64(time.Second)))
		if w.chance(0.05) {
			l.at = l.at.Add(time.Duration(w.rnd.IntN(30)) * time.Second)
		}
		w.mail = append(w.mail, l)
	}
}

func (w *world) second() {
	w.now = w.now.Add(time.Second)
	if w.chance(0.005) { // a cause that all share
		for _, s := range w.pops {
			s.ill["web"] = true
		}
	}
	if w.chance(0.01) {
		w.deaf = w.now.Add(time.Duration(w.rnd.IntN(10)) * time.Second)
		w.bootGuard()
		w.guard.began = w.deaf
		w.guard.now = w.deaf
	}
	var mail []letter
	answers := map[*site][]Answer{}
	for _, l := range w.mail {
		switch {
		case l.at.After(w.now):
			mail = append(mail, l)
		case l.to != nil:
			answers[l.to] = append(answers[l.to], l.answer)
		case !w.now.Before(w.deaf):
			for _, ans := range w.guard.Report(w.now, l.report) {
				for _, s := range w.pops {
					if s.cfg.PoP == l.report.PoP {
						defer w.send(letter{to: s, answer: ans})
					}
				}
			}
		}
	}
	w.mail = mail
	for _, s := range w.pops {
		w.step(s, answers[s])
	}
	w.check()
}

func (w *world) step(s *site, answers []Answer) {
	for _, name := range []string{"web", "disk"} {
		p := 0.02
		if s.ill[name] {
			p = 0.05
		}
		if w.chance(p) {
			s.ill[name] = !s.ill[name]
		}
	}
	if w.now.Before(s.down) {
		return
	}
	if !s.down.IsZero() {
		s.down = time.Time{}
		w.boot(s)
	}
	in := Input{Answers: answers}
	if !w.chance(0.02) {
		in.Results = []Result{{Check: "web", OK: !s.ill["web"] && !w.chance(0.03)}, {Check: "disk", OK: !s.ill["disk"]}}
	}
	if w.chance(0.002) {
		in.Order = &Order{Do: []Do{DoDrain, DoRestore, DoAbort, DoSkip}[w.rnd.IntN(4)], Local: w.chance(0.5)}
	}
	if w.chance(0.8) {
		in.Seen = &Seen{Version: s.out.Version, Traffic: -1, Connections: w.rnd.IntN(3), DNS: &DNSSeen{Out: w.chance(0.5)}}
	}
	s.out = s.agent.Step(w.now, in)
	if s.out.Save || w.chance(0.1) {
		s.saved = s.agent.State()
	}
	for _, v := range s.out.Report.VIPs {
		was, ok := s.was[v.VIP]
		if v.Out && (!ok || !was.Out) {
			s.gone[v.VIP] = append(s.gone[v.VIP], w.now)
		}
		s.was[v.VIP] = v
	}
	if s.out.Ask || w.now.Unix()%3 == 0 {
		w.send(letter{report: s.out.Report})
	}
	if w.chance(0.001) {
		s.down = w.now.Add(time.Duration(1+w.rnd.IntN(120)) * time.Second)
	}
}

// check holds the truth, which nobody in the world knows, against the rules.
func (w *world) check() {
	for _, vip := range w.vips {
		var out []edge.PoPID
		for _, s := range w.pops {
			gone := s.gone[vip]
			if n := len(gone); s.was[vip].Out || n > 0 && w.now.Sub(gone[n-1]) < w.policy.Window {
				out = append(out, s.cfg.PoP)
			}
			if n := len(gone); n > s.cfg.Flaps && gone[n-1].Sub(gone[n-1-s.cfg.Flaps]) < time.Hour {
				w.t.Fatalf("%v: %s withdrew %s %d times within an hour, %d are allowed", w.now, s.cfg.PoP, vip, s.cfg.Flaps+1, s.cfg.Flaps)
			}
		}
		if limit := w.policy.Limit(len(w.pops)); len(out) > limit {
			w.t.Fatalf("%v: %v are out of %s, %d of %d may be", w.now, out, vip, limit, len(w.pops))
		}
	}
}

// However messages go astray and whoever restarts, automation withdraws no
// more PoPs than it may, and none more often than it may.
func TestNeverBeyondShareAndBudget(t *testing.T) {
	worlds, seconds := uint64(9), 1800
	if testing.Short() {
		worlds = 3
	}
	var withdrawals, atLimit int
	for seed := range worlds {
		w := newWorld(t, seed)
		for range seconds {
			w.second()
		}
		for _, s := range w.pops {
			for _, vip := range w.vips {
				withdrawals += len(s.gone[vip])
				if len(s.gone[vip]) >= s.cfg.Flaps {
					atLimit++
				}
			}
		}
	}
	t.Logf("%d worlds: %d withdrawals, %d budgets used up", worlds, withdrawals, atLimit)
	if withdrawals < 10*int(worlds) || atLimit == 0 {
		t.Error("too little happens for this to prove anything")
	}
}

// history is a random list of inputs.
func history(seed uint64, n int) (times []time.Time, inputs []Input) {
	rnd := rand.New(rand.NewPCG(seed, 2))
	now, bad := start, false
	for range n {
		now = now.Add(time.Duration(rnd.ExpFloat64() * float64(700*time.Millisecond)))
		var in Input
		if rnd.IntN(20) == 0 {
			bad = !bad
		}
		if rnd.IntN(4) > 0 {
			in.Results = []Result{{Check: "web", OK: !bad, Why: "answers 503"}}
		}
		if rnd.IntN(5) == 0 {
			in.Answers = []Answer{{VIP: "global", Asked: now.Add(-time.Second), OK: rnd.IntN(2) == 0, For: 5 * time.Second, Why: "so it is"}}
		}
		if rnd.IntN(60) == 0 {
			in.Order = &Order{Do: []Do{DoDrain, DoRestore, DoSkip}[rnd.IntN(3)], Why: "test", Local: rnd.IntN(2) == 0}
		}
		if rnd.IntN(3) == 0 {
			in.Seen = &Seen{Version: uint64(rnd.IntN(40)), Connections: rnd.IntN(2), Traffic: float64(rnd.IntN(2)), DNS: &DNSSeen{Out: rnd.IntN(2) == 0}}
		}
		if rnd.IntN(100) == 0 {
			in.Control = []Reach{Reachable, Unreachable}[rnd.IntN(2)]
		}
		times, inputs = append(times, now), append(inputs, in)
	}
	return times, inputs
}

func historyConfig() Config {
	cfg := testConfig()
	cfg.HoldDown, cfg.Jitter, cfg.MinAnnounce = 5*time.Second, 3*time.Second, 2*time.Second
	cfg.Drain = Draining{TTL: 5 * time.Second, Grace: 5 * time.Second, Verify: 3 * time.Second, Settle: 3 * time.Second, Quiet: 3 * time.Second}
	return cfg
}

func TestReplayGivesTheSame(t *testing.T) {
	for seed := range uint64(6) {
		times, inputs := history(seed, 400)
		one, two := mustNew(t, historyConfig(), nil, start), mustNew(t, historyConfig(), nil, start)
		for i := range inputs {
			a, b := one.Step(times[i], inputs[i]), two.Step(times[i], inputs[i])
			if diff := cmp.Diff(a, b, cmp.Comparer(func(x, y netip.Prefix) bool { return x == y })); diff != "" {
				t.Fatalf("seed %d, step %d: %s", seed, i, diff)
			}
		}
	}
}

// Steps that are not due and bring nothing change nothing, and so does being
// late for none.
func TestTimeAloneChangesOnlyWhatIsDue(t *testing.T) {
	for seed := range uint64(20) {
		times, inputs := history(seed, 1000)
		a := mustNew(t, historyConfig(), nil, start)
		rnd := rand.New(rand.NewPCG(seed, 3))
		for i := range inputs {
			out := a.Step(times[i], inputs[i])
			for !out.Due.IsZero() {
				if !out.Due.After(times[i]) && !out.Due.After(a.run.now) {
					t.Fatalf("seed %d, step %d: due at %v, not after %v", seed, i, out.Due, a.run.now)
				}
				if i+1 == len(times) || out.Due.After(times[i+1]) {
					break
				}
				if gap := out.Due.Sub(a.run.now); gap > 1 {
					early := a.Step(a.run.now.Add(time.Duration(rnd.Int64N(int64(gap)))), Input{})
					if early.Version != out.Version || len(early.Events) > 0 || !early.Due.Equal(out.Due) {
						t.Fatalf("seed %d, step %d: before it was due at %v:\n%v\n%s", seed, i, out.Due, early.Events, cmp.Diff(out.Due, early.Due))
					}
				}
				out = a.Step(out.Due, Input{})
			}
		}
	}
}

// A restart within Config.Resume does not change what is announced.
func TestRestartChangesNothing(t *testing.T) {
	for seed := range uint64(10) {
		times, inputs := history(seed, 300)
		a := mustNew(t, historyConfig(), nil, start)
		for i := range inputs {
			out := a.Step(times[i], inputs[i])
			b := mustNew(t, historyConfig(), a.State(), times[i])
			again := b.Step(times[i], Input{})
			said := func(w Wanted) string { return fmt.Sprint(w.Prefix, w.Announced, w.Degraded) }
			for j := range out.Wanted {
				if said(out.Wanted[j]) != said(again.Wanted[j]) && inputs[i].Seen == nil {
					t.Fatalf("seed %d, step %d: %+v after a restart, was %+v", seed, i, again.Wanted[j], out.Wanted[j])
				}
			}
			if !again.Report.Sent.After(out.Report.Sent) {
				t.Fatalf("reports go back: %v after %v", again.Report.Sent, out.Report.Sent)
			}
		}
	}
}

func mustNew(t *testing.T, cfg Config, saved []byte, now time.Time) *Agent {
	t.Helper()
	a, err := New(cfg, slices.Clone(saved), now)
	if err != nil {
		t.Fatal(err)
	}
	return a
}
