package dns_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// TestAbuse is ten thousand connections that only stay, some that send a byte
// now and then, some that never read, and packets of any kind, all at once.
// Meanwhile whoever asks properly is answered as ever, and what it costs is
// bounded.
func TestAbuse(t *testing.T) {
	const perPrefix = 900 // the server takes 1,000 from one /24
	idle := min(10_000, descriptors(t)-1000)
	if idle < 1000 {
		t.Fatalf("room for %d connections only: raise the limit of open files", idle)
	}
	s := newSite(t)
	server := s.serve("--zone", "testdata/edge.example.zone", "--fleet", "testdata/fleet.yaml", "--places", "testdata/places.csv")
	quiet := s.mustScrape(admin)["process_resident_memory_bytes"]

	for i := range idle {
		s.connect(fmt.Sprintf("10.%d.0.%d", i/perPrefix, 1+i%100))
	}
	s.waitMetric(admin, "catchment_dns_connections", float64(idle), server)
	if got := s.mustScrape(admin)["catchment_dns_connections"]; got != float64(idle) {
		t.Errorf("%v connections are open, want %d", got, idle)
	}

	// One network cannot take what is left.
	const greedy = 1100
	for range greedy {
		s.connect("10.200.0.1")
	}
	s.waitMetric(admin, `catchment_dns_dropped_total{reason="connections"}`, greedy-1000, server)

	stop := make(chan struct{})
	var abuse sync.WaitGroup
	for i := range 100 { // one byte at a time
		c := s.connect(fmt.Sprintf("10.210.0.%d", 1+i))
		query := lookup{name: "www.edge.example", qtype: dns.TypeA}.pack(t)
		query = append(binary.BigEndian.AppendUint16(nil, uint16(len(query))), query...)
		abuse.Go(func() { drip(c, query, stop) })
	}
	for i := range 20 { // questions without end, and no wish for answers
		c := s.connect(fmt.Sprintf("10.220.0.%d", 1+i))
		query := lookup{name: "big.edge.example", qtype: dns.TypeTXT}.pack(t)
		query = append(binary.BigEndian.AppendUint16(nil, uint16(len(query))), query...)
		abuse.Go(func() {
			_ = c.SetWriteDeadline(time.Now().Add(patience))
			for many := slices.Repeat(query, 100); ; {
				if _, err := c.Write(many); err != nil {
					return // cut off, or the test's end
				}
			}
		})
	}
	const packets = 10_000
	for i := range 3 {
		c := s.dial(fmt.Sprintf("10.230.0.%d", 1+i), server4)
		abuse.Go(func() { spray(t, c, packets, rand.New(rand.NewPCG(99, uint64(i)))) })
	}

	var waits []time.Duration
	right := lookup{name: "www.edge.example", qtype: dns.TypeA, subnet: netip.MustParsePrefix("203.0.113.0/24")}
	conn := s.dial("198.51.100.7", server4)
	cutOff := func() bool { return s.mustScrape(admin)[`catchment_dns_dropped_total{reason="timeout"}`] >= 120 }
	for deadline := time.Now().Add(patience); ; {
		for range 20 {
			start := time.Now()
			if a := s.askAll(conn, []lookup{right})[0]; a.addrs != "192.0.2.20" {
				t.Fatalf("%+v", a)
			}
			waits = append(waits, time.Since(start))
		}
		for _, transport := range []string{"+notcp", "+tcp"} {
			if out := s.tool("dig", "@"+server4, "www.edge.example", "+subnet=203.0.113.200/32", transport, "+tries=1", "+time=2"); !strings.Contains(out, "192.0.2.30") {
				t.Fatal(out)
			}
		}
		if cutOff() {
			break
		}
		if time.Now().After(deadline) {
			t.Errorf("slow and deaf clients are not cut off: %v", s.mustScrape(admin).sum(`catchment_dns_dropped_total{reason="timeout"}`))
			break
		}
	}
	close(stop)
	abuse.Wait()

	m := s.mustScrape(admin)
	slices.Sort(waits)
	loud := m["process_resident_memory_bytes"]
	t.Logf("figures: %d idle connections, %d odd packets: answers in %v (median), %v (worst of %d); memory %.0f MiB, %.0f before",
		idle, 3*packets, waits[len(waits)/2].Round(time.Microsecond), waits[len(waits)-1].Round(time.Microsecond), len(waits), loud/(1<<20), quiet/(1<<20))
	if waits[len(waits)/2] > 100*time.Millisecond || waits[len(waits)-1] > 2*time.Second {
		t.Error("whoever asks properly waits")
	}
	if each := (loud - quiet) / float64(idle); each > 40<<10 {
		t.Errorf("%.0f bytes of memory per connection", each)
	}
}

// descriptors raises the limit of open files as far as it goes, for this
// process; the server does that itself.
func descriptors(t *testing.T) int {
	t.Helper()
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		t.Fatal(err)
	}
	l.Cur = l.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		t.Fatal(err)
	}
	return int(min(l.Max, 1<<20))
}

// connect opens a TCP connection from an address to the server.
func (s *site) connect(from string) net.Conn {
	s.t.Helper()
	c, err := s.Dial(&net.Dialer{Timeout: patience, LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}, "tcp", server4+":53")
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = c.Close() })
	return c
}

// drip sends a query byte by byte, too slowly.
func drip(c net.Conn, query []byte, stop chan struct{}) {
	for _, b := range query {
		if _, err := c.Write([]byte{b}); err != nil {
			return
		}
		select {
		case <-stop:
			return
		case <-time.After(300 * time.Millisecond):
		}
	}
}

// spray sends packets that are random, or were queries. What comes back must
// be answers, and not to what was none.
func spray(t *testing.T, c net.Conn, packets int, rng *rand.Rand) {
	var wasAnswer [1 << 16]bool
	query := lookup{name: "www.edge.example", qtype: dns.TypeA, subnet: netip.MustParsePrefix("203.0.113.0/24")}.pack(t)
	var reading sync.WaitGroup
	var mu sync.Mutex
	reading.Go(func() {
		buf := make([]byte, 65535)
		for {
			_ = c.SetReadDeadline(time.Now().Add(time.Second))
			n, err := c.Read(buf)
			if os.IsTimeout(err) {
				return
			}
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			bad := n < 12 || buf[2]&0x80 == 0 || n > 1232 || wasAnswer[binary.BigEndian.Uint16(buf)]
			mu.Unlock()
			if bad {
				t.Errorf("to an odd packet: % x", buf[:n])
				return
			}
		}
	})
	for i := range packets {
		var p []byte
		switch rng.IntN(4) {
		case 0:
			p = make([]byte, rng.IntN(600))
			for j := range p {
				p[j] = byte(rng.Uint32())
			}
		case 1:
			p = slices.Clone(query[:rng.IntN(len(query))])
		default:
			p = slices.Clone(query)
			for range 1 + rng.IntN(4) {
				p[rng.IntN(len(p))] = byte(rng.Uint32())
			}
		}
		if len(p) >= 2 {
			binary.BigEndian.PutUint16(p, uint16(i))
		}
		mu.Lock()
		wasAnswer[uint16(i)] = len(p) > 2 && p[2]&0x80 != 0
		mu.Unlock()
		if _, err := c.Write(p); err != nil {
			t.Error(err)
		}
	}
	reading.Wait()
}
