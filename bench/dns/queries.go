package main

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"slices"
)

// The zone that every server has, and the name that is asked for.
const (
	zone    = "edge.example"
	service = "www." + zone
	ttl     = 30 // seconds
)

// wireService is the name as it is in a packet.
const wireService = "\x03www\x04edge\x07example\x00"

// address returns what an index stands for: the address that clients on a
// continent get, or those nowhere.
func address(answer int) netip.Addr {
	if answer == nowhere {
		return netip.AddrFrom4([4]byte{198, 51, 100, 1})
	}
	return netip.AddrFrom4([4]byte{203, 0, 113, byte(16*answer + 1)})
}

// query is one question of one client, and what is right for it.
type query struct {
	client netip.Prefix
	packet []byte // with ID 0
	want   want
}

// signed reports whether the question has the DO bit (RFC 3225).
func (q *query) signed() bool { return q.packet[headerLen+len(wireService)+4+7]&0x80 != 0 }

// want is the answer that is right. A scope under minScope would give other
// clients this client's answer (RFC 7871, section 7.2.1).
type want struct {
	addr     [4]byte
	minScope uint8
}

// newQueries draws n different clients, a fifth of them IPv6 /56, the others
// IPv4 /24: what resolvers send (RFC 7871, section 11.1). Any leaf is as likely
// as another, so that few clients are neighbors in a server's tables.
func newQueries(w *world, seed uint64, n int) []query {
	rng := rand.New(rand.NewPCG(seed, 2))
	stretches4, stretches6 := stretchesOf(w.v4), stretchesOf(w.v6)
	seen := map[netip.Prefix]bool{}
	queries := make([]query, 0, n)
	for len(queries) < n {
		leaves, stretches, bits := w.v4, stretches4, 24
		if len(queries)%5 == 4 {
			leaves, stretches, bits = w.v6, stretches6, 56
		}
		l := leaves[rng.IntN(len(leaves))]
		client := within(rng, l.prefix, bits)
		if seen[client] {
			continue
		}
		seen[client] = true
		queries = append(queries, query{client, nil, want{address(l.answer).As4(), minScope(stretches, client)}})
	}
	rng.Shuffle(len(queries), func(i, j int) { queries[i], queries[j] = queries[j], queries[i] })
	return queries
}

// pack makes the packets of queries, with the DO bit if they are to be signed.
func pack(queries []query, signed bool) []query {
	queries = slices.Clone(queries)
	for i := range queries {
		queries[i].packet = packet(queries[i].client, signed)
	}
	return queries
}

// within draws a prefix of a length inside another.
func within(rng *rand.Rand, p netip.Prefix, bits int) netip.Prefix {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < bits; i++ {
		b[i/8] |= byte(rng.IntN(2)) << (7 - i%8)
	}
	a, _ := netip.AddrFromSlice(b) // of the length that it had
	return netip.PrefixFrom(a, bits)
}

// packet packs the question for a client: A, ECS with the client's prefix
// (RFC 7871, section 6), a UDP size of 1232 bytes, no cookie.
func packet(client netip.Prefix, signed bool) []byte {
	p := []byte{0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1}
	p = append(p, wireService...)
	p = append(p, 0, 1, 0, 1)
	octets, family := (client.Bits()+7)/8, byte(1)
	if client.Addr().Is6() {
		family = 2
	}
	var do byte
	if signed {
		do = 0x80
	}
	p = append(p, 0, 0, 41, 1232>>8, 1232&0xff, 0, 0, do, 0)
	p = binary.BigEndian.AppendUint16(p, uint16(8+octets))
	p = append(p, 0, 8, 0, byte(4+octets), 0, family, byte(client.Bits()), 0)
	return append(p, client.Addr().AsSlice()[:octets]...)
}

// stretch is where a run of addresses with the same answer begins. It ends
// where the next one begins.
type stretch struct {
	from   netip.Addr
	answer int
}

// stretchesOf joins leaves with gaps between and around them.
func stretchesOf(leaves []leaf) []stretch {
	at := netip.IPv4Unspecified()
	if leaves[0].prefix.Addr().Is6() {
		at = netip.IPv6Unspecified()
	}
	var stretches []stretch
	add := func(from netip.Addr, answer int) {
		if len(stretches) == 0 || stretches[len(stretches)-1].answer != answer {
			stretches = append(stretches, stretch{from, answer})
		}
	}
	for _, l := range leaves {
		if at != l.prefix.Addr() {
			add(at, nowhere)
		}
		add(l.prefix.Addr(), l.answer)
		at = last(l.prefix).Next()
	}
	if at.IsValid() {
		add(at, nowhere)
	}
	return stretches
}

// minScope returns the length of the shortest prefix around a client within
// which all addresses have the client's answer.
func minScope(stretches []stretch, client netip.Prefix) uint8 {
	i, found := slices.BinarySearchFunc(stretches, client.Addr(), func(r stretch, a netip.Addr) int { return r.from.Compare(a) })
	if !found {
		i--
	}
	bits := 0
	for ; ; bits++ {
		p, _ := client.Addr().Prefix(bits) // bits are at most those of the client
		if p.Addr().Compare(stretches[i].from) >= 0 && (i+1 == len(stretches) || last(p).Less(stretches[i+1].from)) {
			return uint8(bits)
		}
	}
}

// last returns the last address of a prefix.
func last(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < 8*len(b); i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}
