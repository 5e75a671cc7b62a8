package authdns

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
)

func allowLocal(c *Config) { c.Transfers = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} }

// transferred has miekg's client fetch a zone.
func transferred(t *testing.T, s *Server, qtype uint16, origin string) (rrs []dns.RR, messages int, err error) {
	t.Helper()
	m := new(dns.Msg)
	m.SetAxfr(origin)
	if qtype == dns.TypeIXFR {
		m.SetIxfr(origin, 1, "ns1.example.net.", "hostmaster.example.net.")
	}
	envelopes, err := (&dns.Transfer{}).In(m, s.Addrs()[0].String())
	if err != nil {
		return nil, 0, err
	}
	for e := range envelopes {
		if e.Error != nil {
			return rrs, messages, e.Error
		}
		rrs = append(rrs, e.RR...)
		messages++
	}
	return rrs, messages, nil
}

func TestTransfer(t *testing.T) {
	s := start(t, allowLocal, signed(t))
	zone := exampleZone(t)
	texts := func(rrs []dns.RR) (all []string) {
		for _, rr := range rrs {
			all = append(all, rr.String())
		}
		slices.Sort(all)
		return all
	}
	for _, qtype := range []uint16{dns.TypeAXFR, dns.TypeIXFR} {
		t.Run(dns.TypeToString[qtype], func(t *testing.T) {
			got, _, err := transferred(t, s, qtype, "example.net.")
			if err != nil {
				t.Fatal(err)
			}
			if len(got) < 2 || got[0].Header().Rrtype != dns.TypeSOA || got[len(got)-1].String() != got[0].String() {
				t.Fatalf("it does not begin and end with the SOA: %d records", len(got))
			}
			if diff := cmp.Diff(texts(zone.records), texts(got[:len(got)-1])); diff != "" {
				t.Error(diff)
			}
		})
	}
	t.Run("of another zone", func(t *testing.T) {
		for _, origin := range []string{"www.example.net.", "example.org.", "probe.example.net."} {
			reply := askTCP(t, s, ask(origin, dns.TypeAXFR).edns().pack())
			if got := describe(t, reply); got != "NOTAUTH qr | "+origin+" IN AXFR | opt0" {
				t.Error(got)
			}
		}
	})
	t.Run("over UDP", func(t *testing.T) {
		if got := describe(t, askUDP(t, s, ask("example.net", dns.TypeAXFR).pack())); got != "REFUSED qr | example.net. IN AXFR" {
			t.Error(got)
		}
	})
	t.Run("between other queries", func(t *testing.T) {
		conn := dial(t, s, "tcp", 0)
		a, _ := numbered(0)
		if _, err := conn.Write(slices.Concat(frame(a), frame(ask("example.net", dns.TypeAXFR).pack()), frame(a))); err != nil {
			t.Fatal(err)
		}
		wantNumbered(t, conn, 0)
		var m dns.Msg
		for soas := 0; soas < 2; {
			if err := m.Unpack(readFrame(t, conn)); err != nil {
				t.Fatal(err)
			}
			for _, rr := range m.Answer {
				if rr.Header().Rrtype == dns.TypeSOA {
					soas++
				}
			}
		}
		wantNumbered(t, conn, 0)
	})
	waitFor(t, func() bool { return s.stats.transfersDone.Load() == 3 }) // counted once sent
}

// TestBigTransfer: a zone that takes many messages arrives whole, several at a
// time; those beyond the limit are refused.
func TestBigTransfer(t *testing.T) {
	var b strings.Builder
	b.WriteString(smallZone)
	const count = 5000
	for i := range count {
		fmt.Fprintf(&b, "n%d 60 TXT %q\n", i, strings.Repeat("x", 100))
	}
	fmt.Fprintf(&b, "big 60 TXT")
	for range 200 {
		fmt.Fprintf(&b, " %q", strings.Repeat("y", 250))
	}
	zone := parseZone(t, b.String()+"\n")
	s := start(t, allowLocal, func(c *Config) { c.Zone, c.Probe, c.State, c.Limits.Transfers = zone, "", State{}, 1 })
	got, messages, err := transferred(t, s, dns.TypeAXFR, "example.net.")
	if err != nil || len(got) != len(zone.records)+1 || messages < 30 {
		t.Errorf("%d records in %d messages: %v", len(got), messages, err)
	}
	s.transfers <- struct{}{} // one is under way
	if _, _, err := transferred(t, s, dns.TypeAXFR, "example.net."); err == nil || !strings.Contains(err.Error(), "bad xfr rcode: 5") {
		t.Errorf("one too many: %v", err)
	}
	<-s.transfers
	if _, _, err := transferred(t, s, dns.TypeAXFR, "example.net."); err != nil {
		t.Error(err)
	}
}

func TestTransferIsRefused(t *testing.T) {
	for name, allow := range map[string][]netip.Prefix{"to all": nil, "to others": {netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("::/0")}} {
		s := start(t, func(c *Config) { c.Transfers = allow })
		for _, qtype := range []uint16{dns.TypeAXFR, dns.TypeIXFR} {
			if rrs, _, err := transferred(t, s, qtype, "example.net."); err == nil || len(rrs) > 0 {
				t.Errorf("refused %s: %d records, %v", name, len(rrs), err)
			}
			got := describe(t, askTCP(t, s, ask("example.net", qtype).edns().pack()))
			if got != "REFUSED qr | example.net. IN "+dns.TypeToString[qtype]+" | opt0 ede:0012" {
				t.Error(got)
			}
		}
	}
}
