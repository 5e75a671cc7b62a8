package authdns

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"
)

// seeds are packets of every kind, to begin mutations with.
func seeds() [][]byte {
	return [][]byte{
		ask("www.example.net", dns.TypeA).pack(),
		ask("WWW.Example.NET", dns.TypeAAAA).signed(ecs("198.51.100.0/25"), option(optNSID, ""), option(optCookie, "0102030405060708")).flag(0x0110).pack(),
		ask("www.example.net", dns.TypeA).edns(ecs("2001:db8::/48"), option(optPadding, "0000"), option(optKeepalive, "")).pack(),
		ask("x.wild.example.net", dns.TypeMX).signed().pack(),
		ask("nope.example.net", dns.TypeA).signed().pack(),
		ask("x.y.glued.example.net", dns.TypeDS).signed().pack(),
		ask("b.ent.example.net", dns.TypeANY).pack(),
		ask("global-0a1b.probe.example.net", dns.TypeHTTPS).edns(ecs("0.0.0.0/0")).pack(),
		ask("whoami.example.net", dns.TypeTXT).edns(ecs("203.0.113.0/24")).pack(),
		ask("large.example.net", dns.TypeTXT).opt(4096, 0, 0x8000).pack(),
		ask("example.net", dns.TypeIXFR).count(2, 1).raw(wireName("example.net")).numbers(dns.TypeSOA, classIN, 0, 0, 22).raw(make([]byte, 22)).pack(),
		ask("example.net", dns.TypeRRSIG).signed().pack(),
		(&packetOf{}).question("id.server", dns.TypeTXT, dns.ClassCHAOS).edns().pack(),
		(&packetOf{}).edns(option(optCookie, "0102030405060708")).pack(),
		ask("www.example.net", dns.TypeA).opt(1232, 1, 0).pack(),
		ask("www.example.net", dns.TypeA).edns().edns().pack(),
		ask("www.example.net", dns.TypeA).edns().signed().pack(), // two that differ
		ask("example.net", dns.TypeSOA).flag(0x2800).pack(),
		ask("www.example.net", dns.TypeA).flag(0x8000).pack(),
		ask(strings.Repeat("a.", 120)+"example.net", dns.TypeA).pack(),
		(&packetOf{}).count(0, 1).raw(unhex("C00C 0001 0001")).pack(),
	}
}

// mutate makes of a seed something that nobody has thought of.
func mutate(random *rand.Rand, all [][]byte) []byte {
	p := bytes.Clone(all[random.IntN(len(all))])
	for range 1 + random.IntN(4) {
		switch random.IntN(6) {
		case 0:
			p = p[:random.IntN(len(p)+1)]
		case 1:
			p = append(p, byte(random.Uint32()))
		case 2:
			other := all[random.IntN(len(all))]
			p = append(p, other[random.IntN(len(other)):]...)
		default:
			if len(p) > 0 {
				p[random.IntN(len(p))] ^= 1 << random.IntN(8)
			}
		}
	}
	return p
}

// answerable reports whether a packet is owed an answer: every query is (RFC
// 8906), nothing else is.
func answerable(p []byte) bool { return len(p) >= headerLen && p[2]&flagQR == 0 }

