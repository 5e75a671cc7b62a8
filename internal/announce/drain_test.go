package announce

import (
	"testing"
	"time"
)

// busy is what is seen of a PoP in service.
func busy() *Seen {
	return &Seen{Connections: 12, Traffic: 300, DNS: &DNSSeen{}, Unsynced: nil}
}

func inService(t *testing.T) *rig {
	r := newRig(t, func(c *Config) {
		c.Drain = Draining{TTL: time.Minute, Grace: 2 * time.Minute, Verify: 30 * time.Second, Settle: 20 * time.Second, Quiet: 15 * time.Second}
	})
	r.seen = busy()
	r.run(10 * time.Second)
	r.is("global", "announced")
	return r
}

// drainTo lets the world follow until a phase is reached.
func (r *rig) drainTo(p Phase) {
	r.t.Helper()
	for range 600 {
		if r.out.Drain != nil && r.out.Drain.Phase == p {
			return
		}
		if d := r.out.Drain; d != nil {
			switch d.Phase {
			case DNSOut:
				r.seen.DNS.Out = true
			case DNSIn:
				r.seen.DNS.Out = false
			case Connections:
				r.seen.Connections = 0
			case Withdrawn:
				r.seen.Traffic = 0
			}
		}
		r.run(time.Second)
	}
	r.t.Fatalf("phase %s not reached: %+v", p, r.out.Drain)
}

func TestDrainAndRestore(t *testing.T) {
	r := inService(t)
	r.order(DoDrain, false)
	r.phase(DNSOut, "what name servers do is not known")
	r.run(time.Second)
	r.phase(DNSOut, "the control node has not published")
	if !r.out.Report.VIPs[0].Drained {
		t.Error("the report does not tell of the drain")
	}
	r.seen.DNS = &DNSSeen{Out: true, Waiting: []string{"ns2"}}
	r.run(10 * time.Minute)
	r.phase(DNSOut, "name servers that do not leave the PoP out yet: ns2")
	r.seen.DNS.Waiting = nil
	r.run(time.Second)
	r.phase(TTL, "expire")
	r.run(59 * time.Second)
	r.phase(TTL, "")
	r.run(time.Second)
	r.phase(Connections, "12 connections are open")
	r.is("global", "announced")
	if !r.out.Closing {
		t.Error("the application is not told to close connections")
	}
	r.seen.Unsynced = []string{"192.0.2.1"}
	r.seen.Connections = 0
	r.run(time.Second)
	r.is("global", "degraded", "being drained (new disks)")
	r.run(10 * time.Second)
	r.phase(Shutdown, "not told yet: 192.0.2.1")
	r.seen.Unsynced = nil
	r.run(time.Second)
	r.phase(Settle, "")
	r.run(20 * time.Second)
	r.phase(Withdrawn, "")
	r.is("global", "withdrawn", "drained (new disks)")
	r.is("", "announced") // the PoP's own
	r.run(10 * time.Minute)
	r.phase(Withdrawn, "300 requests/s still come")
	r.seen.Traffic = 0
	r.run(15 * time.Second)
	r.phase(Withdrawn, "")
	r.run(time.Second)
	r.phase(Drained, "")
	r.run(24 * time.Hour)
	r.phase(Drained, "")
	if v := r.out.Report.VIPs[0]; v.Out || !v.Withdrawn.IsZero() {
		t.Errorf("a drain counts as automation's: %+v", v)
	}

	r.bad["web"] = true
	r.run(5 * time.Second)
	r.order(DoRestore, false)
	r.run(time.Hour)
	r.phase(Reannounce, "no VIP can be announced yet: global is withdrawn: web: answers 503")
	r.bad["web"] = false
	r.seen.Unsynced = []string{"192.0.2.1"}
	r.run(3 * time.Second)
	r.is("global", "degraded", "being restored")
	r.seen.Unsynced = nil
	r.run(time.Second)
	r.phase(SettleBack, "")
	r.run(20 * time.Second)
	r.phase(Prefer, "being handed")
	r.is("global", "announced")
	r.run(time.Second)
	r.phase(DNSIn, "has not published that name servers are to hand the PoP out again")
	r.seen.DNS = &DNSSeen{}
	r.run(time.Second)
	r.phase("", "")
	r.is("global", "announced", "healthy")
}

func TestDrainGoesOnWhenNeighborsAreNotTold(t *testing.T) {
	r := inService(t)
	r.order(DoDrain, false)
	r.drainTo(Shutdown)
	r.seen.Unsynced = []string{"192.0.2.1"}
	r.run(30 * time.Second)
	r.phase(Settle, "")
	r.told("not verified, and the time for that is over: not told yet: 192.0.2.1")
}

func TestWhatWasSeenBeforeIsNoProof(t *testing.T) {
	r := inService(t)
	r.order(DoDrain, false)
	r.drainTo(Shutdown)
	old := *r.seen
	old.Version = r.out.Version - 1
	r.step(Input{Seen: &old})
	r.phase(Shutdown, "being handed to the neighbors")
}

func TestLocalDrainSkipsDNS(t *testing.T) {
	r := inService(t)
	r.answer = nil
	r.step(Input{Control: Unreachable})
	r.order(DoDrain, true)
	r.phase(Connections, "12 connections")
	r.told("phase dns-out over: skipped: ordered at the PoP, name servers were not told")
	r.told("phase ttl over: skipped")
	r.drainTo(Drained)
	r.order(DoRestore, true)
	for range 100 {
		r.run(time.Second)
	}
	r.phase("", "")
	r.told("phase dns-in over: skipped: ordered at the PoP, name servers were not told")
	r.is("global", "announced")
}

