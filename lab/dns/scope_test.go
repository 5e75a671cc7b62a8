package dns_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// TestScope asks for random clients, and then for others within the scope that
// came back: they must get the same answer with the same scope. And each
// answer is the one that steering has for the client.
func TestScope(t *testing.T) {
	worlds, clients, others := 3, 1500, 4
	if testing.Short() {
		worlds = 1
	}
	asked, shorter, longer, zero := 0, 0, 0, 0
	for seed := range worlds {
		t.Run(fmt.Sprint("world", seed), func(t *testing.T) {
			s := newSite(t)
			w := newWorld(uint64(seed), 1500, 30*time.Second)
			w.mixFamilies()
			state := w.state()
			s.serve(s.files(w, state)...)
			right := newTruth(t, w, state)
			for _, from := range []string{resolver, "192.0.2.201", "192.0.2.99"} { // pinned for one service, for all, not at all
				conn, who := s.dial(from, server4), netip.MustParseAddr(from)
				var first []lookup
				for i := range clients / 3 {
					family := 4 + 2*(i%2)
					bits := []int{24, 32, 56, 128}[i%2*2+w.rng.IntN(2)]
					subnet, _ := w.client(family).Prefix(bits)
					first = append(first, lookup{name: services[w.rng.IntN(len(services))].Name, qtype: []uint16{dns.TypeA, dns.TypeAAAA}[w.rng.IntN(2)], subnet: subnet})
				}
				answers := s.askAll(conn, first)
				var second []lookup
				var same []int // as the answer of first
				for i, a := range answers {
					l := first[i]
					if want := right.of(l, who); a != want {
						t.Fatalf("%v from %s: %+v, want %+v", l, from, a, want)
					}
					switch {
					case a.scope == 0:
						zero++
					case a.scope < l.subnet.Bits():
						shorter++
					case a.scope > l.subnet.Bits():
						longer++
					}
					within := netip.PrefixFrom(l.subnet.Masked().Addr(), a.scope)
					for range others {
						o := w.within(within)
						l.subnet = netip.PrefixFrom(o, o.BitLen())
						second, same = append(second, l), append(same, i)
					}
				}
				for i, a := range s.askAll(conn, second) {
					if want := answers[same[i]]; a != want {
						t.Fatalf("%v from %s: %+v; but %v: %+v", second[i], from, a, first[same[i]], want)
					}
				}
				asked += len(first) + len(second)
			}
		})
	}
	t.Logf("figures: %d queries; scopes shorter than the source %d, longer %d, zero %d", asked, shorter, longer, zero)
	if shorter < worlds*100 || longer < worlds*10 || zero == 0 {
		t.Error("the worlds are too simple to prove anything")
	}
}
