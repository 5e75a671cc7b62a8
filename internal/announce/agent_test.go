package announce

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"catchment/internal/edge"
)

func TestStartsWithdrawnUntilChecksRise(t *testing.T) {
	r := newRig(t, nil)
	r.step(Input{})
	r.is("global", "withdrawn", "not announced yet", "web has not decided")
	r.is("", "announced") // the PoP's own prefix
	r.run(time.Second)
	r.is("global", "withdrawn")
	r.run(time.Second)
	r.is("global", "announced", "healthy")
}

func TestDeadServiceIsWithdrawnWithoutDelay(t *testing.T) {
	r := newRig(t, nil)
	r.run(10 * time.Second)
	r.bad["web"] = true
	r.run(time.Second)
	if v := r.out.Report.VIPs[0]; !v.Asks || !v.Announced {
		t.Fatalf("after the first failure the report is %+v, want one that asks", v)
	}
	r.run(time.Second)
	r.is("global", "announced")
	r.run(time.Second)
	r.is("global", "withdrawn", "web: answers 503", "permitted: 1 of 3 may be out")
	r.is("", "announced")
	if v := r.out.Report.VIPs[0]; v.Asks || !v.Out || !v.Withdrawn.Equal(r.now) {
		t.Errorf("report %+v, want out since %v", v, r.now)
	}
	if r.loud != 1 {
		t.Errorf("%d loud events, want 1: %q", r.loud, r.log)
	}
	r.run(time.Hour)
	r.is("global", "withdrawn")
}

func TestOneFailureAsksAndGivesUp(t *testing.T) {
	r := newRig(t, nil)
	r.run(10 * time.Second)
	r.bad["web"] = true
	r.run(time.Second)
	late := Answer{VIP: "global", Asked: r.out.Report.Sent, OK: true, For: time.Minute}
	r.bad["web"] = false
	r.run(time.Second)
	if r.out.Report.VIPs[0].Asks {
		t.Fatal("still asks")
	}
	// A permission that arrives after it was given up must not be used, since
	// the control node may have passed it on.
	r.answer = nil
	r.bad["web"] = true
	r.run(time.Second)
	r.step(Input{Answers: []Answer{late}})
	r.run(4 * time.Second)
	r.is("global", "degraded", "does not answer")
}

func TestReturnIsHeldDownAndJittered(t *testing.T) {
	returns := map[time.Duration]bool{}
	for seed := range uint64(4) {
		r := newRig(t, func(c *Config) { c.Seed = seed })
		r.run(10 * time.Second)
		r.bad["web"] = true
		r.run(3 * time.Second)
		r.bad["web"] = false
		healed := r.now.Add(2 * time.Second)
		r.run(2 * time.Second)
		r.is("global", "withdrawn", "though healthy: held down")
		for !r.out.Wanted[1].Announced {
			r.now = r.out.Due
			r.step(Input{Results: []Result{{Check: "web", OK: true}}})
		}
		d := r.now.Sub(healed)
		if d < DefaultHoldDown || d >= DefaultHoldDown+DefaultJitter+time.Second {
			t.Errorf("seed %d: returned after %v", seed, d)
		}
		returns[d] = true
	}
	if len(returns) < 3 {
		t.Errorf("4 seeds return after %v", returns)
	}
}

func TestHoldDownStartsAnewWithAFailure(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Jitter = None })
	r.run(10 * time.Second)
	r.bad["web"] = true
	r.run(3 * time.Second)
	r.bad["web"] = false
	r.run(25 * time.Second)
	r.bad["web"] = true
	r.run(3 * time.Second)
	r.bad["web"] = false
	r.run(2*time.Second + 29*time.Second)
	r.is("global", "withdrawn", "held down")
	r.run(time.Second)
	r.is("global", "announced")
}

func TestFlappingServiceRunsOutOfBudget(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Flaps = 2; c.Jitter = None })
	r.run(10 * time.Second)
	first := r.now.Add(3 * time.Second)
	for range 2 {
		r.is("global", "announced")
		r.bad["web"] = true
		r.run(10 * time.Second)
		r.is("global", "withdrawn")
		r.bad["web"] = false
		r.run(40 * time.Second)
	}
	r.is("global", "withdrawn", "though healthy: withdrawn 2 times within the hour, 2 are allowed", clock(first.Add(time.Hour)))
	r.run(first.Add(time.Hour).Sub(r.now) - time.Second)
	r.is("global", "withdrawn")
	r.run(time.Second)
	r.is("global", "announced")
}

func TestHungChecksFailOneByOne(t *testing.T) {
	r := newRig(t, nil)
	r.run(10 * time.Second)
	r.mute = true
	r.run(3 * time.Second) // failures after 1.5 and 2.5 s
	r.is("global", "announced")
	r.run(time.Second)
	r.is("global", "withdrawn", "web: no result: the check hangs")
}

