package main

import (
	"net"
	"net/netip"
	"testing"

	"github.com/miekg/dns"
)

// reply is a right answer to q, as the library composes it.
func reply(t *testing.T, q *query) *dns.Msg {
	t.Helper()
	var m dns.Msg
	if err := m.Unpack(q.packet); err != nil {
		t.Fatal(err)
	}
	r := new(dns.Msg).SetReply(&m)
	r.Authoritative = true
	r.Compress = true
	r.Answer = []dns.RR{&dns.A{
		Hdr: dns.RR_Header{Name: service + ".", Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: ttl},
		A:   net.IP(q.want.addr[:]),
	}}
	if q.signed() {
		r.Answer = append(r.Answer, &dns.RRSIG{
			Hdr:         dns.RR_Header{Name: service + ".", Rrtype: dns.TypeRRSIG, Class: dns.ClassINET, Ttl: ttl},
			TypeCovered: dns.TypeA, SignerName: zone + ".", Signature: "AAAA",
		})
	}
	opt := m.IsEdns0()
	opt.Option[0].(*dns.EDNS0_SUBNET).SourceScope = q.want.minScope
	r.Extra = []dns.RR{opt}
	return r
}

func TestCheck(t *testing.T) {
	nothing := func(*dns.Msg) {}
	ecs := func(m *dns.Msg) *dns.EDNS0_SUBNET { return m.IsEdns0().Option[0].(*dns.EDNS0_SUBNET) }
	for _, c := range []struct {
		name   string
		change func(*dns.Msg)
		want   verdict
	}{
		{"right", nothing, right},
		{"uncompressed", func(m *dns.Msg) { m.Compress = false }, right},
		{"cookie before ECS", func(m *dns.Msg) {
			o := m.IsEdns0()
			o.Option = append([]dns.EDNS0{&dns.EDNS0_COOKIE{Cookie: "0102030405060708"}}, o.Option...)
		}, right},
		{"longer scope", func(m *dns.Msg) { ecs(m).SourceScope++ }, right},
		{"shorter scope", func(m *dns.Msg) { ecs(m).SourceScope-- }, wide},
		{"no OPT", func(m *dns.Msg) { m.Extra = nil }, wide},
		{"another client", func(m *dns.Msg) {
			if e := ecs(m); e.Family == 1 {
				e.Address = net.ParseIP("198.51.100.0")
			} else {
				e.Address = net.ParseIP("2001:db8:0:200::")
			}
		}, wrong},
		{"another source", func(m *dns.Msg) { ecs(m).SourceNetmask = 16 }, wrong},
		{"another address", func(m *dns.Msg) { m.Answer[0].(*dns.A).A = net.IP{192, 0, 2, 1} }, wrong},
		{"two addresses", func(m *dns.Msg) { m.Answer = append(m.Answer, m.Answer[0]) }, wrong},
		{"no address", func(m *dns.Msg) { m.Answer = m.Answer[1:] }, wrong},
		{"truncated", func(m *dns.Msg) { m.Truncated = true }, wrong},
		{"not authoritative", func(m *dns.Msg) { m.Authoritative = false }, wrong},
		{"refused", func(m *dns.Msg) { m.Rcode = dns.RcodeRefused }, wrong},
		{"another name", func(m *dns.Msg) { m.Question[0].Name = "ww2." + zone + "." }, wrong},
		{"a query", func(m *dns.Msg) { m.Response = false }, wrong},
	} {
		for _, client := range []string{"192.0.2.0/24", "2001:db8:0:100::/56"} {
			for _, signed := range []bool{false, true} {
				q := query{netip.MustParsePrefix(client), nil, want{address(3).As4(), 20}}
				q.packet = packet(q.client, signed)
				m := reply(t, &q)
				c.change(m)
				p, err := m.Pack()
				if err != nil {
					t.Fatal(err)
				}
				if got := check(p, &q); got != c.want {
					t.Errorf("%s, client %s, signed %v: verdict %d, want %d", c.name, client, signed, got, c.want)
				}
				for i := range p {
					if got := check(p[:i], &q); got != wrong {
						t.Errorf("%s: %d of %d bytes: verdict %d", c.name, i, len(p), got)
					}
				}
			}
		}
	}
}

func TestCheckUnsigned(t *testing.T) {
	plain := query{netip.MustParsePrefix("192.0.2.0/24"), nil, want{address(0).As4(), 0}}
	signed := plain
	plain.packet, signed.packet = packet(plain.client, false), packet(plain.client, true)
	p, err := reply(t, &plain).Pack()
	if err != nil {
		t.Fatal(err)
	}
	if got := check(p, &signed); got != wrong {
		t.Errorf("no signature, but DO: verdict %d", got)
	}
}

// TestPacket compares a packet with what the library makes of it.
func TestPacket(t *testing.T) {
	for _, client := range []string{"192.0.2.0/24", "2001:db8:0:100::/56"} {
		for _, signed := range []bool{false, true} {
			p := netip.MustParsePrefix(client)
			var m dns.Msg
			if err := m.Unpack(packet(p, signed)); err != nil {
				t.Fatal(err)
			}
			q, opt := m.Question[0], m.IsEdns0()
			if q.Name != service+"." || q.Qtype != dns.TypeA || opt == nil || opt.Do() != signed || opt.UDPSize() != 1232 {
				t.Fatalf("%v", &m)
			}
			ecs := opt.Option[0].(*dns.EDNS0_SUBNET)
			addr, _ := netip.AddrFromSlice(ecs.Address)
			if addr.Unmap() != p.Addr() || int(ecs.SourceNetmask) != p.Bits() || ecs.SourceScope != 0 {
				t.Errorf("client %s, ECS %v", client, ecs)
			}
		}
	}
}