// TestGarbage sends packets that nobody should send. Every one that has the
// header of a query is answered, once, and nothing else is.
func TestGarbage(t *testing.T) {
	s := start(t, signed(t))
	conn := dial(t, s, "udp", 0)
	random := rand.New(rand.NewPCG(8906, 1))
	all := seeds()
	buf := make([]byte, 4096)
	const count = 10_000
	owed, unowed := 0, uint64(0)
	for i := range count {
		p := mutate(random, all)
		if len(p) >= 2 {
			binary.BigEndian.PutUint16(p, uint16(i))
		}
		if _, err := conn.Write(p); err != nil {
			t.Fatal(err)
		}
		if !answerable(p) {
			unowed++
			continue // an answer to it would be taken for the next one's
		}
		owed++
		n, err := conn.Read(buf)
		if err != nil {
			t.Fatalf("no answer to %x: %v", p, err)
		}
		reply := buf[:n]
		if binary.BigEndian.Uint16(reply) != uint16(i) || reply[2]&flagQR == 0 || n > maxUDP {
			t.Fatalf("answer %x to %x", reply, p)
		}
		var m dns.Msg
		if err := m.Unpack(reply); err != nil {
			t.Fatalf("answer %x to %x: %v", reply, p, err)
		}
	}
	if owed < count/2 || unowed < count/100 {
		t.Errorf("%d owed an answer, %d not", owed, unowed)
	}
	waitFor(t, func() bool { return s.unanswered() >= unowed })
	if got := s.unanswered(); got != unowed {
		t.Errorf("%d unanswered, want %d", got, unowed)
	}
	// The same over TCP: a connection ends at what is not a query.
	for range 500 {
		stream := dial(t, s, "tcp", 0)
		good := 0
		var sent []byte
		for range 10 {
			p := mutate(random, all)
			sent = append(sent, frame(p)...)
			if !answerable(p) {
				break
			}
			good++
		}
		if _, err := stream.Write(sent); err != nil {
			t.Fatal(err)
		}
		for range good {
			var m dns.Msg
			if reply := readFrame(t, stream); m.Unpack(reply) != nil || !m.Response {
				t.Fatalf("answer %x", reply)
			}
		}
		_ = stream.Close()
	}
}

func (s *Server) unanswered() uint64 {
	return (&collector{Server: s}).sum(func(x *stats) uint64 { return x.unanswered.Load() })
}

// TestNoReply: what is never answered, so that two servers cannot be made to
// talk to each other.
func TestNoReply(t *testing.T) {
	s := start(t)
	query := aOnly().pack()
	for name, p := range map[string][]byte{
		"empty": {}, "one byte": {1}, "eleven bytes": query[:11],
		"a response": aOnly().flag(0x8000).pack(), "a malformed response": aOnly().flag(0x8000).raw([]byte{0}).pack(),
		"a response of an unknown opcode": aOnly().flag(0xF800).pack(), "a response with EDNS 1": aOnly().flag(0x8000).opt(1232, 1, 0).pack(),
		"our own answer": askUDP(t, s, query),
		"4,097 bytes":    append(aOnly().pack(), make([]byte, maxQueryUDP)...),
	} {
		before := s.answered()
		conn := dial(t, s, "udp", 0)
		for _, packet := range [][]byte{p, query} {
			if _, err := conn.Write(packet); err != nil {
				t.Fatal(err)
			}
		}
		buf := make([]byte, 4096)
		if n, err := conn.Read(buf); err != nil || !strings.HasPrefix(describe(t, buf[:n]), "NOERROR") {
			t.Errorf("%s: %x, %v", name, buf[:n], err)
		}
		if got := s.answered() - before; got != 1 {
			t.Errorf("%s: %d answers to two packets", name, got)
		}
	}
}

func (s *Server) answered() uint64 {
	return (&collector{Server: s}).sum(func(x *stats) (n uint64) {
		for t := range x.answers {
			for i := range x.answers[t] {
				n += x.answers[t][i].Load()
			}
		}
		return n
	})
}

// TestSlowQueueIsBounded: more slow queries than there is room for cost some of
// their answers, and nothing of others'.
func TestSlowQueueIsBounded(t *testing.T) {
	s := newServer(t)
	peer := netip.AddrPortFrom(localhost, 53)
	raw := ask("whoami.example.net", dns.TypeTXT).pack()
	taken := 0
	for range 3 * slowQueue {
		if s.enqueueSlow(nil, raw, peer, nil) {
			taken++
		}
	}
	if taken != slowQueue {
		t.Errorf("%d taken, want %d", taken, slowQueue)
	}
}

