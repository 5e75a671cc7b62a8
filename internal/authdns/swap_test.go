package authdns

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// version returns a zone and a state that are unlike those of any other n:
// every answer tells which it is of.
func version(t testing.TB, n int) (*Zone, State) {
	t.Helper()
	zone := parseZone(t, fmt.Sprintf(`
@ 60 SOA ns hostmaster %d 7200 900 1209600 300
@ 60 NS ns.example.org.
static 60 A 198.51.100.%d
*.wild 60 TXT "%d"
`, n, n, n))
	addr := addrs(fmt.Sprintf("192.0.2.%d", n))
	steering := exampleSteering()
	steering.names = []Tailored{
		{"www.example.net", time.Duration(n) * time.Second, []Answer{{"one", addr, nil}}},
		{"global-*.probe.example.net", time.Duration(n) * time.Second, []Answer{{"one", addr, nil}}},
	}
	return zone, State{Steering: steering}
}

var swapQueries = [][]byte{
	ask("www.example.net", dns.TypeA).edns(ecs("192.0.2.0/24")).pack(),
	ask("static.example.net", dns.TypeAAAA).pack(), // the SOA
	ask("static.example.net", dns.TypeA).pack(),
	ask("nope.example.net", dns.TypeA).pack(),
	ask("x.wild.example.net", dns.TypeTXT).pack(),
	ask("global-1.probe.example.net", dns.TypeA).pack(),
	ask("whoami.example.net", dns.TypeSOA).pack(),
	ask("example.net", dns.TypeRRSIG).edns().pack(), // slow
}

// TestSwapUnderLoad replaces the snapshot over and over while clients ask, over
// UDP and TCP: every query is answered, and every answer is whole, of one
// version or another that was in use since its query.
func TestSwapUnderLoad(t *testing.T) {
	versions := 100
	if raceEnabled {
		versions = 20
	}
	whole := make([]map[string]int, len(swapQueries)) // answer → version
	for i := range whole {
		whole[i] = map[string]int{}
	}
	zones, states := make([]*Zone, versions), make([]State, versions)
	for n := range versions {
		zones[n], states[n] = version(t, n+1)
		s := newServer(t, func(c *Config) { c.Zone, c.State = zones[n], states[n] })
		for i, q := range swapQueries {
			reply, _ := answerOf(s, q, overUDP, localhost, testTime)
			whole[i][string(reply[2:])] = n
		}
	}
	if len(whole[0]) != versions || len(whole[3]) != versions {
		t.Fatal("versions answer alike")
	}
	// Both parts of a version change at once: the zone is that of version 0 or
	// the state is, until both are replaced. Each counts on its own.
	s := start(t, func(c *Config) { c.Zone, c.State, c.Workers = zones[0], states[0], 2 })
	var begun, done atomic.Int64 // versions of which a swap has begun, is done
	ctx, cancel := context.WithCancel(context.Background())
	var clients sync.WaitGroup
	var asked atomic.Int64
	answered := make(chan struct{}) // each window, if someone waits
	for client := range 4 {
		clients.Go(func() {
			network := "udp"
			if client == 3 {
				network = "tcp"
			}
			conn, err := net.Dial(network, s.Addrs()[0].String())
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			if err := askAll(ctx, conn, network == "tcp", &begun, &done, whole, &asked, answered); err != nil {
				t.Errorf("over %s: %v", network, err)
			}
		})
	}
	for n := 1; n < versions; n++ {
		begun.Store(int64(n))
		if err := errors.Join(s.SetZone(zones[n]), s.SetState(states[n])); err != nil {
			t.Error(err)
		}
		done.Store(int64(n))
		for range 8 {
			select {
			case <-answered:
			case <-time.After(patience):
				t.Fatal("no answers")
			}
		}
	}
	cancel()
	clients.Wait()
	t.Logf("%d queries, none lost, over %d swaps", asked.Load(), s.swaps.Load())
}

// askAll keeps a window of queries under way until ctx is done, and checks
// each answer.
func askAll(ctx context.Context, conn net.Conn, framed bool, begun, done *atomic.Int64, whole []map[string]int, asked *atomic.Int64, answered chan<- struct{}) error {
	const window = 16
	buf := make([]byte, 4096)
	for ctx.Err() == nil {
		first := done.Load()
		for i := range window {
			packet := bytes.Clone(swapQueries[i%len(swapQueries)])
			binary.BigEndian.PutUint16(packet, uint16(i))
			if framed {
				packet = frame(packet)
			}
			if _, err := conn.Write(packet); err != nil {
				return err
			}
		}
		_ = conn.SetReadDeadline(time.Now().Add(patience))
		var seen [window]bool
		for range window {
			var reply []byte
			if framed {
				var err error
				if reply, err = frameFrom(conn); err != nil {
					return err
				}
			} else {
				n, err := conn.Read(buf)
				if err != nil {
					return fmt.Errorf("lost: %w", err)
				}
				reply = buf[:n]
			}
			i := int(binary.BigEndian.Uint16(reply))
			if i >= window || seen[i] {
				return fmt.Errorf("answer %x, which nobody asked for", reply)
			}
			seen[i] = true
			n, ok := whole[i%len(swapQueries)][string(reply[2:])]
			if last := begun.Load(); !ok || int64(n) < first || int64(n) > last {
				return fmt.Errorf("answer %x is of version %d (known: %v), between %d and %d", reply, n, ok, first, last)
			}
			asked.Add(1)
		}
		select {
		case answered <- struct{}{}:
		default:
		}
	}
	return nil
}

