package main

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/miekg/dns"
)

// verify checks the signatures of a sample of answers with the keys that the
// server publishes: check only sees that there are some.
func verify(server netip.AddrPort, queries []query) error {
	const sample = 50
	client := &dns.Client{Net: "tcp", Timeout: 2 * time.Second}
	ask := new(dns.Msg)
	ask.SetQuestion(zone+".", dns.TypeDNSKEY)
	ask.SetEdns0(1232, true)
	reply, _, err := client.Exchange(ask, server.String())
	if err != nil {
		return fmt.Errorf("DNSKEY: %w", err)
	}
	keys := map[uint16]*dns.DNSKEY{}
	for _, rr := range reply.Answer {
		if k, ok := rr.(*dns.DNSKEY); ok {
			keys[k.KeyTag()] = k
		}
	}
	client.Net = ""
	for _, q := range queries[:min(sample, len(queries))] {
		var m dns.Msg
		if err := m.Unpack(q.packet); err != nil {
			return err
		}
		m.Id = dns.Id()
		reply, _, err := client.Exchange(&m, server.String())
		if err != nil {
			return fmt.Errorf("client %v: %w", q.client, err)
		}
		var set []dns.RR
		var sig *dns.RRSIG
		for _, rr := range reply.Answer {
			switch rr := rr.(type) {
			case *dns.A:
				set = append(set, rr)
			case *dns.RRSIG:
				sig = rr
			}
		}
		switch {
		case sig == nil || keys[sig.KeyTag] == nil:
			return fmt.Errorf("client %v: no signature of a key that is published", q.client)
		case !sig.ValidityPeriod(time.Now()):
			return fmt.Errorf("client %v: the signature is not valid now", q.client)
		}
		if err := sig.Verify(keys[sig.KeyTag], set); err != nil {
			return fmt.Errorf("client %v: %w", q.client, err)
		}
	}
	return nil
}
