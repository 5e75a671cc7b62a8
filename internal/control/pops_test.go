package control

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"catchment/internal/announce"
)

func TestPoPs(t *testing.T) {
	withSpeakers(t, func(t *testing.T, r *rig) {
		time.Sleep(quietAfter)
		r.tell(iad, "health", `{"state":"up","load":300}`)
		r.api(200, "PUT", "drains/iad", `{"why":"disks","grace":"1m","force":true}`)
		r.api(200, "PUT", "sheds/lax", `{"why":"hot","share":0.2}`)
		r.settle()
		r.allAnnounce()
		r.announces(iad, asking, func(s *announce.Status) {
			s.Drain = &announce.Progress{Phase: announce.DNSOut, Next: announce.TTL, Waiting: "ns2", Since: s.Report.Sent}
			s.Connections, s.Traffic = 12, 250
			s.Events = []announce.Event{{At: s.Report.Sent, Text: "drain ordered"}}
			s.Neighbors = []announce.Neighbor{{ASN: 64496, State: "established"}}
			s.Wanted = []announce.Wanted{{VIP: "global", Announced: true, Reason: "healthy"}}
		})
		time.Sleep(2 * time.Second)
		var all []popNow
		if err := json.Unmarshal([]byte(r.api(200, "GET", "pops", "")), &all); err != nil {
			t.Fatal(err)
		}
		if len(all) != 3 {
			t.Fatalf("%+v", all)
		}
		p := all[0]
		if p.PoP != "iad" || p.Health.State != "up" || *p.Health.Load != 300 || p.Health.Capacity != 1000 || p.Ordered.Why != "disks" || p.Ordered.Grace != time.Minute ||
			p.Drain.Phase != announce.DNSOut || p.Drain.Waiting != "ns2" || !p.DNS.Out || p.Age < 2 || p.Age > 2.1 || *p.Connections != 12 || *p.Traffic != 250 ||
			len(p.Neighbors) != 1 || len(p.Wanted) != 1 || p.Events != nil {
			t.Errorf("%+v", p)
		}
		if v := p.VIPs; len(v) != 1 || v[0].VIP != "global" || !v[0].Asks || !v[0].Counts || v[0].Healthy || v[0].Guard != "may withdraw" {
			t.Errorf("%+v", v)
		}
		if p := all[1]; p.Shed == nil || p.Shed.Share != 0.2 || p.Drain != nil || p.Connections != nil || p.Traffic != nil || !p.VIPs[0].Healthy {
			t.Errorf("%+v", p)
		}
		if text := r.api(200, "GET", "pops/iad", ""); !strings.Contains(text, `"text":"drain ordered"`) {
			t.Error(text)
		}
		r.api(404, "GET", "pops/nrt", "")
		if diff := cmp.Diff(map[string]float64{"drain_phase{phase=dns-out,pop=iad}": 1}, r.values("catchment_control_drain_phase")); diff != "" {
			t.Error(diff)
		}

		want := `[{"vip":"global","prefixes":["198.51.100.0/25"],"limit":1,"out":1,"healthy":2,"pops":[` +
			`{"pop":"fra","counts":false,"healthy":true,"why":"healthy"},{"pop":"iad","counts":true,"healthy":false,"why":"may withdraw"},{"pop":"lax","counts":false,"healthy":true,"why":"healthy"}]},` +
			`{"vip":"emea","prefixes":["198.51.100.128/25"],"limit":0,"out":1,"healthy":0,"pops":[{"pop":"fra","counts":true,"healthy":false,"why":"not heard of"}]}]`
		if diff := cmp.Diff(want, r.api(200, "GET", "vips", "")); diff != "" {
			t.Error(diff)
		}
	})
}
