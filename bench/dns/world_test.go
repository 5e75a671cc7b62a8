package main

import (
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"testing"

	"catchment/internal/geo"
)

// TestWorld looks every client up in the place file, and holds scopes to all of
// the leaves.
func TestWorld(t *testing.T) {
	w := newWorld(1, 7)
	for _, c := range []struct {
		leaves   []leaf
		from, to string
	}{
		{w.v4, "0.0.0.0", "255.255.255.255"},
		{w.v6, "2400::", "2fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
	} {
		for i, l := range c.leaves[1:] {
			before := last(c.leaves[i].prefix)
			if gap := netip.MustParseAddr("2800::"); before.Next() != l.prefix.Addr() && l.prefix.Addr() != gap {
				t.Fatalf("%v follows %v", l.prefix, c.leaves[i].prefix)
			}
		}
		first, end := c.leaves[0].prefix.Addr(), last(c.leaves[len(c.leaves)-1].prefix)
		if first != netip.MustParseAddr(c.from) || end != netip.MustParseAddr(c.to) {
			t.Errorf("leaves from %v to %v", first, end)
		}
	}
	file := filepath.Join(t.TempDir(), "places.mmdb")
	if err := w.writePlaces(file); err != nil {
		t.Fatal(err)
	}
	places, err := geo.Open(geo.Config{Files: []string{file}})
	if err != nil {
		t.Fatal(err)
	}
	answerOf := func(a netip.Addr) int {
		code := places.Lookup(a).Continent
		for i, c := range continents {
			if c.code == code {
				return i
			}
		}
		return nowhere
	}
	queries := newQueries(w, 1, 2000)
	for _, q := range queries {
		if got := address(answerOf(q.client.Addr())).As4(); got != q.want.addr {
			t.Errorf("client %v: the file says %v, the leaves %v", q.client, got, q.want.addr)
		}
		leaves := w.v4
		if q.client.Addr().Is6() {
			leaves = w.v6
		}
		same := func(bits int) bool { // whether all leaves within have the client's answer
			p, _ := q.client.Addr().Prefix(bits)
			i, found := slices.BinarySearchFunc(leaves, p.Addr(), func(l leaf, a netip.Addr) int { return l.prefix.Addr().Compare(a) })
			if !found {
				i--
			}
			for ; i < len(leaves) && !last(p).Less(leaves[i].prefix.Addr()); i++ {
				if address(leaves[i].answer).As4() != q.want.addr {
					return false
				}
			}
			return true
		}
		if bits := int(q.want.minScope); !same(bits) || bits > 0 && same(bits-1) {
			t.Errorf("client %v: shortest scope %d", q.client, bits)
		}
	}
}

// TestLoad counts what a server does that is wrong now and then.
func TestLoad(t *testing.T) {
	queries := make([]query, 40)
	for i := range queries {
		client := netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), 32)
		queries[i] = query{client, packet(client, false), want{address(0).As4(), 32}}
	}
	server, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	replies := make([][]byte, len(queries))
	for i := range queries {
		m := reply(t, &queries[i])
		switch {
		case i == 1:
			m.Rcode = 2 // SERVFAIL
		case i == 2:
			m.Extra = nil // for everybody
		}
		if replies[i], err = m.Pack(); err != nil {
			t.Fatal(err)
		}
	}
	const ignored = 3
	go func() {
		b := make([]byte, maxPacket)
		for {
			n, peer, err := server.ReadFrom(b)
			if err != nil {
				return // closed: the test is over
			}
			if i := b[n-1]; i != ignored {
				copy(replies[i], b[:2])
				_, _ = server.WriteTo(replies[i], peer)
			}
		}
	}()
	l, err := newLoad(netip.MustParseAddrPort(server.LocalAddr().String()), queries)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	// Every client is asked for once, whatever the clock says.
	for _, c := range l.clients {
		if err := l.ask(c, len(queries)/sockets); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.drain(); err != nil {
		t.Fatal(err)
	}
	if want := (tally{asked: 40, answered: 39, wrong: 1, wide: 1, lost: 1}); l.asked != want.asked || l.answered != want.answered ||
		l.wrong != want.wrong || l.wide != want.wide || l.lost != want.lost {
		t.Errorf("tally %+v, want %+v", l.tally, want)
	}
}
