package dns_test

import (
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"

	"catchment/internal/edge"
)

// TestCaches puts real resolvers between clients and the name server: through
// their caches every client must get the answer that the name server has for
// its prefix, in the first state and after it was replaced.
func TestCaches(t *testing.T) {
	for seed, c := range []struct {
		name      string
		validates bool
		// Clients tell less of themselves than the resolver would pass on. Then
		// a scope may be longer than what was asked with, and the answer does
		// for nobody who tells more (RFC 7871, section 7.3.1). PowerDNS
		// Recursor 4.8 keeps it for them, too, so there are none here.
		coarse bool
		// Some PoPs and VIPs have no IPv6. PowerDNS Recursor 4.8 keeps what
		// there is not for everybody, whatever its scope, so all of them have
		// both families here.
		mixed bool
		start func(s *site, anchor string) *process
	}{
		{"unbound", false, true, true, func(s *site, _ string) *process { return s.startUnbound("subnetcache iterator", "") }},
		{"unbound validating", true, true, true, func(s *site, anchor string) *process {
			return s.startUnbound("subnetcache validator iterator", anchor)
		}},
		{"recursor", false, false, false, func(s *site, _ string) *process { return s.startRecursor() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel() // most of it is waiting for a TTL
			s := newSite(t)
			const ttl = 3 * time.Second
			w := newWorld(uint64(100+seed), 2000, ttl)
			if c.mixed {
				w.mixFamilies()
			}
			before, after := w.state(), w.state()
			keys, anchor := s.keys()
			server := s.serve(append(s.files(w, before), "--key-dir", keys)...)
			c.start(s, anchor)
			x := &throughCache{s: s, w: w, validates: c.validates}
			x.draw(2000, c.coarse)
			x.drawSilent(100)

			x.learn(before)
			start := x.atServer()
			x.pass()
			first := x.atServer() - start
			for range 3 {
				x.pass()
			}
			all, lookups := x.atServer()-start, len(x.lookups)
			t.Logf("figures: %s: of %d lookups for different clients %d asked the name server, of %d more for the same %d", c.name, lookups, first, 3*lookups, all-first)
			if first < lookups/20 || first > lookups*9/10 || all > 4*lookups*9/10 {
				t.Error("the cache does not cache, or shares everything")
			}

			x.former = x.want
			s.swap(server, after)
			x.learn(after)
			for swapped := time.Now(); time.Since(swapped) < ttl+time.Second; {
				x.pass() // the old answer or the new one, never a third
			}
			x.former = nil
			x.pass()
		})
	}
}

// throughCache asks a resolver for many clients.
type throughCache struct {
	s         *site
	w         *world
	validates bool
	lookups   []lookup // as clients ask; the last ones from the sockets in silent
	silent    []net.Conn
	upstream  []lookup // as the resolver must ask for them
	want      []answer // to upstream
	former    []answer // what answers may be as well; nil: no others
}

// draw draws clients, each of which asks for one name.
func (x *throughCache) draw(clients int, coarse bool) {
	for i := range clients {
		family := 4 + 2*(i%2)
		kept := keep(family == 4)
		bits := kept
		switch draw := x.w.rng.IntN(8); {
		case draw == 0: // tells more than the resolver passes on
			bits += 8
		case draw == 1 && coarse:
			bits -= 4
		case i%200 < 2 && coarse: // wants not to be told of: decided by the resolver
			bits = 0
		}
		subnet, _ := x.w.client(family).Prefix(bits)
		l := lookup{
			name: services[i/2%len(services)].Name, qtype: []uint16{dns.TypeA, dns.TypeAAAA}[x.w.rng.IntN(2)],
			subnet: subnet, do: x.validates,
		}
		x.lookups = append(x.lookups, l)
		l.subnet, _ = subnet.Addr().Prefix(min(bits, kept))
		x.upstream = append(x.upstream, l)
	}
}

// drawSilent draws clients who tell nothing: the resolver knows their address.
func (x *throughCache) drawSilent(clients int) {
	for i := range clients {
		a := x.w.client(4)
		l := lookup{name: services[i%len(services)].Name, qtype: dns.TypeA, do: x.validates}
		x.silent = append(x.silent, x.s.dial(a.String(), resolver))
		x.lookups = append(x.lookups, l)
		l.subnet, _ = a.Prefix(keep(true))
		x.upstream = append(x.upstream, l)
	}
}

// learn asks the name server itself, from the resolver's address, what the
// answers are now, and compares that with what steering says.
func (x *throughCache) learn(state *edge.Snapshot) {
	x.s.t.Helper()
	right, who := newTruth(x.s.t, x.w, state), netip.MustParseAddr(resolver)
	x.want = x.s.askAll(x.s.dial(resolver, server4), x.upstream)
	for i, a := range x.want {
		if want := right.of(x.upstream[i], who); a != want {
			x.s.t.Fatalf("%v: %+v, want %+v", x.upstream[i], a, want)
		}
	}
}

// pass asks the resolver everything once.
func (x *throughCache) pass() {
	x.s.t.Helper()
	wrong, n := 0, len(x.lookups)-len(x.silent)
	answers := x.s.askAll(x.s.dial("198.51.100.7", resolver), x.lookups[:n])
	for i, c := range x.silent {
		answers = append(answers, x.s.askAll(c, x.lookups[n+i:n+i+1])...)
	}
	for i, a := range answers {
		right := a.addrs == x.want[i].addrs || x.former != nil && a.addrs == x.former[i].addrs
		if right && a.rcode == "NOERROR" && a.ad == x.validates {
			continue
		}
		if wrong++; wrong <= 5 {
			x.s.t.Errorf("%v: %+v, want %+v", x.lookups[i], a, x.want[i])
		}
	}
	if wrong > 0 {
		x.s.t.Fatalf("%d of %d answers are wrong", wrong, len(x.lookups))
	}
}

// atServer counts the queries that the name server has answered.
func (x *throughCache) atServer() int {
	x.s.t.Helper()
	return int(x.s.mustScrape(admin).sum(fmt.Sprintf("catchment_dns_queries_total{transport=%q", "udp")))
}
