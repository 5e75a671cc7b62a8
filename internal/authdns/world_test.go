package authdns

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"log/slog"
	"math/big"
	"math/bits"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"
)

// table is a Steering that decides by a list of prefixes, the same for every
// name.
type table struct {
	names []Tailored
	rows  []row
}

// row says which answer a prefix gets.
type row struct {
	prefix netip.Prefix
	answer uint32
}

func (t *table) Names() []Tailored { return t.names }

// Lookup finds the longest prefix. The scope is as short as it can be: no row
// but the one that was found begins within it.
func (t *table) Lookup(name int, _, client netip.Addr) (answer uint32, scope uint8) {
	client = client.Unmap()
	at := 0
	for _, r := range t.rows {
		same := commonBits(r.prefix.Addr(), client)
		switch {
		case same >= r.prefix.Bits() && r.prefix.Bits() >= at:
			answer, at = r.answer, r.prefix.Bits()
			scope = max(scope, uint8(at))
		case same >= 0 && same < r.prefix.Bits():
			scope = max(scope, uint8(same+1))
		}
	}
	return answer % uint32(len(t.names[name].Answers)), scope
}

// commonBits returns how many leading bits two addresses share, −1 if they are
// of different families.
func commonBits(a, b netip.Addr) int {
	if a.Is4() != b.Is4() {
		return -1
	}
	x, y := a.As16(), b.As16()
	n := 0
	for i := 0; i < 16; i += 8 {
		d := binary.BigEndian.Uint64(x[i:]) ^ binary.BigEndian.Uint64(y[i:])
		n += bits.LeadingZeros64(d)
		if d != 0 {
			break
		}
	}
	if a.Is4() {
		n -= 96
	}
	return n
}

func (t *table) Explain(name int, resolver, client netip.Addr) string {
	answer, scope := t.Lookup(name, resolver, client)
	return fmt.Sprintf("%s\n for \"%s\"/%d", t.names[name].Answers[answer].Label, client, scope)
}

// Answers of the tailored names of the tests, by index.
const (
	both = iota // A and AAAA
	only4
	only6
	none
)

func addrs(texts ...string) (all []netip.Addr) {
	for _, t := range texts {
		all = append(all, netip.MustParseAddr(t))
	}
	return all
}

// exampleSteering tailors www, bare.sub, and two probe names.
func exampleSteering() *table {
	answers := []Answer{
		{"both", addrs("192.0.2.10", "192.0.2.11"), addrs("2001:db8:a::10")},
		{"only4", addrs("192.0.2.20"), nil},
		{"only6", nil, addrs("2001:db8:a::20")},
		{"none", nil, nil},
	}
	return &table{
		names: []Tailored{
			{"www.example.net", 60 * time.Second, answers},
			{"bare.sub.example.net", 30 * time.Second, answers[:2]},
			{"global-*.probe.example.net", 5 * time.Second, answers[:1]},
			{"pop-iad-*.probe.example.net", 5 * time.Second, answers[1:2]},
		},
		rows: []row{
			{netip.MustParsePrefix("0.0.0.0/0"), both},
			{netip.MustParsePrefix("::/0"), both},
			{netip.MustParsePrefix("198.51.100.0/24"), only4},
			{netip.MustParsePrefix("198.51.100.128/25"), both},
			{netip.MustParsePrefix("203.0.113.0/24"), only6},
			{netip.MustParsePrefix("203.0.113.64/26"), none},
			{netip.MustParsePrefix("2001:db8::/32"), only4},
			{netip.MustParsePrefix("2001:db8:8000::/33"), only6},
		},
	}
}

