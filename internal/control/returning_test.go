package control

import (
	"testing"
	"time"

	"catchment/internal/announce"
)

// TestReturning: name servers go on leaving a PoP out whose drain has been
// ended, until it says that its routes are back, or is silent.
func TestReturning(t *testing.T) {
	withSpeakers(t, func(t *testing.T, r *rig) {
		in := func(p announce.Phase) func(*announce.Status) {
			return func(s *announce.Status) { s.Drain = &announce.Progress{Phase: p} }
		}
		is := func(drains int, ending bool) {
			t.Helper()
			r.settle()
			d := r.Snapshot().Drains
			if len(d) != drains || drains > 0 && d[0].Ending != ending {
				t.Errorf("drains %+v, want %d, ending %t", d, drains, ending)
			}
		}
		r.api(200, "PUT", "drains/iad", `{"why":"disks"}`)
		is(1, false)
		r.announces(iad, in(announce.Drained))
		is(1, false)
		r.api(204, "DELETE", "drains/iad?why=done", "")
		is(1, true)
		r.announces(iad, in(announce.Reannounce))
		is(1, true)
		r.announces(iad, in(announce.DNSIn))
		is(0, false)

		r.announces(iad, in(announce.SettleBack))
		is(1, true)
		time.Sleep(20 * time.Second)
		is(0, false)

		r.announces(iad, func(s *announce.Status) { s.Drain = &announce.Progress{Phase: announce.Drained, Local: true} })
		is(0, false)
	})
}
