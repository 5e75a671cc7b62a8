package steer

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"catchment/internal/edge"
)

func TestExplain(t *testing.T) {
	s := testSnapshot(edge.Unicast)
	s.Fleet.Services = append(s.Fleet.Services, edge.Service{Name: "static.edge.example", Scheme: edge.Global, TTL: time.Minute})
	cell := edge.CellKey{Country: "US", Subdivision: "VA", ASN: 64496, Family: 4}
	s.Orders = []edge.Order{{CellKey: cell, PoPs: []edge.Latency{{PoP: "lax", RTT: 64, Samples: 31}, {PoP: "iad", RTT: 18.7, Samples: 52}}}}
	s.Catchments = []edge.Catchment{{CellKey: cell, Scheme: edge.Global, PoP: "iad", Share: 1}}
	s.Ramps = []edge.Ramp{{ID: "us-global", Service: www, Scheme: edge.Global, Share: 0.05, Salt: "x", Where: edge.Where{Countries: []string{"US"}}}}
	s.Sheds = []edge.Shed{{PoP: "iad", Share: 0.2}}
	s.Drains = []edge.Drain{{PoP: "gru", Why: "new disks"}}
	s.Health = []edge.Health{{PoP: "lax", State: edge.Up, Since: s.Made.Add(-time.Hour)}, {PoP: "fra", State: edge.Down, Since: s.Made.Add(-time.Minute), Why: "report is 40s old"}}
	s.Pins = []edge.Pin{{Resolver: netip.MustParsePrefix("198.51.100.0/24"), PoP: "fra"}}
	p := compile(t, s, testPlaces())
	resolver, pinned := netip.MustParseAddr("203.0.113.53"), netip.MustParseAddr("198.51.100.53")
	var b strings.Builder
	for _, q := range []Query{
		{www, clients["virginia"], resolver},
		{www, clients["brazil"], netip.Addr{}},
		{www, netip.Addr{}, clients["germany"]},
		{www, clients["virginia"], pinned},
		{"static.edge.example", clients["virginia"], resolver},
		{"static.edge.example", clients["nowhere"], resolver},
	} {
		x, err := p.Explain(q)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%v\n", x)
		data, err := json.Marshal(x)
		if err != nil {
			t.Fatal(err)
		}
		var back Explanation
		if err := json.Unmarshal(data, &back); err != nil || back.String() != x.String() {
			t.Errorf("it comes back from JSON as (%v)\n%v\nwant\n%v", err, back, x)
		}
	}
	golden(t, "explain.txt", b.String())
	if _, err := p.Explain(Query{Service: "nobody.example"}); !errors.Is(err, ErrUnknownService) {
		t.Errorf("an unknown service: %v", err)
	}
}

// A plan is used by many goroutines at once; the race detector looks on.
func TestConcurrent(t *testing.T) {
	s := testSnapshot(edge.Global)
	s.Ramps = rampOf(0.5)
	s.Sheds = []edge.Shed{{PoP: "iad", Share: 0.2}}
	service := compile(t, s, testPlaces()).services[0]
	var wg sync.WaitGroup
	for _, c := range clients {
		wg.Go(func() {
			for range 20 {
				n, scope := service.Lookup(c)
				x := service.Explain(c, netip.Addr{})
				if x.Index != n || x.Scope.Bits() != int(scope) {
					t.Errorf("%v gets %d /%d and is explained %d %v", c, n, scope, x.Index, x.Scope)
				}
			}
		})
	}
	wg.Wait()
}
