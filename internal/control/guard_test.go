package control

import (
	"encoding/json"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"catchment/internal/announce"
	"catchment/internal/edge"
)

// speakingFleet is testFleet with a speaker at each PoP.
func speakingFleet() *edge.Fleet {
	f := testFleet()
	for i := range f.PoPs {
		f.PoPs[i].BGP = &edge.BGP{ASN: 64500, Neighbors: []edge.Neighbor{{Address: netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)}), ASN: 64496}}}
	}
	return f
}

// withSpeakers runs a test with a control plane whose PoPs announce VIPs, and
// whose guard has listened long enough.
func withSpeakers(t *testing.T, f func(t *testing.T, r *rig)) {
	inBubble(t, func(t *testing.T, r *rig) {
		if err := r.SetFleet(speakingFleet()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(announce.DefaultLease)
		r.settle()
		defer func() { r.Release(); synctest.Wait() }() // whoever waits for a snapshot
		f(t, r)
	})
}

// pops of the tests, by their tokens.
var pops = map[string]edge.PoPID{iad: "iad", lax: "lax", fra: "fra"}

// status is that of a PoP which announces the global VIP, changed by some.
func status(token string, change ...func(*announce.Status)) *announce.Status {
	s := &announce.Status{
		Report:      announce.Report{PoP: pops[token], Sent: time.Now(), Began: time.Now().Add(-time.Hour), VIPs: []announce.VIPReport{{VIP: "global", Announced: true}}},
		Connections: -1, Traffic: -1,
	}
	for _, c := range change {
		c(s)
	}
	return s
}

func asking(s *announce.Status) { s.Report.VIPs[0].Asks = true }

func inPhase(p announce.Phase) func(*announce.Status) {
	return func(s *announce.Status) { s.Drain = &announce.Progress{Phase: p} }
}

// announces sends a status, a moment after the one before.
func (r *rig) announces(token string, change ...func(*announce.Status)) announce.Reply {
	r.t.Helper()
	time.Sleep(time.Millisecond)
	code, text := do(r.Handler(), token, "POST", "/v1/announce", jsonOf(r.t, status(token, change...)))
	var reply announce.Reply
	if err := json.Unmarshal([]byte(text), &reply); code != http.StatusOK || err != nil {
		r.t.Fatalf("%d %s", code, text)
	}
	return reply
}

func (r *rig) allAnnounce() {
	for _, token := range []string{iad, lax, fra} {
		r.announces(token)
	}
}

func TestGuard(t *testing.T) {
	withSpeakers(t, func(t *testing.T, r *rig) {
		r.allAnnounce()
		a := r.announces(iad, asking).Answers
		if len(a) != 1 || !a[0].OK || a[0].VIP != "global" || a[0].For != announce.DefaultLease || !strings.Contains(a[0].Why, "1 of 3 PoPs of global may be out") {
			t.Fatalf("%+v", a)
		}
		a = r.announces(lax, asking).Answers
		if len(a) != 1 || a[0].OK || !strings.Contains(a[0].Why, "there are already iad (may withdraw)") {
			t.Fatalf("%+v", a)
		}
		want := map[string]float64{
			`guard_answers_total{answer=granted,vip=global}`: 1, `guard_answers_total{answer=refused,vip=global}`: 1,
			`guard_limit{vip=global}`: 1, `guard_counted{vip=global}`: 1, `guard_healthy{vip=global}`: 1,
			`guard_limit{vip=emea}`: 0, `guard_counted{vip=emea}`: 1, `guard_healthy{vip=emea}`: 0, // fra tells nothing of it
		}
		if diff := cmp.Diff(want, r.values("catchment_control_guard_")); diff != "" {
			t.Error(diff)
		}
		r.announces(iad) // given up
		if a = r.announces(lax, asking).Answers; len(a) != 1 || !a[0].OK {
			t.Errorf("%+v", a)
		}
	})
}

// values returns the metrics under a prefix, without it, by name and labels.
func (r *rig) values(prefix string) map[string]float64 {
	r.t.Helper()
	families, err := r.reg.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	all := map[string]float64{}
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), prefix) {
			continue
		}
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			name := strings.TrimPrefix(f.GetName(), "catchment_control_") + "{" + strings.Join(labels, ",") + "}"
			all[name] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	return all
}

