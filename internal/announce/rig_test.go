package announce

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"catchment/internal/edge"
)

var start = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

func testConfig() Config {
	return Config{
		PoP:    "iad",
		Checks: []Check{{Name: "web", Rise: 2, Fall: 3, Every: time.Second, Timeout: 500 * time.Millisecond}},
		VIPs:   []VIP{{ID: "global", Prefixes: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("2001:db8:ff::/48")}}},
		Always: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/28")},
		Seed:   7,
	}
}

// rig runs an agent on a clock of its own: a second is one result of each
// check, an answer to what it asked, and steps when they are due.
type rig struct {
	t      *testing.T
	cfg    Config
	a      *Agent
	now    time.Time
	bad    map[string]bool                     // checks that fail
	mute   bool                                // checks say nothing
	answer func(r Report, v VIPReport) *Answer // nil: the control node is dead
	seen   *Seen
	out    Output
	log    []string
	loud   int
}

func newRig(t *testing.T, change func(*Config)) *rig {
	t.Helper()
	cfg := testConfig()
	if change != nil {
		change(&cfg)
	}
	r := &rig{t: t, cfg: cfg, now: start, bad: map[string]bool{}, answer: grant}
	r.restart(nil)
	return r
}

func (r *rig) restart(saved []byte) {
	r.t.Helper()
	a, err := New(r.cfg, saved, r.now)
	if err != nil {
		r.t.Fatal(err)
	}
	r.a = a
}

func grant(r Report, v VIPReport) *Answer {
	return &Answer{VIP: v.VIP, Asked: r.Sent, OK: true, For: 30 * time.Second, Why: "1 of 3 may be out"}
}

func refuse(r Report, v VIPReport) *Answer {
	return &Answer{VIP: v.VIP, Asked: r.Sent, For: 30 * time.Second, Why: "2 are out"}
}

func (r *rig) step(in Input) {
	for {
		r.out = r.a.Step(r.now, in)
		for _, e := range r.out.Events {
			r.log = append(r.log, e.Text)
			if e.Loud {
				r.loud++
			}
		}
		in = Input{}
		for _, v := range r.out.Report.VIPs {
			if ans := r.answerTo(v); ans != nil && r.out.Ask {
				in.Answers = append(in.Answers, *ans)
			}
		}
		if len(in.Answers) == 0 {
			return
		}
	}
}

func (r *rig) answerTo(v VIPReport) *Answer {
	if !v.Asks || r.answer == nil {
		return nil
	}
	return r.answer(r.out.Report, v)
}

// run lets time pass.
func (r *rig) run(d time.Duration) {
	for end := r.now.Add(d); r.now.Before(end); {
		next := r.now.Add(time.Second)
		for due := r.out.Due; !due.IsZero() && due.Before(next); due = r.out.Due {
			r.now = due
			r.step(Input{})
		}
		r.now = next
		r.second()
	}
}

func (r *rig) second() {
	var in Input
	if !r.mute {
		for _, k := range r.cfg.Checks {
			in.Results = append(in.Results, Result{Check: k.Name, OK: !r.bad[k.Name], Why: "answers 503"})
		}
	}
	for _, v := range r.out.Report.VIPs {
		if ans := r.answerTo(v); ans != nil {
			in.Answers = append(in.Answers, *ans)
		}
	}
	if r.seen != nil {
		s := *r.seen
		s.Version = r.out.Version
		in.Seen = &s
	}
	r.step(in)
}

func (r *rig) order(do Do, local bool) {
	r.step(Input{Order: &Order{Do: do, Why: "new disks", Local: local}})
}

// is checks how the VIP's prefixes are: "announced", "degraded", "withdrawn".
func (r *rig) is(vip edge.VIPID, want string, because ...string) {
	r.t.Helper()
	n := 0
	for _, w := range r.out.Wanted {
		if w.VIP != vip {
			continue
		}
		n++
		got := "withdrawn"
		switch {
		case w.Announced && w.GracefulShutdown && w.Prepend == DefaultPrepend:
			got = "degraded"
		case w.Announced && !w.GracefulShutdown && w.Prepend == 0:
			got = "announced"
		case w.Announced:
			got = "neither"
		}
		if got != want {
			r.t.Fatalf("after %v: %v of %s is %s (%s), want %s", r.now.Sub(start), w.Prefix, vip, got, w.Reason, want)
		}
		for _, b := range because {
			if !strings.Contains(w.Reason, b) {
				r.t.Fatalf("after %v: reason %q, want one with %q", r.now.Sub(start), w.Reason, b)
			}
		}
	}
	if n == 0 {
		r.t.Fatalf("no prefix of %s", vip)
	}
}

func (r *rig) phase(want Phase, waiting string) {
	r.t.Helper()
	var got Phase
	text := ""
	if r.out.Drain != nil {
		got, text = r.out.Drain.Phase, r.out.Drain.Waiting
	}
	if got != want || !strings.Contains(text, waiting) {
		r.t.Fatalf("after %v: phase %q waiting for %q, want %q and %q\n%s", r.now.Sub(start), got, text, want, waiting, strings.Join(r.log, "\n"))
	}
}

func (r *rig) told(text string) {
	r.t.Helper()
	for _, l := range r.log {
		if strings.Contains(l, text) {
			return
		}
	}
	r.t.Fatalf("not told: %q\n%s", text, strings.Join(r.log, "\n"))
}
