package authdns

import (
	"context"
	"net/netip"

	"github.com/miekg/dns"
)

// logQueue bounds the queries that wait to be logged; more are left out.
const logQueue = 256

// logged is a query of the sample.
type logged struct {
	name      [maxName]byte
	length    uint8
	qtype     uint16
	rcode     uint16
	via       transport
	scope     uint8
	truncated bool
	resolver  netip.Prefix // cut to /24 or /48
	client    netip.Prefix // of ECS, cut as well; not valid: there was none
}

// sample puts one of every Config.LogEvery queries up for the log.
func (a *answerer) sample(r *result, truncated bool) {
	if a.turn++; a.turn < a.cfg.LogEvery {
		return
	}
	a.turn = 0
	l := logged{
		name: a.name, length: uint8(a.length), qtype: a.qtype, rcode: r.rcode, via: a.via,
		scope: r.scope, truncated: truncated,
	}
	cut, is6 := cutAddr(a.peer)
	l.resolver = prefixOf(cut, is6, keptBits(is6))
	if a.present && a.ecs.data != nil {
		cut, is6 = cutAddr(a.ecs.addr)
		l.client = prefixOf(cut, is6, min(a.ecs.source, keptBits(is6)))
	}
	select {
	case a.queries <- l:
	default:
	}
}

// logQueries writes the sample until ctx is done.
func (s *Server) logQueries(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case l := <-s.queries:
			qname := "."
			if l.length > 0 {
				qname = name(l.name[:l.length]).text()
			}
			client := ""
			if l.client.IsValid() {
				client = l.client.String()
			}
			s.log.Info("query", "qname", qname, "qtype", dns.Type(l.qtype).String(), "rcode", dns.RcodeToString[int(l.rcode)],
				"transport", transportNames[l.via], "resolver", l.resolver.String(), "client", client,
				"scope", l.scope, "truncated", l.truncated, "one_of", s.cfg.LogEvery)
		}
	}
}