func exampleZone(t testing.TB) *Zone {
	t.Helper()
	f, err := os.Open("testdata/example.net.zone")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := ParseZone(f, "example.net", "example.net.zone")
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func parseZone(t testing.TB, text string) *Zone {
	t.Helper()
	z, err := ParseZone(strings.NewReader(text), "example.net", "zone")
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// smallZone is the least that a zone needs.
const smallZone = `
@ 3600 SOA ns hostmaster 1 7200 900 1209600 300
@ 3600 NS ns.example.org.
`

const exampleSecret = "e5e973e5a6b2a43f48e7dc849e37bfcf" // of RFC 9018, appendix A.1

func exampleConfig(t testing.TB) Config {
	t.Helper()
	secrets, err := ParseCookieSecrets([]byte(exampleSecret))
	if err != nil {
		t.Fatal(err)
	}
	return Config{
		ID: "iad-1", Version: "catchment 1.0",
		Listeners: []Listener{{Addr: "127.0.0.1:0"}},
		Zone:      exampleZone(t), Probe: "probe.example.net",
		State:   State{Steering: exampleSteering()},
		Cookies: secrets,
		Workers: 1,
	}
}

// newServer makes a server that does not listen.
func newServer(t testing.TB, change ...func(*Config)) *Server {
	t.Helper()
	cfg := exampleConfig(t)
	for _, f := range change {
		f(&cfg)
	}
	s, err := newServerOf(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newServerOf(cfg Config) (*Server, error) {
	return New(cfg, discard, prometheus.NewRegistry())
}

var discard = slog.New(slog.DiscardHandler)

// start runs a server until the test ends.
func start(t testing.TB, change ...func(*Config)) *Server {
	t.Helper()
	s := newServer(t, change...)
	run(t, s)
	return s
}

func run(t testing.TB, s *Server) {
	t.Helper()
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(10 * time.Second):
			t.Error("Run does not return")
		}
	})
}

// patience bounds waiting for what must come.
const patience = 10 * time.Second

// dial connects to a listener of s: 0 is the first.
func dial(t testing.TB, s *Server, network string, listener int) net.Conn {
	t.Helper()
	conn, err := net.Dial(network, s.Addrs()[listener].String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	return conn
}

// askUDP sends a packet and returns the answer.
func askUDP(t testing.TB, s *Server, packet []byte) []byte {
	t.Helper()
	conn := dial(t, s, "udp", 0)
	defer conn.Close()
	if _, err := conn.Write(packet); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 1<<16)
	n, err := conn.Read(buf)
	if err != nil {
		t.Fatalf("no answer to %x: %v", packet, err)
	}
	return buf[:n]
}

// askTCP sends a packet on a connection of its own and returns the answer.
func askTCP(t testing.TB, s *Server, packet []byte) []byte {
	t.Helper()
	conn := dial(t, s, "tcp", 0)
	defer conn.Close()
	writeFrame(t, conn, packet)
	return readFrame(t, conn)
}

func frame(packet []byte) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(packet))), packet...)
}

func writeFrame(t testing.TB, conn net.Conn, packet []byte) {
	t.Helper()
	if _, err := conn.Write(frame(packet)); err != nil {
		t.Fatal(err)
	}
}

func readFrame(t testing.TB, conn net.Conn) []byte {
	t.Helper()
	packet, err := frameFrom(conn)
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	return packet
}

// answerOf answers a packet without a socket, as if it came from peer, and
// tells whether the fast path did. Nil: no answer.
func answerOf(s *Server, packet []byte, via transport, peer netip.Addr, now time.Time) (reply []byte, fast bool) {
	a := &answerer{Server: s, via: via, peer: peer, now: now, snap: s.current.Load(), stats: s.stats}
	v := a.parse(packet)
	if v == wellFormed {
		if reply, fast = a.fast(nil); fast {
			return reply, true
		}
	}
	return a.slow(nil, v), false
}

var (
	localhost = netip.MustParseAddr("127.0.0.1")
	testTime  = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
)

// packetOf packs a query by hand: nothing of what is tested, and nothing that
// corrects what we get wrong on purpose.
type packetOf struct {
	flags  uint16
	counts [4]uint16
	body   []byte
}

// ask begins a query for a name and a type, class IN.
func ask(qname string, qtype uint16) *packetOf { return (&packetOf{}).question(qname, qtype, classIN) }

