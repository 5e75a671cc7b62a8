package observe

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"catchment/internal/analysis"
	"catchment/internal/edge"
	"catchment/internal/ramp"
)

var monday = time.Date(2026, 11, 2, 0, 0, 0, 0, time.UTC)

// somewhere puts addresses by their first byte.
type somewhere map[byte]edge.Place

func (s somewhere) Lookup(a netip.Addr) edge.Place { return s[a.AsSlice()[0]] }

var (
	illinois = edge.Place{Continent: "NA", Country: "US", Subdivision: "IL"}
	world    = somewhere{192: illinois, 198: {Continent: "NA", Country: "US", Subdivision: "NY"}, 203: {Continent: "AQ", Country: "AQ"}}
)

func sight() *Sight {
	return NewSight(&edge.Snapshot{
		Fleet: &edge.Fleet{
			PoPs:    []edge.PoP{{ID: "iad"}, {ID: "ord"}, {ID: "lax"}},
			VIPs:    []edge.VIP{{ID: "global"}, {ID: "americas"}},
			Regions: []edge.Region{{ID: "americas", VIP: "americas", Continents: []string{"NA"}}},
		},
		Orders: []edge.Order{
			{CellKey: edge.CellKey{Country: "US", Subdivision: "IL"}, PoPs: []edge.Latency{{PoP: "ord", RTT: 10}, {PoP: "iad", RTT: 14}}},
			{CellKey: edge.CellKey{Country: "US", Subdivision: "IL", ASN: 64500, Family: 4}, PoPs: []edge.Latency{{PoP: "ord", RTT: 10}, {PoP: "iad", RTT: 40}}},
		},
	}, analysis.DefaultTolerance)
}

func plan() *ramp.Plan {
	p := ramp.DefaultPlan()
	p.ID, p.Salt, p.Service, p.From, p.To = "r", "r", "www.edge.example", edge.Unicast, edge.Regional
	p.Geographies = []ramp.Geography{
		{ID: "il", Where: edge.Where{Subdivisions: []string{"US-IL"}}, Networks: []uint32{64500}},
		{ID: "rest", Where: edge.Where{Countries: []string{"US", "AQ"}}},
	}
	return &p
}

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

// gather returns the evidence of one page load in geography il.
func gather(t *testing.T, share float64, l edge.PageLoad) (*ramp.Row, Coverage) {
	t.Helper()
	o := New(plan(), world, edge.Granule{})
	o.Begin(sight(), []float64{share, share})
	if l.Country == "" {
		l.Cell = edge.Cell{Country: "US", Subdivision: "IL", Family: 4}
	}
	o.Add(&l)
	e, c := o.Evidence(monday, monday.Add(time.Minute), func(string) bool { return true }, nil)
	if len(e.Geographies[0].Rows) == 0 {
		return nil, c
	}
	return &e.Geographies[0].Rows[0], c
}