// TestFamilies: IPv4, IPv6, and sockets of all addresses, which must answer
// from the address that was asked, through both paths.
func TestFamilies(t *testing.T) {
	fast := aOnly().pack()
	slow := (&packetOf{}).question("id.server", dns.TypeTXT, dns.ClassCHAOS).pack()
	for _, c := range []struct {
		listener string
		at       []string
	}{
		{"127.0.0.1:0", []string{"127.0.0.1"}},
		{"[::1]:0", []string{"::1"}},
		{"0.0.0.0:0", []string{"127.0.0.1", "127.0.0.2", "127.3.4.5"}},
		{"[::]:0", []string{"::1"}},
		{":0", []string{"127.0.0.1", "127.0.0.9", "::1"}},
	} {
		t.Run(c.listener, func(t *testing.T) {
			s := start(t, func(cfg *Config) { cfg.Listeners[0].Addr, cfg.Workers = c.listener, 2 })
			port := s.Addrs()[0].Port()
			for _, a := range s.Addrs() {
				if a.Port() != port || port == 0 {
					t.Errorf("bound %v", s.Addrs())
				}
			}
			for _, at := range c.at {
				for _, network := range []string{"udp", "tcp"} {
					// A connected socket takes answers only from where it asked.
					conn, err := net.Dial(network, netip.AddrPortFrom(netip.MustParseAddr(at), port).String())
					if err != nil {
						t.Fatal(err)
					}
					defer conn.Close()
					_ = conn.SetDeadline(time.Now().Add(patience))
					for _, packet := range [][]byte{fast, slow} {
						var reply []byte
						if network == "tcp" {
							writeFrame(t, conn, packet)
							reply = readFrame(t, conn)
						} else {
							if _, err := conn.Write(packet); err != nil {
								t.Fatal(err)
							}
							buf := make([]byte, 1500)
							n, err := conn.Read(buf)
							if err != nil {
								t.Fatalf("%s %s: %v", network, at, err)
							}
							reply = buf[:n]
						}
						if got := describe(t, reply); !strings.HasPrefix(got, "NOERROR") {
							t.Error(got)
						}
					}
				}
			}
		})
	}
}

// TestListen: what cannot be bound is an error at start, and leaves nothing.
func TestListen(t *testing.T) {
	first := start(t)
	taken := first.Addrs()[0].String()
	for _, c := range []struct {
		listeners []Listener
		want      string
	}{
		{[]Listener{{Addr: "127.0.0.1:0"}, {Addr: taken}}, "address already in use"},
		{[]Listener{{Addr: "localhost:0"}}, "want an address, or none for all"},
		{[]Listener{{Addr: "127.0.0.1:nope"}}, "unknown port"},
		{[]Listener{{Addr: "192.0.2.1:0"}}, "cannot assign requested address"},
	} {
		s := newServer(t, func(cfg *Config) { cfg.Listeners = c.listeners })
		if err := s.Listen(); err == nil || !strings.HasPrefix(err.Error(), "authdns: ") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v, want %s", c.listeners, err, c.want)
		}
		if len(s.Addrs()) != 0 || len(s.sockets) != 0 {
			t.Errorf("%v: bound %v", c.listeners, s.Addrs())
		}
		if err := s.Run(t.Context()); err == nil {
			t.Errorf("%v: Run without Listen", c.listeners)
		}
	}
}

