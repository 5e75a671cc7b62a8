package beacon

import (
	"math"
	"net/netip"
	"time"

	"catchment/internal/edge"
)

// askedDecoder decodes what name servers hand in. It accepts either an array
// or one object after another, as lines; every field known and there once. What
// it returns is valid until the next call.
type askedDecoder struct {
	Decoder
	all []edge.Asked
}

// decode returns the queries in body, MaxAsked at most. Addresses are cut. The
// error is an *Error whose field begins with the number of the query, from 0.
func (d *askedDecoder) decode(body []byte) ([]edge.Asked, error) {
	d.all = d.all[:0]
	d.reset(body)
	if d.peek() == '[' {
		var a array
		for d.element(&a, MaxAsked) {
			d.asked()
		}
	} else {
		for n := 0; d.peek() != 0; n++ {
			d.depth, d.way[0] = 1, step{index: n}
			if n == MaxAsked {
				d.fail(ReasonCount, "is one too many")
				break
			}
			d.asked()
		}
		d.depth = 0
	}
	d.end()
	d.in = nil // the caller's again
	if d.err != nil {
		return nil, d.err
	}
	return d.all, nil
}

func (d *askedDecoder) asked() {
	const (
		fNonce = 1 << iota
		fLabel
		fAt
		fResolver
		fClient
	)
	var (
		a edge.Asked
		o object
	)
	for d.field(&o) {
		switch string(o.key) {
		case "nonce":
			d.once(&o, fNonce)
			a.Nonce = d.token(maxDNSLabel)
		case "label":
			d.once(&o, fLabel)
			a.Label = d.token(maxDNSLabel)
		case "t":
			d.once(&o, fAt)
			a.At = time.Unix(d.integer(math.MaxUint32), 0).UTC()
		case "resolver":
			d.once(&o, fResolver)
			if a.Resolver = cutAsked(d.prefix()); a.Resolver.Bits() == 0 && d.err == nil {
				d.fail(ReasonRange, "want some bits of the address")
			}
		case "client":
			d.once(&o, fClient)
			a.Client = cutAsked(d.prefix())
		default:
			d.fail(ReasonUnknown, "no such field")
		}
	}
	d.need(&o, fNonce, "nonce")
	d.need(&o, fLabel, "label")
	d.need(&o, fAt, "t")
	d.need(&o, fResolver, "resolver")
	d.all = append(d.all, a)
}

const maxDNSLabel = 63 // bytes (RFC 1035, section 2.3.4)

// cutAsked enforces what name servers have done already: no address leaves
// them with more than 24 or 48 bits.
func cutAsked(p netip.Prefix) netip.Prefix { return Prefixes{V4: 24, V6: 48}.cut(p) }