// TestSharedCause: if all fail within the same moment no more may go than the
// share, and a control node that has just started lets nobody go.
func TestSharedCause(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		if err := r.SetFleet(speakingFleet()); err != nil {
			t.Fatal(err)
		}
		r.allAnnounce()
		if a := r.announces(iad, asking).Answers; len(a) != 1 || a[0].OK || !strings.Contains(a[0].Why, "has just started and listens") {
			t.Errorf("%+v", a)
		}
		time.Sleep(announce.DefaultLease)
		r.allAnnounce()
		granted := map[string]bool{}
		for range 3 {
			for _, token := range []string{iad, lax, fra} {
				for _, a := range r.announces(token, asking).Answers {
					granted[token] = granted[token] || a.OK
				}
			}
		}
		// The first one asked while the others were well, as far as one knew.
		if diff := cmp.Diff(map[string]bool{iad: true, lax: false, fra: false}, granted); diff != "" {
			t.Error(diff)
		}
	})
}

// TestGuardPolicy: the fleet file's settings count, from the next fleet on.
func TestGuardPolicy(t *testing.T) {
	withSpeakers(t, func(t *testing.T, r *rig) {
		f, none := speakingFleet(), 0
		f.Announce.Guard = edge.Guard{Share: 1, Keep: &none, Window: edge.NoTime}
		if err := r.SetFleet(f); err != nil {
			t.Fatal(err)
		}
		r.allAnnounce()
		for _, token := range []string{iad, lax, fra} {
			if a := r.announces(token, asking).Answers; len(a) != 1 || !a[0].OK {
				t.Errorf("%+v", a)
			}
		}
		f = speakingFleet()
		f.Announce.Guard.Share = 2
		if err := r.SetFleet(f); err == nil || !strings.Contains(err.Error(), "guard: share: 2 is not above 0") {
			t.Errorf("%v", err)
		}
	})
}

// TestGuardKnowsOrders: a PoP that an operator takes out is none that users
// can be left to, though it says that it is well.
func TestGuardKnowsOrders(t *testing.T) {
	for path, body := range map[string]string{
		"drains/lax":        `{"why":"disks","force":true}`,
		"announcements/lax": `{"why":"shard","withdraw":["global"]}`,
	} {
		withSpeakers(t, func(t *testing.T, r *rig) {
			f := speakingFleet()
			f.Announce.Guard.Keep = new(int)
			*f.Announce.Guard.Keep = 2
			if err := r.SetFleet(f); err != nil {
				t.Fatal(err)
			}
			r.allAnnounce()
			r.api(200, "PUT", path, body)
			r.settle()
			r.announces(lax)
			a := r.announces(iad, asking).Answers
			if len(a) != 1 || a[0].OK || !strings.Contains(a[0].Why, "1 of 3 PoPs of global are announced and healthy, 2 must be left") {
				t.Errorf("%s: %+v", path, a)
			}
		})
	}
}

func TestAnnounceRefuses(t *testing.T) {
	withSpeakers(t, func(t *testing.T, r *rig) {
		f := func(token, body string, code int, want string) {
			t.Helper()
			got, text := do(r.Handler(), token, "POST", "/v1/announce", body)
			if got != code || !strings.Contains(text, want) {
				t.Errorf("%.80s: %d %s, want %d %s", body, got, text, code, want)
			}
		}
		good := jsonOf(t, status(iad))
		f(iad, strings.Replace(good, `"wanted"`, `"of_later":1,"wanted"`, 1), 200, "{")
		f(lax, good, 403, "the token is of")
		f(other, strings.Replace(good, `"iad"`, `"other"`, 1), 403, "is no PoP of the fleet")
		f(ns1, good, 403, "want pop")
		f(alice, good, 403, "want pop")
		f(iad, `{`, 400, "unexpected end")
		f(iad, `{"report":{"pop":"iad"}}`, 400, `"field":"report.sent"`)
		f(iad, jsonOf(t, status(iad, func(s *announce.Status) { s.Traffic = -2 })), 400, `"field":"traffic"`)
		f(iad, jsonOf(t, status(iad, func(s *announce.Status) { s.Connections = -2 })), 400, `"field":"connections"`)
		f(iad, jsonOf(t, status(iad, func(s *announce.Status) { s.Events = make([]announce.Event, announce.MaxEvents+1) })), 400, `"field":"events"`)
		f(iad, good+strings.Repeat(" ", maxStatus), 413, "larger than 262144 bytes")
	})
}