func TestConfigErrors(t *testing.T) {
	for _, c := range []struct {
		change func(*Config)
		want   string
	}{
		{func(c *Config) { c.Zone = nil }, "authdns: no zone"},
		{
			func(c *Config) { c.ID, c.Version, c.Listeners = "a\n", strings.Repeat("x", 256), nil },
			"authdns: id \"a\\n\": want at most 64 printable bytes\nversion \"" + strings.Repeat("x", 256) + "\": want at most 255 printable bytes\nno listeners",
		},
		{
			func(c *Config) { c.Listeners = []Listener{{Addr: "127.0.0.1"}, {Addr: ":853", TLS: true}} },
			"authdns: listener \"127.0.0.1\": want host:port or :port\nlistener :853: TLS needs a certificate",
		},
		{func(c *Config) { c.Responses.PerSecond = -1 }, "authdns: response limit: want up to 1,000,000 answers a second, and no negative numbers"},
		{func(c *Config) { c.Probe = "a..b" }, "authdns: probe zone: \"a..b\" is not a domain name: dns: bad rdata"},
	} {
		cfg := exampleConfig(t)
		c.change(&cfg)
		if _, err := newServerOf(cfg); err == nil || err.Error() != c.want {
			t.Errorf(" got %v\nwant %s", err, c.want)
		}
	}
}

// TestMetrics: after every query, what counts it has gone up by one.
func TestMetrics(t *testing.T) {
	cfg := exampleConfig(t)
	reg := prometheus.NewPedanticRegistry()
	s, err := New(cfg, discard, reg)
	if err != nil {
		t.Fatal(err)
	}
	gathered := make(chan struct{})
	go func() { // while it starts
		defer close(gathered)
		for range 50 {
			if _, err := reg.Gather(); err != nil {
				t.Error(err)
			}
		}
	}()
	run(t, s)
	<-gathered
	for _, c := range []struct {
		packet []byte
		want   string
	}{
		{ask("www.example.net", dns.TypeA).pack(), `catchment_dns_queries_total{udp,A} catchment_dns_answers_total{NOERROR,udp} catchment_dns_tailored_answers_total{both,www.example.net}`},
		{ask("www.example.net", dns.TypeAAAA).edns(ecs("198.51.100.0/25")).pack(), `catchment_dns_queries_total{udp,AAAA} catchment_dns_answers_total{NOERROR,udp} catchment_dns_tailored_answers_total{only4,www.example.net} catchment_dns_ecs_queries_total{}`},
		{ask("nope.example.net", dns.TypeMX).pack(), `catchment_dns_queries_total{udp,MX} catchment_dns_answers_total{NXDOMAIN,udp}`},
		{ask("large.example.net", dns.TypeTXT).pack(), `catchment_dns_queries_total{udp,TXT} catchment_dns_answers_total{NOERROR,udp} catchment_dns_truncated_total{}`},
		{ask("www.example.net", dns.TypeA).opt(512, 1, 0).pack(), `catchment_dns_queries_total{udp,A} catchment_dns_answers_total{BADVERS,udp} catchment_dns_slow_queries_total{}`},
		{(&packetOf{}).pack(), `catchment_dns_queries_total{udp,none} catchment_dns_answers_total{FORMERR,udp} catchment_dns_slow_queries_total{}`},
	} {
		before := counters(t, reg)
		askUDP(t, s, c.packet)
		var after map[string]float64
		waitFor(t, func() bool {
			after = counters(t, reg)
			return after["catchment_dns_answer_bytes_total{}"] > before["catchment_dns_answer_bytes_total{}"]
		})
		want := map[string]bool{}
		for name := range strings.FieldsSeq(c.want) {
			want[name] = true
		}
		for name, v := range after {
			if name == "catchment_dns_answer_bytes_total{}" || strings.Contains(name, "_seconds") {
				continue
			}
			if d := v - before[name]; d != 0 != want[name] || d > 1 {
				t.Errorf("%x: %s went up by %v", c.packet, name, d)
			}
			delete(want, name)
		}
		for name := range want {
			t.Errorf("%s is not there", name)
		}
	}
}

func counters(t *testing.T, reg prometheus.Gatherer) map[string]float64 {
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetValue())
			}
			if m.GetCounter() != nil {
				all[f.GetName()+"{"+strings.Join(labels, ",")+"}"] = m.GetCounter().GetValue()
			}
		}
	}
	return all
}
