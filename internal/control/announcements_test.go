package control

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"catchment/internal/announce"
	"catchment/internal/edge"
)

func TestAnnouncements(t *testing.T) {
	withSpeakers(t, func(t *testing.T, r *rig) {
		r.allAnnounce()
		r.api(200, "PUT", "announcements/iad", `{"withdraw":["global"],"prepend":{"192.0.2.1":2},"why":"shard"}`)
		r.settle()
		want := []edge.Announcement{{PoP: "iad", Withdraw: []edge.VIPID{"global"}, Prepend: map[string]int{"192.0.2.1": 2}, By: "alice", Why: "shard"}}
		if diff := cmp.Diff(want, r.Snapshot().Announcements); diff != "" {
			t.Error(diff)
		}
		f := func(code int, path, body, want string) {
			t.Helper()
			if text := r.api(code, "PUT", "announcements/"+path, body); !strings.Contains(text, want) {
				t.Errorf("%s: %s, want %s", body, text, want)
			}
		}
		f(422, "iad", `{"withdraw":["emea"],"why":"x"}`, "iad does not announce VIP")
		f(422, "iad", `{"prepend":{"192.0.2.9":1},"why":"x"}`, "iad has no neighbor 192.0.2.9")
		f(422, "iad", `{"prepend":{"192.0.2.1":11},"why":"x"}`, "11 is not 1 to 10")
		f(422, "iad", `{"prepend":{"192.0.2.1":0},"why":"x"}`, "0 is not 1 to 10")
		f(400, "iad", `{"prepend":{"router":1},"why":"x"}`, "is not an address")
		f(400, "iad", `{"why":"x"}`, "want VIPs to withdraw")
		f(422, "nrt", `{"withdraw":["global"],"why":"x"}`, "there is no PoP")

		// Whoever is left must announce the VIP and find it well.
		f(200, "lax", `{"withdraw":["global"],"why":"x"}`, "")
		f(409, "fra", `{"withdraw":["global"],"why":"x"}`, "no other PoP announces global and finds it well")
		r.api(204, "DELETE", "announcements/lax?why=done", "")
		r.announces(lax, func(s *announce.Status) { s.Report.VIPs[0].Degraded = true })
		f(409, "fra", `{"withdraw":["global"],"why":"x"}`, "no other PoP")
		f(200, "fra", `{"prepend":{"192.0.2.3":1},"why":"only longer"}`, "")
		f(200, "fra", `{"withdraw":["global"],"why":"x","force":true}`, "")

		// What is no longer in the fleet file is left out.
		less := speakingFleet()
		less.PoPs[0].BGP.Neighbors = nil
		less.PoPs[2].BGP = nil
		if err := r.SetFleet(less); err != nil {
			t.Fatal(err)
		}
		r.settle()
		want = []edge.Announcement{{PoP: "iad", Withdraw: []edge.VIPID{"global"}, Prepend: map[string]int{}, By: "alice", Why: "shard"}}
		if diff := cmp.Diff(want, r.Snapshot().Announcements); diff != "" {
			t.Error(diff)
		}
	})
}