func TestRow(t *testing.T) {
	ecs := edge.Resolver{Addr: prefix("198.51.100.0/24"), ECS: prefix("192.0.2.0/24")}
	f := func(name string, share float64, l edge.PageLoad, want ramp.Row) {
		t.Helper()
		if l.Resolver == (edge.Resolver{}) {
			l.Resolver = ecs
		}
		got, _ := gather(t, share, l)
		if got == nil {
			t.Fatalf("%s: no row", name)
		}
		want.Unit, want.Bucket, want.Views, want.Connected = got.Unit, got.Bucket, 1, 1
		if d := cmp.Diff(&want, got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
	bin := []ramp.BinCount{{Bin: uint16(edge.Bin(12)), Count: 1}}
	f("by the page", 0, edge.PageLoad{PoP: "ord", Connect: 12, Served: [3]edge.PoPID{"iad", "", ""}}, ramp.Row{Judged: 1, Optimal: 1, Probes: 1, Latency: bin})
	f("within the tolerance", 0, edge.PageLoad{PoP: "iad"}, ramp.Row{Judged: 1, Optimal: 1})
	f("by the network's own order", 0, edge.PageLoad{PoP: "iad", Cell: edge.Cell{Country: "US", Subdivision: "IL", ASN: 64500, Family: 4}}, ramp.Row{Network: 64500, Judged: 1})
	f("by the probe of the arm", 0, edge.PageLoad{Served: [3]edge.PoPID{"ord", "", "lax"}}, ramp.Row{Judged: 1, Optimal: 1, Probes: 1})
	f("far away, by its own RTT", 1, edge.PageLoad{Served: [3]edge.PoPID{"ord", "", "lax"}, RTT: [3]float64{10, 0, 60}}, ramp.Row{Judged: 1, Probes: 1})
	f("far away, not measured", 1, edge.PageLoad{Served: [3]edge.PoPID{"ord", "", "lax"}}, ramp.Row{Probes: 1})
	f("a failed probe", 1, edge.PageLoad{Served: [3]edge.PoPID{"ord", "", edge.Failed}}, ramp.Row{Judged: 1, Probes: 1, Failed: 1})
	f("treated, by the other arm's answer", 1, edge.PageLoad{PoP: "ord"}, ramp.Row{Contaminated: 1, Judged: 1, Optimal: 1})
	f("control, by the other arm's answer", 0, edge.PageLoad{PoP: "ord", VIP: "americas"}, ramp.Row{Contaminated: 1, Judged: 1, Optimal: 1})
	f("treated, by its own", 1, edge.PageLoad{PoP: "ord", VIP: "americas"}, ramp.Row{Judged: 1, Optimal: 1})
	f("a third scheme", 1, edge.PageLoad{PoP: "ord", VIP: "global"}, ramp.Row{Contaminated: 1, Judged: 1, Optimal: 1})
	f("a VIP that is not the fleet's", 1, edge.PageLoad{PoP: "ord", VIP: "old"}, ramp.Row{Judged: 1, Optimal: 1})
	f("a coarse clock", 0, edge.PageLoad{PoP: "ord", Connect: 12, Coarse: true}, ramp.Row{Judged: 1, Optimal: 1})
	f("a place of which nothing is known", 0, edge.PageLoad{PoP: "ord", Cell: edge.Cell{Country: "US", Subdivision: "WY"}}, ramp.Row{})
}

// Whose arm is not known is in none, and counted.
func TestCoverage(t *testing.T) {
	f := func(name string, r edge.Resolver, want Coverage, row bool) {
		t.Helper()
		want.Loads = 1
		got, c := gather(t, 0.5, edge.PageLoad{PoP: "ord", Resolver: r})
		if c != want || (got != nil) != row {
			t.Errorf("%s: %+v, a row %v; want %+v, %v", name, c, got != nil, want, row)
		}
	}
	f("nobody knows who asked", edge.Resolver{}, Coverage{Unjoined: 1}, false)
	f("a resolver without ECS", edge.Resolver{Addr: prefix("192.0.2.0/24")}, Coverage{}, true)
	f("a resolver cut too short", edge.Resolver{Addr: prefix("192.0.0.0/20")}, Coverage{Cut: 1}, false)
	f("a resolver that sent a shorter prefix", edge.Resolver{Addr: prefix("198.51.100.0/24"), ECS: prefix("192.0.0.0/20")}, Coverage{}, true)
	f("elsewhere by its ECS", edge.Resolver{Addr: prefix("192.0.2.0/24"), ECS: prefix("198.51.100.0/24")}, Coverage{}, false)
	f("where no region serves", edge.Resolver{Addr: prefix("203.0.113.0/24")}, Coverage{}, false)

	o := New(plan(), world, edge.Granule{V4: 20})
	o.Begin(sight(), []float64{0, 0})
	o.Add(&edge.PageLoad{Resolver: edge.Resolver{ECS: prefix("192.0.0.0/20")}})
	if _, c := o.Evidence(monday, monday.Add(1), func(string) bool { return true }, nil); c.Cut != 1 {
		t.Errorf("an ECS prefix that the collector cut: %+v", c)
	}
}

// A unit's views add up, and geographies whose share name servers do not answer
// by yet are left out.
func TestEvidence(t *testing.T) {
	o := New(plan(), world, edge.Granule{})
	o.Begin(sight(), []float64{0.5, 0.5})
	for range 3 {
		o.Add(&edge.PageLoad{PoP: "ord", VIP: "americas", Resolver: edge.Resolver{ECS: prefix("192.0.2.0/24")}})
	}
	e, _ := o.Evidence(monday, monday.Add(time.Minute), func(g string) bool { return g == "il" }, []edge.PoPLoad{{PoP: "ord", Load: 5, Capacity: 10}})
	if len(e.Geographies) != 1 || len(e.Geographies[0].Rows) != 1 || len(e.Loads) != 1 {
		t.Fatalf("evidence: %+v", e)
	}
	r, p := e.Geographies[0].Rows[0], e.Geographies[0].PoPs[0]
	if r.Views != 3 || r.Connected != 3 || p.Control+p.Treatment != 3 {
		t.Errorf("row %+v, PoP %+v", r, p)
	}
	if r.Treated(0.5) != (p.Treatment == 3) {
		t.Errorf("the row is treated %v, its PoP says %+v", r.Treated(0.5), p)
	}
}

// Resets find the arm of their clients by what page loads told of them, and are
// in none where these do not tell, or tell of several arms.
func TestResets(t *testing.T) {
	o, c := New(plan(), world, edge.Granule{}), NewClients(edge.Granule{})
	o.Begin(sight(), []float64{0.5, 0.5})
	load := func(client, resolver, ecs string, weight float64) {
		l := edge.PageLoad{PoP: "ord", Client: edge.PrefixKey(prefix(client)), Weight: weight, Resolver: edge.Resolver{Addr: prefix(resolver)}}
		if ecs != "" {
			l.Resolver.ECS = prefix(ecs)
		}
		c.Learn(&l)
		o.Add(&l)
	}
	const other = "192.0.3.0/24"                                // a resolver of the same geography, another unit
	load("192.0.2.0/24", "203.0.113.0/24", "192.0.2.0/24", 100) // a sampled page view
	load("10.1.1.0/24", "192.0.2.0/24", "", 1)                  // by the resolver, far from home
	load("10.1.2.0/24", "192.0.2.0/24", "", 1)
	load("10.1.2.0/24", other, "", 1)             // by two, whatever their arms are
	load("10.1.3.0/24", "198.51.100.0/24", "", 1) // of another geography
	load("10.1.4.0/24", "203.0.113.0/24", "", 1)  // where no region serves
	for i := range maxSteered + 1 {               // by too many
		load("10.1.5.0/24", fmt.Sprintf("192.0.%d.0/24", i), "", 1)
	}
	for client, n := range map[string]float64{
		"192.0.2.0/24": 2, "10.1.1.0/24": 1, "10.1.2.0/24": 10, "10.1.3.0/24": 3, "10.1.4.0/24": 100, "10.1.5.0/24": 20,
		"192.0.77.0/24":  40, // nobody has told
		"203.0.113.0/24": 1000,
	} {
		o.AddReset(&Reset{Client: prefix(client), Count: n}, c)
	}
	e, coverage := o.Evidence(monday, monday.Add(time.Minute), func(string) bool { return true }, nil)
	if coverage.Resets != 2+1+10+3+20+40 || coverage.Unplaced != 10+20+40 {
		t.Errorf("coverage %+v", coverage)
	}
	if g := &e.Geographies[0]; g.Minutes != 100 {
		t.Errorf("the heaviest page load stands for %v minutes", g.Minutes)
	}
	for i, want := range []float64{3, 3} {
		got, minutes := 0.0, 0.0
		for _, r := range e.Geographies[i].Rows {
			got += r.Resets
			minutes += r.Connected
		}
		if got != want || i == 0 && minutes < 100 {
			t.Errorf("%s: %v resets in %v minutes, want %v", e.Geographies[i].ID, got, minutes, want)
		}
	}
}

// What is a day old still counts beside what is new, what is two is forgotten.
func TestClientsForget(t *testing.T) {
	c, p := NewClients(edge.Granule{}), prefix("10.1.1.0/24")
	asks := func(at time.Duration, client, resolver string) {
		c.Learn(&edge.PageLoad{At: monday.Add(at), Client: edge.PrefixKey(prefix(client)), Resolver: edge.Resolver{Addr: prefix(resolver)}})
	}
	is := func(want ...string) {
		t.Helper()
		x, _ := c.find(p)
		for i := range x.steered {
			if w := (netip.Prefix{}); i < len(want) && x.steered[i] != prefix(want[i]) || i >= len(want) && x.steered[i] != w {
				t.Errorf("steered by %v, want %v", x.steered, want)
				return
			}
		}
	}
	asks(0, "10.1.1.0/24", "192.0.2.0/24")
	asks(25*time.Hour, "10.1.1.0/24", "192.0.3.0/24")
	is("192.0.3.0/24", "192.0.2.0/24")
	asks(50*time.Hour, "10.9.9.0/24", "192.0.2.0/24")
	is("192.0.3.0/24")
	asks(75*time.Hour, "10.9.9.0/24", "192.0.2.0/24")
	is()
}

// BenchmarkAdd takes up one page load of 100,000 units.
func BenchmarkAdd(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 1))
	loads := make([]edge.PageLoad, 200_000)
	for i := range loads {
		p := prefix(fmt.Sprintf("192.%d.%d.0/24", rng.IntN(256), rng.IntN(256)))
		loads[i] = edge.PageLoad{
			Cell: edge.Cell{Country: "US", Subdivision: "IL", Family: 4}, PoP: "ord", Connect: 5 + 50*rng.Float64(),
			Served: [3]edge.PoPID{"ord", "ord", "iad"}, Resolver: edge.Resolver{ECS: p},
		}
	}
	o := New(plan(), world, edge.Granule{})
	s := sight()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if i%len(loads) == 0 {
			o.Begin(s, []float64{0.25, 0})
		}
		o.Add(&loads[i%len(loads)])
	}
}