func TestAPauseIsNoSilence(t *testing.T) {
	r := newRig(t, nil)
	r.run(10 * time.Second)
	r.now = r.now.Add(10 * time.Minute) // the machine slept
	r.step(Input{})
	r.is("global", "announced")
	r.run(5 * time.Second)
	r.is("global", "announced")
}

func TestDeadControlNode(t *testing.T) {
	for _, test := range []struct {
		name     string
		fallback edge.Fallback
		reach    Reach
		after    time.Duration // from the third failure
		want     string
	}{
		{"silent, fail static", edge.FailStatic, "", time.Second, "degraded"},
		{"silent, fail open", edge.FailOpenWithdraw, "", time.Second, "withdrawn"},
		{"known to be gone, fail open", edge.FailOpenWithdraw, Unreachable, 0, "withdrawn"},
		{"known to be gone, fail static", edge.FailStatic, Unreachable, 0, "degraded"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t, func(c *Config) { c.Guard.Fallback = test.fallback })
			r.answer = nil
			r.step(Input{Control: test.reach})
			r.run(10 * time.Second)
			r.bad["web"] = true
			r.run(3*time.Second + test.after)
			r.is("global", test.want, "does not answer", "web: answers 503")
			if r.loud != 1 {
				t.Errorf("%d loud events: %q", r.loud, r.log)
			}
			r.bad["web"] = false
			r.run(2 * time.Minute)
			r.is("global", "announced", "healthy")
		})
	}
}

func TestRefusedThenPermitted(t *testing.T) {
	r := newRig(t, nil)
	r.answer = refuse
	r.run(10 * time.Second)
	r.bad["web"] = true
	r.run(5 * time.Minute)
	r.is("global", "degraded", "does not permit to withdraw: 2 are out")
	if r.loud != 1 {
		t.Errorf("%d loud events: %q", r.loud, r.log)
	}
	r.answer = nil          // what was refused counts for as long as it was said to
	r.run(28 * time.Second) // of 30; the last answer was to a report a second old
	r.is("global", "degraded", "2 are out")
	r.run(5 * time.Second)
	r.is("global", "degraded", "does not answer")
	r.answer = grant
	r.run(time.Second)
	r.is("global", "withdrawn")
}

func TestPermissionEnds(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Checks[0].Fall = 40 })
	r.run(10 * time.Second)
	r.bad["web"] = true
	r.run(time.Second)
	r.answer = nil // granted once, for 30 s; down after 40
	r.run(40 * time.Second)
	r.is("global", "degraded", "does not answer")
}

func TestMinimumAnnounceTime(t *testing.T) {
	r := newRig(t, func(c *Config) { c.MinAnnounce = 20 * time.Second })
	r.run(5 * time.Second) // announced after 2
	r.bad["web"] = true
	r.run(16 * time.Second)
	r.is("global", "degraded", "it stays for 20s at least")
	r.run(time.Second)
	r.is("global", "withdrawn")
}

func TestGroups(t *testing.T) {
	abc := func(c *Config) {
		c.Checks = nil
		for _, n := range []string{"a", "b", "c"} {
			c.Checks = append(c.Checks, Check{Name: n, Rise: 1, Fall: 1, Every: time.Second})
		}
		all := []string{"a", "b", "c"}
		c.Groups = []Group{{Name: "all", Checks: all}, {Name: "any", Need: 1, Checks: all}, {Name: "two", Need: 2, Checks: all}, {Name: "b", Checks: []string{"b"}}}
		c.VIPs = nil
		for i, n := range []string{"all", "any", "two", "b"} {
			p := netip.PrefixFrom(netip.AddrFrom4([4]byte{203, 0, 113, byte(i * 16)}), 28)
			c.VIPs = append(c.VIPs, VIP{ID: edge.VIPID(n), Group: n, Prefixes: []netip.Prefix{p}})
		}
	}
	for _, test := range []struct {
		bad  string
		want map[edge.VIPID]string
	}{
		{"", map[edge.VIPID]string{"all": "announced", "any": "announced", "two": "announced", "b": "announced"}},
		{"a", map[edge.VIPID]string{"all": "withdrawn", "any": "announced", "two": "announced", "b": "announced"}},
		{"ab", map[edge.VIPID]string{"all": "withdrawn", "any": "announced", "two": "withdrawn", "b": "withdrawn"}},
		{"abc", map[edge.VIPID]string{"all": "withdrawn", "any": "withdrawn", "two": "withdrawn", "b": "withdrawn"}},
	} {
		r := newRig(t, abc)
		r.run(3 * time.Second)
		for _, c := range test.bad {
			r.bad[string(c)] = true
		}
		r.run(2 * time.Second)
		for id, want := range test.want {
			r.is(id, want)
		}
	}
}

