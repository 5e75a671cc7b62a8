package authdns

import (
	"encoding/binary"
	"slices"

	"github.com/miekg/dns"
)

// transferSize is how many bytes of records, uncompressed, go into one message
// of a transfer.
const transferSize = 16 << 10

// mayTransfer reports whether the peer may have the zone file.
func (c *tcpConn) mayTransfer() bool {
	for _, p := range c.cfg.Transfers {
		if p.Contains(c.peer) {
			return true
		}
	}
	return false
}

// transfer sends the records of the zone file (AXFR, RFC 5936). IXFR is
// answered in the same way, as RFC 1995, section 4, lets a server do.
func (c *tcpConn) transfer(x *exchange) bool {
	refuse := func(rcode uint16) bool {
		start := len(x.out)
		x.out = append(x.out, 0, 0)
		x.out = x.write(x.out, &result{packed: refused, rcode: rcode, ede: noEDE})
		binary.BigEndian.PutUint16(x.out[start:], uint16(len(x.out)-start-2))
		return true
	}
	if name(x.name[:x.length]) != x.snap.origin {
		return refuse(dns.RcodeNotAuth)
	}
	select {
	case c.transfers <- struct{}{}:
		defer func() { <-c.transfers }()
	default:
		return refuse(dns.RcodeRefused)
	}
	soa := x.snap.records[0]
	msg := dns.Msg{Compress: true}
	msg.Id, msg.Response, msg.Authoritative = binary.BigEndian.Uint16(x.raw), true, true
	msg.Question = []dns.Question{{Name: x.snap.origin.text(), Qtype: x.qtype, Qclass: classIN}}
	size := 0
	send := func() bool {
		wire, err := msg.Pack()
		if err != nil || len(wire) > maxTCP {
			c.log.Error("zone not transferred", "error", err)
			return false
		}
		x.out = binary.BigEndian.AppendUint16(x.out, uint16(len(wire)))
		x.out = append(x.out, wire...)
		msg.Answer, msg.Question, size = msg.Answer[:0], nil, 0
		return c.flush(x)
	}
	for _, rr := range slices.Concat(x.snap.records, []dns.RR{soa}) {
		if size += dns.Len(rr); size > transferSize && len(msg.Answer) > 0 {
			if !send() {
				return false
			}
			size = dns.Len(rr)
		}
		msg.Answer = append(msg.Answer, rr)
	}
	if !send() {
		return false
	}
	c.stats.transfersDone.Add(1)
	return c.deadline(c.cfg.Limits.QueryTimeout)
}