// TestSwapsKeepNothing: the heap after many swaps is what it was after few.
func TestSwapsKeepNothing(t *testing.T) {
	s := newServer(t, signed(t))
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	swap := func(count int) {
		for i := range count {
			state := State{Steering: exampleSteering()}
			names := state.Steering.(*table).names
			names[0].Answers = append([]Answer{{"x", addrs(fmt.Sprintf("192.0.2.%d", i%200)), nil}}, names[0].Answers...)
			if err := s.SetState(state); err != nil {
				t.Fatal(err)
			}
		}
	}
	swap(5)
	before := heap()
	swap(100)
	if grown := heap() - before; grown > 1<<20 {
		t.Errorf("the heap grew by %d bytes", grown)
	}
	runtime.KeepAlive(s)
}

// TestRefusedSwaps: what does not suit the zone changes nothing, and counts.
func TestRefusedSwaps(t *testing.T) {
	s := newServer(t)
	packet := ask("www.example.net", dns.TypeA).pack()
	before, _ := answerOf(s, packet, overUDP, localhost, testTime)
	bad := exampleSteering()
	bad.names = []Tailored{{"www.example.org", 0, []Answer{{}}}, {"static.example.net", 0, []Answer{{}}}}
	err := s.SetState(State{Steering: bad})
	if err == nil || !strings.Contains(err.Error(), "www.example.org is not in the zone") {
		t.Errorf("SetState: %v", err)
	}
	taken := parseZone(t, smallZone+"www CNAME x\n")
	if err := s.SetZone(taken); err == nil || !strings.Contains(err.Error(), "www.example.net. is tailored") {
		t.Errorf("SetZone: %v", err)
	}
	other, err := ParseZone(strings.NewReader(smallZone), "example.org", "zone")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.SetZone(other); err == nil || err.Error() != "authdns: the zone is example.org., and was example.net." {
		t.Errorf("SetZone: %v", err)
	}
	if after, _ := answerOf(s, packet, overUDP, localhost, testTime); !bytes.Equal(before, after) {
		t.Errorf("answers changed:\n%x\n%x", before, after)
	}
	// A good state after a bad one is taken, with the zone as it was.
	if err := s.SetState(State{}); err != nil {
		t.Error(err)
	}
	if got, _ := answerOf(s, packet, overUDP, localhost, testTime); describe(t, got) != "NOERROR qr aa | www.example.net. IN A | ns: example.net. 300 SOA 2026010101" {
		t.Error(describe(t, got))
	}
}

// TestChallenges: TXT sets beside the zone file, and what must not get in.
func TestChallenges(t *testing.T) {
	s := newServer(t, signed(t))
	state := State{Steering: exampleSteering(), Challenges: []Challenge{
		{"_acme-challenge.www.example.net", []string{"token-1", "token-2"}},
		{"_acme-challenge.static.example.net.", []string{`a "quoted\" one`}},
		{"a-only.example.net", []string{"beside an address"}},
		{"_acme-challenge.example.org", []string{"elsewhere"}},
		{"_acme-challenge.glued.example.net", []string{"delegated"}},
		{"alias.example.net", []string{"a CNAME"}},
		{"whoami.example.net", []string{"whoami"}},
		{"_acme-challenge.mail.example.net", []string{"short", strings.Repeat("x", 256)}},
		{"a..b", []string{"no name"}},
	}}
	if err := s.SetState(state); err != nil {
		t.Fatal(err)
	}
	snap := s.current.Load()
	var left []string
	for _, err := range snap.leftOut {
		left = append(left, err.Error())
	}
	want := []string{
		"challenge _acme-challenge.example.org: is not in the zone",
		"challenge _acme-challenge.glued.example.net: is delegated by glued.example.net.",
		"challenge alias.example.net: is taken",
		"challenge whoami.example.net: is taken",
		"challenge _acme-challenge.mail.example.net: a value has 256 bytes (want at most 255)",
		`challenge a..b: "a..b" is not a domain name: dns: bad rdata`,
	}
	if fmt.Sprint(left) != fmt.Sprint(want) {
		t.Errorf("left out:\n%s\nwant\n%s", strings.Join(left, "\n"), strings.Join(want, "\n"))
	}
	v := newValidator(t, s, time.Now())
	for qname, want := range map[string]string{
		"_acme-challenge.www.example.net.":    `"token-1" "token-2"`,
		"_acme-challenge.static.example.net.": `"a \"quoted\\\" one"`,
		"a-only.example.net.":                 `"beside an address"`,
		"_acme-challenge.mail.example.net.":   "", // all of it or nothing
		"www.example.net.":                    `"beside"`,
	} {
		m := askSigned(t, s, qname, dns.TypeTXT, v.now)
		if _, err := v.validate(m); err != nil {
			t.Error(err)
		}
		var got []string
		for _, rr := range m.Answer {
			if x, ok := rr.(*dns.TXT); ok {
				_, text, _ := strings.Cut(x.String(), "TXT\t")
				got = append(got, text)
				if x.Hdr.Ttl > challengeTTL && x.Hdr.Ttl != 3600 {
					t.Errorf("%s: TTL %d", qname, x.Hdr.Ttl)
				}
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %s, want %s", qname, got, want)
		}
	}
	// The next state is without them.
	if err := s.SetState(State{Steering: exampleSteering()}); err != nil {
		t.Fatal(err)
	}
	if m := askSigned(t, s, "_acme-challenge.www.example.net.", dns.TypeTXT, time.Now()); m.Rcode != dns.RcodeNameError {
		t.Errorf("%v", m)
	}
}