func wireName(text string) []byte {
	var buf [300]byte
	n, err := dns.PackDomainName(dns.Fqdn(text), buf[:], 0, nil, false)
	if err != nil {
		panic(err) // of a test's own constant
	}
	return buf[:n]
}

func (p *packetOf) question(qname string, qtype, class uint16) *packetOf {
	p.counts[0]++
	return p.raw(wireName(qname)).numbers(qtype, class)
}

func (p *packetOf) raw(b []byte) *packetOf {
	p.body = append(p.body, b...)
	return p
}

func (p *packetOf) numbers(all ...uint16) *packetOf {
	for _, n := range all {
		p.body = binary.BigEndian.AppendUint16(p.body, n)
	}
	return p
}

// opt adds an OPT record; upper is extended RCODE and version, lower the flags.
func (p *packetOf) opt(size, upper, lower uint16, options ...[]byte) *packetOf {
	p.counts[3]++
	data := bytes.Join(options, nil)
	return p.raw([]byte{0}).numbers(typeOPT, size, upper, lower, uint16(len(data))).raw(data)
}

// edns adds the OPT record that most queries have.
func (p *packetOf) edns(options ...[]byte) *packetOf { return p.opt(1232, 0, 0, options...) }

// signed adds an OPT record with DO.
func (p *packetOf) signed(options ...[]byte) *packetOf { return p.opt(1232, 0, 0x8000, options...) }

func (p *packetOf) flag(flags uint16) *packetOf { p.flags |= flags; return p }

func (p *packetOf) count(section int, n uint16) *packetOf { p.counts[section] = n; return p }

func (p *packetOf) pack() []byte {
	b := []byte{0xCA, 0xFE}
	for _, n := range append([]uint16{p.flags}, p.counts[:]...) {
		b = binary.BigEndian.AppendUint16(b, n)
	}
	return append(b, p.body...)
}

// option packs an EDNS option whose data is given in hexadecimal digits.
func option(code uint16, digits string) []byte {
	data := unhex(digits)
	b := binary.BigEndian.AppendUint16(nil, code)
	return append(binary.BigEndian.AppendUint16(b, uint16(len(data))), data...)
}

func unhex(digits string) []byte {
	data, err := hex.DecodeString(strings.ReplaceAll(digits, " ", ""))
	if err != nil {
		panic(err) // of a test's own constant
	}
	return data
}

// ecs packs a client subnet.
func ecs(prefix string) []byte {
	p := netip.MustParsePrefix(prefix)
	family, b := "0001", p.Addr().AsSlice()
	if p.Addr().Is6() {
		family = "0002"
	}
	return option(optECS, fmt.Sprintf("%s%02x00%x", family, p.Bits(), b[:(p.Bits()+7)/8]))
}

// describe tells all of an answer in a line:
//
//	RCODE flags | question | answer | authority | additional | OPT
//
// Sections that are empty, and an OPT that is not there, are left out.
func describe(t testing.TB, reply []byte) string {
	t.Helper()
	if len(reply) < headerLen {
		t.Fatalf("answer of %d bytes", len(reply))
	}
	if reply[0] != 0xCA || reply[1] != 0xFE {
		t.Errorf("answer with ID %x", reply[:2])
	}
	var m dns.Msg
	if err := m.Unpack(reply); err != nil {
		t.Fatalf("answer %x: %v", reply, err)
	}
	var b strings.Builder
	name := dns.RcodeToString[m.Rcode] // with the upper bits
	if m.Rcode == dns.RcodeBadVers {
		name = "BADVERS" // shares its number with BADSIG
	}
	b.WriteString(name)
	for _, f := range []struct {
		set  bool
		name string
	}{
		{m.Response, "qr"},
		{m.Authoritative, "aa"},
		{m.Truncated, "tc"},
		{m.RecursionDesired, "rd"},
		{m.RecursionAvailable, "ra"},
		{m.Zero, "z"},
		{m.AuthenticatedData, "ad"},
		{m.CheckingDisabled, "cd"},
	} {
		if f.set {
			b.WriteString(" " + f.name)
		}
	}
	if m.Opcode != 0 {
		b.WriteString(" " + dns.OpcodeToString[m.Opcode])
	}
	for _, q := range m.Question {
		fmt.Fprintf(&b, " | %s %s %s", q.Name, dns.Class(q.Qclass), dns.Type(q.Qtype))
	}
	section := func(label string, rrs []dns.RR) {
		var texts []string
		for _, rr := range rrs {
			h := rr.Header()
			if h.Rrtype == dns.TypeOPT {
				continue
			}
			data := strings.TrimPrefix(rr.String(), h.String())
			switch rr := rr.(type) {
			case *dns.RRSIG:
				data = dns.TypeToString[rr.TypeCovered]
			case *dns.SOA:
				data = fmt.Sprint(rr.Serial)
			}
			texts = append(texts, fmt.Sprintf("%s %d %s %s", h.Name, h.Ttl, dns.Type(h.Rrtype), data))
		}
		if len(texts) > 0 {
			b.WriteString(" | " + label + ": " + strings.Join(texts, ", "))
		}
	}
	section("an", m.Answer)
	section("ns", m.Ns)
	section("ar", m.Extra)
	if text := describeOPT(t, reply, &m); text != "" {
		b.WriteString(" | " + text)
	}
	return b.String()
}

