package control

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"catchment/internal/edge"
)

func rampShare(id string, x float64) edge.Ramp {
	return edge.Ramp{ID: id, Service: "www.edge.example", Scheme: edge.Global, Share: x, Salt: id}
}

// A change of a declared ramp is published, in the audit trail and in its own,
// and the same after a restart; a change of an older record is none.
func TestRampRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		r := newRig(t, testConfig(dir))
		r.settle()
		first := edge.RampChange{
			ID: "us", Plan: []byte("plan"), State: []byte("one"), Shares: []edge.Ramp{rampShare("us/il", 0.05), rampShare("us/ny", 0.01)},
			Look: []byte("look 1"), Point: []byte("point 1"), Who: "ramp", Why: "il start",
		}
		seq, err := r.ChangeRamp(first)
		if err != nil {
			t.Fatal(err)
		}
		if r.RampFollowed("us/il", time.Now()) {
			t.Error("followed before it is published")
		}
		r.settle()
		if got := r.Snapshot().Ramps; len(got) != 2 || got[0].ID != "us/il" || got[0].Share != 0.05 || got[0].Why != "il start" {
			t.Errorf("published %+v", got)
		}
		if !r.RampFollowed("us/il", time.Now()) || !r.RampFollowed("us/none", time.Now()) {
			t.Error("not followed though it is published, and nobody follows")
		}
		if _, err := r.ChangeRamp(first); !errors.Is(err, edge.ErrRampChanged) {
			t.Errorf("made again: %v", err)
		}
		second := first
		second.Seq, second.State, second.Shares, second.Look = seq, []byte("two"), first.Shares[:1], []byte("look 2")
		if seq, err = r.ChangeRamp(second); err != nil {
			t.Fatal(err)
		}
		bad := second
		bad.Seq, bad.Shares = seq, []edge.Ramp{rampShare("us/il", 1.5)}
		if _, err := r.ChangeRamp(bad); err == nil || !strings.Contains(err.Error(), "share") {
			t.Errorf("a share of 1.5: %v", err)
		}
		bad.Shares = []edge.Ramp{rampShare("other/il", 0.5)}
		if _, err := r.ChangeRamp(bad); err == nil || !strings.Contains(err.Error(), "none of its shares") {
			t.Errorf("another's share: %v", err)
		}
		r.api(409, "PUT", "shares/us%2Fil", `{"service":"www.edge.example","scheme":"global","share":0.9,"why":"x"}`)
		r.api(409, "DELETE", "shares/us%2Fil?why=x", "")
		before := jsonOf(t, r.Shares())
		audit := r.api(200, "GET", "audit", "")
		r.stop()

		r = newRig(t, testConfig(dir))
		r.settle()
		records, err := r.RampRecords()
		if err != nil || len(records) != 1 || records[0].Seq != seq || string(records[0].State) != "two" {
			t.Errorf("after a restart: %+v, %v", records, err)
		}
		if got := jsonOf(t, r.Shares()); got != before || len(r.Snapshot().Ramps) != 1 || r.api(200, "GET", "audit", "") != audit {
			t.Errorf("after a restart the shares are %s, want %s", got, before)
		}
		looks, last, err := r.RampTrail("us", 0, 10)
		if err != nil || len(looks) != 2 || string(looks[1]) != "look 2" || last == 0 {
			t.Errorf("trail %q, last %d, %v", looks, last, err)
		}
		if _, err := r.ChangeRamp(edge.RampChange{ID: "us", Seq: seq, Who: "alice", Why: "over"}); err != nil {
			t.Fatal(err)
		}
		r.settle()
		if n := len(r.Snapshot().Ramps); n != 0 {
			t.Errorf("%d ramps after its end", n)
		}
		r.stop()
	})
}

// Entries of one ramp are found among those of others whose ids are like it.
func TestRampTrail(t *testing.T) {
	c, err := New(testConfig(t.TempDir()), testFleet(), slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	seqs := map[string]uint64{}
	for i := range 30 {
		for _, id := range []string{"u", "us", "us-2"} {
			x := edge.RampChange{ID: id, Seq: seqs[id], Plan: []byte("p"), Look: fmt.Appendf(nil, "%s %d", id, i)}
			if seqs[id], err = c.ChangeRamp(x); err != nil {
				t.Fatal(err)
			}
		}
	}
	f := func(id string, after int64, limit int, want ...string) int64 {
		t.Helper()
		looks, last, err := c.RampTrail(id, after, limit)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, l := range looks {
			got = append(got, string(l))
		}
		if strings.Join(got, ",") != strings.Join(want, ",") {
			t.Errorf("%s after %d, %d: %q, want %q", id, after, limit, got, want)
		}
		return last
	}
	for _, id := range []string{"u", "us", "us-2"} {
		f(id, -1, 2, id+" 28", id+" 29")
		last := f(id, 0, 3, id+" 0", id+" 1", id+" 2")
		f(id, last, 1, id+" 3")
	}
	f("v", -1, 5)
	f("a", -1, 5)
	if looks, _, _ := c.RampTrail("us", -1, 100); len(looks) != 30 {
		t.Errorf("%d looks of us", len(looks))
	}
}

// A lease is another's until its time is over; a restart of the process ends
// it, and terms only rise.
func TestRampLease(t *testing.T) {
	dir := t.TempDir()
	c, err := New(testConfig(dir), testFleet(), slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 2, 0, 0, 0, 0, time.UTC)
	f := func(holder string, at time.Duration, wantHolder string, wantTerm uint64) edge.RampLease {
		t.Helper()
		l, err := c.LeaseRamps(holder, time.Minute, now.Add(at))
		if err != nil || l.Holder != wantHolder || l.Term != wantTerm {
			t.Errorf("%s after %v: %+v, %v; want %s, term %d", holder, at, l, err, wantHolder, wantTerm)
		}
		return l
	}
	f("a", 0, "a", 1)
	f("b", 30*time.Second, "a", 1)
	f("a", 50*time.Second, "a", 1)
	f("b", 100*time.Second, "a", 1)
	mine := f("b", 2*time.Minute, "b", 2)
	f("a", 2*time.Minute, "b", 2)
	if err := c.ReleaseRamps(edge.RampLease{Holder: "a", Term: 1}); err != nil {
		t.Error(err)
	}
	f("a", 2*time.Minute, "b", 2)
	if err := c.ReleaseRamps(mine); err != nil {
		t.Error(err)
	}
	f("a", 2*time.Minute, "a", 3)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if c, err = New(testConfig(dir), testFleet(), slog.New(slog.DiscardHandler), prometheus.NewRegistry()); err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	f("c", 2*time.Minute, "c", 4)
}