// A drain is resumed in its phase, and the time that a phase takes goes on.
func TestDrainResumedAfterRestart(t *testing.T) {
	want := map[Phase]string{
		DNSOut: "announced", TTL: "announced", Connections: "announced", Shutdown: "degraded", Settle: "degraded",
		Withdrawn: "withdrawn", Drained: "withdrawn",
	}
	for _, p := range forward {
		t.Run(string(p), func(t *testing.T) {
			r := inService(t)
			r.order(DoDrain, false)
			r.drainTo(p)
			before := *r.out.Drain
			r.restart(r.a.State())
			r.now = r.now.Add(2 * time.Second)
			r.step(Input{})
			r.is("global", want[p])
			if d := r.out.Drain; d.Phase != p || !d.Since.Equal(before.Since) || d.Why != "new disks" {
				t.Fatalf("resumed as %+v, was %+v", d, before)
			}
			r.drainTo(Drained)
			r.is("global", "withdrawn")
		})
	}
}

func TestDrainAborted(t *testing.T) {
	for p, want := range map[Phase]Phase{
		DNSOut: DNSIn, TTL: DNSIn, Connections: DNSIn, Shutdown: Prefer, Settle: Prefer, Withdrawn: Reannounce, Drained: Reannounce,
	} {
		t.Run(string(p), func(t *testing.T) {
			r := inService(t)
			r.order(DoDrain, false)
			r.drainTo(p)
			r.order(DoAbort, false)
			r.phase(want, "")
			r.told("abort ordered in phase " + string(p))
			if want != Reannounce {
				r.is("global", "announced") // never leaves
			}
			r.seen = busy()
			r.run(40 * time.Second)
			r.phase("", "")
			r.is("global", "announced")
		})
	}
}

func TestDrainedAnewOnTheWayBack(t *testing.T) {
	r := inService(t)
	r.order(DoDrain, false)
	r.drainTo(Drained)
	r.order(DoRestore, false)
	r.drainTo(SettleBack)
	r.is("global", "degraded")
	r.order(DoDrain, false)
	r.phase(Shutdown, "") // name servers still leave it out
	r.drainTo(Drained)
	r.order(DoRestore, false)
	r.drainTo(DNSIn)
	r.order(DoDrain, false)
	r.phase(DNSOut, "")
}

func TestDrainedAndDownNeedsNoPermission(t *testing.T) {
	r := inService(t)
	r.answer = refuse
	r.order(DoDrain, false)
	r.drainTo(Settle)
	r.bad["web"] = true
	r.run(3 * time.Second)
	r.is("global", "withdrawn", "being drained, and down")
	r.drainTo(Drained)
}

func TestDownWhileNameServersAreToldIsAutomation(t *testing.T) {
	r := inService(t)
	r.order(DoDrain, false)
	r.answer = refuse
	r.bad["web"] = true
	r.run(5 * time.Second)
	r.phase(DNSOut, "")
	r.is("global", "degraded", "2 are out")
}

func TestSkip(t *testing.T) {
	r := inService(t)
	r.order(DoDrain, false)
	r.seen.DNS = &DNSSeen{Out: true, Waiting: []string{"ns2"}}
	r.run(time.Second)
	for _, p := range forward[1:] {
		r.order(DoSkip, false)
		if r.out.Drain.Phase != p {
			t.Fatalf("skipped to %s, want %s", r.out.Drain.Phase, p)
		}
	}
	r.told("phase dns-out skipped by order (new disks); it waited: name servers that do not leave the PoP out yet: ns2")
	r.order(DoSkip, false)
	r.phase(Drained, "")
	if want := "there is nothing to skip, the PoP is drained"; r.out.Refused != want {
		t.Errorf("refused: %q, want %q", r.out.Refused, want)
	}
	r.order(DoDrain, false)
	if want := "a drain is under way, in phase drained"; r.out.Refused != want {
		t.Errorf("refused: %q, want %q", r.out.Refused, want)
	}
}

// A restore does not make automation withdraw more often than its budget.
func TestRestoreKeepsTheBudget(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Flaps = 1; c.Jitter = None })
	r.seen = &Seen{DNS: &DNSSeen{}}
	r.run(10 * time.Second)
	r.bad["web"] = true
	r.run(5 * time.Second)
	r.bad["web"] = false
	r.order(DoDrain, true)
	r.drainTo(Drained)
	r.order(DoRestore, true)
	r.run(5 * time.Minute)
	r.phase(Reannounce, "no withdrawal is left of 1 an hour")
	r.is("global", "withdrawn")
	r.run(time.Hour)
	r.phase("", "")
	r.is("global", "announced")
}

// TestGraceOfOrder: an order may say how long connections have, over a restart
// too; the next one goes by the config again.
func TestGraceOfOrder(t *testing.T) {
	r := inService(t)
	r.step(Input{Order: &Order{Do: DoDrain, Why: "disks", Grace: 10 * time.Second}})
	for r.out.Drain.Phase != Connections {
		r.seen.DNS.Out = true
		r.run(time.Second)
	}
	r.restart(r.a.State())
	r.run(9 * time.Second)
	r.phase(Connections, "12 connections are open")
	r.run(2 * time.Second)
	r.phase(Settle, "")
	r.order(DoAbort, false)
	r.drainTo(DNSIn)
	r.seen.DNS.Out = false
	r.run(2 * time.Second)
	r.seen.Connections = 12
	r.order(DoDrain, false)
	for r.out.Drain.Phase != Connections {
		r.seen.DNS.Out = true
		r.run(time.Second)
	}
	r.run(time.Minute)
	r.phase(Connections, "12 connections are open")
}