func TestRestart(t *testing.T) {
	r := newRig(t, nil)
	r.run(10 * time.Second)
	version := r.out.Version
	saved := r.a.State()
	r.now = r.now.Add(20 * time.Second)
	r.restart(saved)
	r.step(Input{})
	r.is("global", "announced") // at once
	if r.out.Version != version {
		t.Errorf("version %d, was %d: nothing has changed", r.out.Version, version)
	}
	saved = r.a.State()
	r.now = r.now.Add(time.Hour) // a reboot: the service may not be up
	r.restart(saved)
	r.step(Input{})
	r.is("global", "withdrawn", "not announced yet")
	r.run(2 * time.Second)
	r.is("global", "announced")
}

func TestRestartWhileWithdrawnKeepsHoldDownAndBudget(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Flaps = 1; c.Jitter = None })
	r.run(10 * time.Second)
	r.bad["web"] = true
	r.run(3 * time.Second)
	r.restart(r.a.State())
	r.bad["web"] = false
	r.run(2 * time.Minute)
	r.is("global", "withdrawn", "1 are allowed")
	r.run(time.Hour)
	r.is("global", "announced")
}

// A PoP at which nothing changes for days still comes back as it was.
func TestSavedOftenEnoughToResume(t *testing.T) {
	r := newRig(t, nil)
	var saved []byte
	var at time.Time
	for range 600 {
		r.run(time.Second)
		if r.out.Save {
			saved, at = r.a.State(), r.now
		}
		if age := r.now.Sub(at); age > DefaultResume/4 {
			t.Fatalf("saved %v ago", age)
		}
	}
	r.now = r.now.Add(10 * time.Second)
	r.restart(saved)
	r.step(Input{})
	r.is("global", "announced")
}

// What is on disk may be older than the last report: the answer to that one
// comes too late for the agent that takes over.
func TestPermissionDoesNotSurviveARestart(t *testing.T) {
	r := newRig(t, nil)
	r.run(10 * time.Second)
	saved := r.a.State()
	r.answer = nil
	r.bad["web"] = true
	r.run(time.Second)
	late := Answer{VIP: "global", Asked: r.out.Report.Sent, OK: true, For: time.Minute}
	r.restart(saved)
	r.run(time.Second)
	if !r.out.Report.VIPs[0].Asks {
		t.Fatal("does not ask")
	}
	r.step(Input{Answers: []Answer{late}})
	r.run(5 * time.Second)
	r.is("global", "degraded", "does not answer")
}

func TestNewRefuses(t *testing.T) {
	for want, change := range map[string]func(*Config){
		`announce: pop: is empty`:                                                        func(c *Config) { c.PoP = "" },
		`announce: flaps: -1 is not 1 to 100`:                                            func(c *Config) { c.Flaps = -1 },
		`announce: hold down: -2ns is not 0 to 168h0m0s`:                                 func(c *Config) { c.HoldDown = -2 },
		`announce: check "web": its name is empty or stands twice`:                       func(c *Config) { c.Checks = append(c.Checks, c.Checks[0]) },
		`announce: group "g": has no checks`:                                             func(c *Config) { c.Groups = []Group{{Name: "g"}} },
		`announce: group "g": needs 2 of 1 checks`:                                       func(c *Config) { c.Groups = []Group{{Name: "g", Need: 2, Checks: []string{"web"}}} },
		`announce: group "g": check "dns" does not exist or stands twice`:                func(c *Config) { c.Groups = []Group{{Name: "g", Checks: []string{"dns"}}} },
		`announce: vip "global": there is no group "g"`:                                  func(c *Config) { c.VIPs[0].Group = "g" },
		`announce: vip "global": has no prefixes`:                                        func(c *Config) { c.VIPs[0].Prefixes = nil },
		`announce: always: prefix 198.51.100.0/24: is none to announce, or stands twice`: func(c *Config) { c.Always = c.VIPs[0].Prefixes[:1] },
		`announce: guard: "maybe" is neither fail-static nor fail-open-withdraw`:         func(c *Config) { c.Guard.Fallback = "maybe" },
		`announce: degraded: prepended 11 times, want 0 to 10`:                           func(c *Config) { c.Degraded.Prepend = 11 },
	} {
		cfg := testConfig()
		change(&cfg)
		_, err := New(cfg, nil, start)
		if err == nil {
			t.Errorf("taken, want %q", want)
		} else if diff := cmp.Diff(want, err.Error()); diff != "" {
			t.Error(diff)
		}
	}
}
