package steer

import (
	"flag"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
)

// How many pairs of addresses TestScope tries, and from which seed. More:
//
//	go test ./internal/steer -run TestScope -pairs 200000000 -seed 7
var (
	pairs = flag.Int("pairs", 2_000_000, "pairs of addresses that TestScope tries")
	seed  = flag.Uint64("seed", 1, "of TestScope's worlds")
)

// No two addresses within a returned scope get different answers: for random
// fleets, tables with gaps and exceptions, ramps, sheds, weights, pins and
// drains. Otherwise a resolver's cache would give clients wrong answers.
func TestScope(t *testing.T) {
	rng := rand.New(rand.NewPCG(*seed, 3))
	const clientsPerWorld, mates = 100, 40
	worlds, partial := 0, 0
	for tried := 0; tried < *pairs; worlds++ {
		s, places := randomWorld(rng)
		p := compile(t, s, places)
		var last netip.Addr
		for range clientsPerWorld {
			service := p.services[rng.IntN(len(p.services))]
			var resolver netip.Addr
			if rng.IntN(4) == 0 {
				resolver = randomAddr(rng, rng.IntN(2))
			}
			client := randomAddr(rng, rng.IntN(2))
			if last.IsValid() && rng.IntN(2) == 0 { // next to the last scope
				client = last
			}
			want, n := service.LookupVia(resolver, client)
			scope, err := client.Prefix(int(n))
			if err != nil {
				t.Fatalf("world %d: %v gets the scope %d", worlds, client, n)
			}
			if service.isPartial(client) {
				partial++
			}
			first, end := scope.Addr(), lastOf(scope)
			last = end.Next()
			for i := range mates {
				mate := within(rng, scope)
				switch i {
				case 0:
					mate = first
				case 1:
					mate = end
				}
				got, m := service.LookupVia(resolver, mate)
				if got != want {
					t.Fatalf("world %d: %v gets %d with scope %v, but %v gets %d\n%v\n%v", worlds, client, want, scope, mate, got,
						service.Explain(client, resolver), service.Explain(mate, resolver))
				}
				if m != n {
					t.Fatalf("world %d: within one scope %v gets /%d and %v gets /%d", worlds, client, n, mate, m)
				}
			}
			tried += mates
		}
	}
	t.Logf("%d worlds, %d pairs, %d clients behind a partial ramp or shed", worlds, *pairs, partial)
	if partial < worlds {
		t.Errorf("only %d clients in %d worlds were behind a partial ramp or shed", partial, worlds)
	}
}

// isPartial reports whether a hash decides what the client gets.
func (s *Service) isPartial(client netip.Addr) bool {
	k, f := keyOf(client)
	r, _ := s.tables.look(k, f)
	return r&forkBit != 0
}

func lastOf(p netip.Prefix) netip.Addr {
	a := p.Addr().AsSlice()
	for i := range a {
		if host := p.Bits() - 8*i; host < 8 {
			a[i] |= 0xff >> max(0, host)
		}
	}
	out, _ := netip.AddrFromSlice(a)
	return out
}

// The scope is also as short as it can be: for random runs over the first
// byte, a table finds what trying all prefixes finds.
func TestScopeShortest(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for range 200 {
		var leads [256]ref
		for i := range leads {
			leads[i] = leads[max(0, i-1)]
			if rng.IntN(6) == 0 {
				leads[i] = ref(rng.IntN(3))
			}
		}
		var runs []run
		for i, r := range leads {
			runs = append(runs, run{key{hi: uint64(i) << 56}, r})
		}
		runs = merge(runs)
		tables := tables{newTable4(runs), newTable6(runs)}
		for a := range 256 {
			k := key{hi: uint64(a)<<56 | rng.Uint64()>>8, lo: rng.Uint64()}
			want := 0
			for ; want < 8; want++ {
				size := 256 >> want
				block := leads[a/size*size:][:size]
				if !slices.ContainsFunc(block, func(r ref) bool { return r != leads[a] }) {
					break
				}
			}
			for family := range 2 {
				if r, got := tables.look(k, family); got != want || r != leads[a] {
					t.Fatalf("%d leads to %d /%d, want %d /%d in %v", a, r, got, leads[a], want, leads)
				}
			}
		}
	}
}

// What makes no difference shortens no scope: gaps, places that are decided
// alike, and ramps at 0 and at 100 %.
func TestScopeMerges(t *testing.T) {
	for _, c := range []struct {
		name   string
		places string
		share  float64
		client string
		want   string
	}{
		{"one PoP's places side by side", "10.0.0.0/9 10.128.0.0/9", 0, "10.1.2.3", "0.0.0.0/0"},
		{"and the gap", "10.0.0.0/24", 0, "203.0.113.1", "0.0.0.0/0"},
		{"an exception", "!10.0.0.0/24", 0, "10.0.1.1", "10.0.1.0/24"},
		{"an exception itself", "!10.0.0.0/24", 0, "10.0.0.1", "10.0.0.0/24"},
		{"a ramp at 0", "10.0.0.0/8", 0, "10.1.2.3", "0.0.0.0/0"},
		{"a ramp begun", "10.0.0.0/8", 0.5, "10.1.2.3", "10.1.2.0/24"},
		{"a ramp, where the map is finer", "!10.1.2.0/28", 0.5, "10.1.2.3", "10.1.2.0/28"},
		{"a ramp over IPv6", "10.0.0.0/8", 0.5, "2001:db8:1:2::3", "2001:db8:1::/48"},
		{"a ramp at 100 %", "10.0.0.0/8", 1, "10.1.2.3", "0.0.0.0/0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := testSnapshot("unicast")
			s.Fleet.PoPs[0].Capacity = 2000 // iad is the default
			s.Ramps = rampOf(c.share)
			p := compile(t, s, splitPlaces(c.places))
			client := netip.MustParseAddr(c.client)
			_, n := p.services[0].Lookup(client)
			if got, _ := client.Prefix(int(n)); got.String() != c.want {
				t.Errorf("got the scope %v, want %v", got, c.want)
			}
		})
	}
}