// describeOPT tells an OPT record in the bytes that it has.
func describeOPT(t testing.TB, reply []byte, m *dns.Msg) string {
	t.Helper()
	o := m.IsEdns0()
	if o == nil {
		return ""
	}
	if len(m.Extra) == 0 || m.Extra[len(m.Extra)-1] != dns.RR(o) {
		t.Error("OPT is not the last record")
	}
	if o.UDPSize() != maxUDP {
		t.Errorf("OPT says %d bytes", o.UDPSize())
	}
	var text strings.Builder
	fmt.Fprintf(&text, "opt%d", o.Version())
	if o.Do() {
		text.WriteString(" do")
	}
	if z := o.Hdr.Ttl & 0x7FFF; z != 0 {
		fmt.Fprintf(&text, " z%04x", z)
	}
	for _, data := range optionsOf(t, reply) {
		code := binary.BigEndian.Uint16(data)
		name := map[uint16]string{optNSID: "nsid", optECS: "ecs", optCookie: "cookie", optEDE: "ede", optKeepalive: "keepalive", optPadding: "padding"}[code]
		fmt.Fprintf(&text, " %s:%x", name, data[4:])
	}
	return text.String()
}

// optionsOf returns the options of the OPT record at the end of an answer.
func optionsOf(t testing.TB, reply []byte) (all [][]byte) {
	t.Helper()
	at, _ := questionEnd(reply)
	records := 0
	for i := 6; i < headerLen; i += 2 {
		records += int(binary.BigEndian.Uint16(reply[i:]))
	}
	for range records {
		start, rtype, next := record(reply, at)
		if next < 0 {
			t.Fatalf("answer %x: cut off", reply)
		}
		at = next
		if rtype != typeOPT {
			continue
		}
		for data := reply[start+10 : next]; len(data) > 0; {
			n := 4 + int(binary.BigEndian.Uint16(data[2:]))
			all = append(all, data[:n])
			data = data[n:]
		}
	}
	return all
}

func questionEnd(m []byte) (end int, ok bool) {
	at := headerLen
	if binary.BigEndian.Uint16(m[4:]) == 0 {
		return at, true
	}
	for at < len(m) && m[at] != 0 {
		at += 1 + int(m[at])
	}
	return at + 5, at+5 <= len(m)
}

// certificate makes one for 127.0.0.1.
var certificate = sync.OnceValues(func() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
})

// overTLSToo adds a second listener, for TLS.
func overTLSToo(t testing.TB) func(*Config) {
	return func(c *Config) {
		pair, err := certificate()
		if err != nil {
			t.Fatal(err)
		}
		c.Certificates = []tls.Certificate{pair}
		c.Listeners = append(c.Listeners, Listener{Addr: "127.0.0.1:0", TLS: true})
	}
}
