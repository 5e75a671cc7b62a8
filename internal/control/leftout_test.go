package control

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"catchment/internal/announce"
	"catchment/internal/edge"
)

// asks is a name server that asks for what comes after a version, in the
// background.
func (r *rig) asks(token string, after uint64, more string) {
	h := r.Handler()
	go do(h, token, "GET", fmt.Sprintf("/v1/snapshot?after=%d%s", after, more), "")
	synctest.Wait()
}

func (r *rig) seen(want announce.DNSSeen) {
	r.t.Helper()
	got := r.announces(iad).DNS
	if got == nil {
		r.t.Fatal("not known what name servers do")
	}
	if diff := cmp.Diff(want, *got); diff != "" {
		r.t.Error(diff)
	}
}

// TestLeftOut: a name server counts as one that leaves a PoP out once it asks
// for what comes after the snapshot that says so, not when it has fetched it.
func TestLeftOut(t *testing.T) {
	withSpeakers(t, func(t *testing.T, r *rig) {
		version := func() uint64 { return r.Snapshot().Version }
		r.asks(ns1, version(), "")
		r.asks(ns2, version(), "")
		const unheard = "ns3 (not heard of since the control node has started)"
		r.seen(announce.DNSSeen{Waiting: []string{unheard}})
		time.Sleep(quietAfter)
		r.asks(ns1, version(), "")
		r.asks(ns2, version(), "")
		r.seen(announce.DNSSeen{})

		r.api(200, "PUT", "drains/iad", `{"why":"disks"}`)
		r.seen(announce.DNSSeen{}) // not published yet
		r.settle()
		r.seen(announce.DNSSeen{Out: true, Waiting: []string{"ns1", "ns2"}}) // both have fetched it
		r.asks(ns1, version(), "")
		r.seen(announce.DNSSeen{Out: true, Waiting: []string{"ns2"}})
		r.asks(ns2, version(), fmt.Sprintf("&refused=%d", version()))
		r.seen(announce.DNSSeen{Out: true, Waiting: []string{"ns2"}}) // it could not use it
		r.asks(ns2, version(), "")
		r.seen(announce.DNSSeen{Out: true})

		r.api(200, "PUT", "sheds/fra", `{"share":0.1,"why":"x"}`)
		r.settle()
		r.seen(announce.DNSSeen{Out: true}) // others' changes do not matter

		r.api(204, "DELETE", "drains/iad?why=done", "")
		r.settle()
		r.asks(ns1, version(), "")
		r.seen(announce.DNSSeen{Waiting: []string{"ns2"}})
		time.Sleep(2 * time.Minute)
		r.asks(ns1, version(), "")
		got := r.announces(iad).DNS
		if len(got.Waiting) != 1 || got.Waiting[0] != "ns2 (silent for 2m0s)" {
			t.Errorf("%+v", got)
		}
		time.Sleep(goneAfter)
		r.asks(ns1, version(), "")
		r.seen(announce.DNSSeen{})
	})
}

// TestLeftOutAfterLeap: what a name server had from another control node says
// nothing of this one's drains.
func TestLeftOutAfterLeap(t *testing.T) {
	withSpeakers(t, func(t *testing.T, r *rig) {
		time.Sleep(quietAfter)
		r.api(200, "PUT", "drains/iad", `{"why":"disks"}`)
		r.settle()
		r.asks(ns1, 1000, "")
		r.seen(announce.DNSSeen{Out: true, Waiting: []string{"ns1"}})
		r.settle()
		if v := r.Snapshot().Version; v != 1001 {
			t.Fatalf("version %d", v)
		}
		r.seen(announce.DNSSeen{Out: true, Waiting: []string{"ns1"}})
		r.asks(ns1, 1001, "")
		r.seen(announce.DNSSeen{Out: true})
	})
}

// TestLeftOutByNobody: drains of all PoPs are disregarded by name servers.
func TestLeftOutByNobody(t *testing.T) {
	withSpeakers(t, func(t *testing.T, r *rig) {
		time.Sleep(quietAfter)
		for _, id := range []edge.PoPID{"iad", "lax", "fra"} {
			r.api(200, "PUT", "drains/"+string(id), `{"why":"disks","force":true}`)
		}
		r.settle()
		r.seen(announce.DNSSeen{})
	})
}
