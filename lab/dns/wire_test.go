package dns_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// lookup is one question, as a client puts it to a resolver or that to a name
// server.
type lookup struct {
	name   string
	qtype  uint16
	subnet netip.Prefix // ECS; the zero Prefix: none
	do     bool
}

func (l lookup) String() string {
	return fmt.Sprintf("%s %s for %v", l.name, dns.TypeToString[l.qtype], l.subnet)
}

// pack returns the query; its first two bytes are the ID.
func (l lookup) pack(t *testing.T) []byte {
	t.Helper()
	m := new(dns.Msg)
	m.SetQuestion(dns.Fqdn(l.name), l.qtype)
	m.Id = 0
	m.SetEdns0(1232, l.do)
	if p := l.subnet; p.IsValid() {
		family := uint16(1)
		if p.Addr().Is6() {
			family = 2
		}
		opt := m.IsEdns0()
		opt.Option = append(opt.Option, &dns.EDNS0_SUBNET{
			Code: dns.EDNS0SUBNET, Family: family, SourceNetmask: uint8(p.Bits()), Address: p.Masked().Addr().AsSlice(),
		})
	}
	raw, err := m.Pack()
	if err != nil {
		t.Fatalf("%v: %v", l, err)
	}
	return raw
}

// answer is what matters of an answer.
type answer struct {
	rcode string
	addrs string // in order, one space between
	scope int    // -1: no ECS
	ad    bool
}

// parse takes an answer apart, which must be one to the query, its ECS option
// included.
func parse(query, reply []byte) (a answer, err error) {
	var q, m dns.Msg
	if err := q.Unpack(query); err != nil {
		return a, err
	}
	if err := m.Unpack(reply); err != nil {
		return a, err
	}
	if !m.Response || len(m.Question) != 1 || m.Question[0] != q.Question[0] {
		return a, fmt.Errorf("not the answer to the question:\n%v", &m)
	}
	a = answer{rcode: dns.RcodeToString[m.Rcode], scope: -1, ad: m.AuthenticatedData}
	var addrs []string
	for _, rr := range m.Answer {
		switch rr := rr.(type) {
		case *dns.A:
			addrs = append(addrs, rr.A.String())
		case *dns.AAAA:
			addrs = append(addrs, rr.AAAA.String())
		}
	}
	slices.Sort(addrs)
	a.addrs = strings.Join(addrs, " ")
	asked, told := subnet(&q), subnet(&m)
	switch {
	case told == nil:
	case asked == nil:
		return a, errors.New("ECS in the answer to a query without")
	case told.Family != asked.Family, told.SourceNetmask != asked.SourceNetmask, !told.Address.Equal(asked.Address):
		return a, fmt.Errorf("ECS %v echoed as %v", asked, told)
	default:
		a.scope = int(told.SourceScope)
	}
	return a, nil
}

func subnet(m *dns.Msg) *dns.EDNS0_SUBNET {
	if opt := m.IsEdns0(); opt != nil {
		for _, o := range opt.Option {
			if e, ok := o.(*dns.EDNS0_SUBNET); ok {
				return e
			}
		}
	}
	return nil
}

// dial returns a UDP socket from one address of the site, any port, to port 53
// of another.
func (s *site) dial(from, to string) net.Conn {
	s.t.Helper()
	c, err := s.Dial(&net.Dialer{LocalAddr: &net.UDPAddr{IP: net.ParseIP(from)}}, "udp", net.JoinHostPort(to, "53"))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = c.Close() })
	return c
}

// lostAfter is how long a query may be without an answer. Nothing is sent
// twice.
const lostAfter = 5 * time.Second

// ask sends n queries, at most window at a time without an answer, and hands
// each answer over with the index of its query. An answer that does not come,
// or that nobody asked for, is an error.
func ask(c net.Conn, window, n int, query func(i int) []byte, got func(i int, reply []byte) error) error {
	var waiting [1 << 16]int // by ID: index of the query, plus 1
	buf := make([]byte, 4096)
	for next, open := 0, 0; next < n || open > 0; {
		if next < n && open < window {
			id := uint16(next)
			if waiting[id] != 0 {
				return fmt.Errorf("query %d is still without an answer", waiting[id]-1)
			}
			q := query(next)
			binary.BigEndian.PutUint16(q, id)
			if _, err := c.Write(q); err != nil {
				return err
			}
			next++
			open++
			waiting[id] = next
			continue
		}
		if err := c.SetReadDeadline(time.Now().Add(lostAfter)); err != nil {
			return err
		}
		size, err := c.Read(buf)
		if err != nil {
			return fmt.Errorf("%d of %d queries lost: %w", open, next, err)
		}
		if size < 12 {
			return fmt.Errorf("an answer of %d bytes", size)
		}
		id := binary.BigEndian.Uint16(buf)
		i := waiting[id] - 1
		if i < 0 {
			return fmt.Errorf("an answer that nobody waits for: % x", buf[:size])
		}
		waiting[id] = 0
		open--
		if err := got(i, buf[:size]); err != nil {
			return err
		}
	}
	return nil
}

// window is how many queries are under way on one socket, where throughput is
// not what a test is about.
const window = 32

// askAll asks and returns the answers in the order of the lookups.
func (s *site) askAll(c net.Conn, lookups []lookup) []answer {
	s.t.Helper()
	queries := make([][]byte, len(lookups))
	for i, l := range lookups {
		queries[i] = l.pack(s.t)
	}
	answers := make([]answer, len(lookups))
	query := func(i int) []byte { return queries[i] }
	err := ask(c, window, len(lookups), query, func(i int, reply []byte) (err error) {
		if answers[i], err = parse(queries[i], reply); err != nil {
			err = fmt.Errorf("%v: %w", lookups[i], err)
		}
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return answers
}
