package beacon

import (
	"math"
	"net/netip"
	"time"

	"catchment/internal/edge"
)

// relayField reads a field that only relays may send.
func (d *Decoder) relayField(b *edge.Beacon, o *object) {
	switch string(o.key) {
	case "client":
		d.once(o, fClient)
		b.Client = d.prefix()
	case "received":
		d.once(o, fReceived)
		b.Received = d.time()
	case "place":
		d.once(o, fPlace)
		d.place(&b.Place)
	case "resolver":
		d.once(o, fResolver)
		d.resolver(&b.Resolver)
	}
}

// prefix reads an address, which is then a prefix of all its bits, or a
// prefix. Host bits are cleared, IPv4 in IPv6 is unwrapped.
func (d *Decoder) prefix() netip.Prefix {
	b := d.str()
	const longest = len("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255/128")
	if len(b) <= longest {
		if a, err := netip.ParseAddr(string(b)); err == nil && a.Zone() == "" {
			a = a.Unmap()
			return netip.PrefixFrom(a, a.BitLen())
		}
		if p, err := netip.ParsePrefix(string(b)); err == nil && !p.Addr().Is4In6() {
			return p.Masked()
		}
	}
	d.fail(ReasonValue, "want an address or a prefix")
	return netip.Prefix{}
}

// Receive times outside of these years are mistakes of unit, not history.
const firstYear, lastYear = 2000, 2199

func (d *Decoder) time() time.Time {
	var t time.Time
	if err := t.UnmarshalText(d.str()); err != nil {
		d.fail(ReasonValue, "want a time such as 2026-11-01T12:00:00.123Z (RFC 3339)")
		return time.Time{}
	}
	t = t.UTC().Truncate(time.Microsecond) // what the store keeps
	if y := t.Year(); y < firstYear || y > lastYear {
		d.fail(ReasonRange, "want a year from 2000 to 2199")
	}
	return t
}

func (d *Decoder) place(p *edge.Place) {
	const (
		fContinent = 1 << iota
		fCountry
		fSubdivision
		fCity
		fASN
		fASName
		fLat
		fLon
	)
	var o object
	for d.field(&o) {
		switch string(o.key) {
		case "continent":
			d.once(&o, fContinent)
			p.Continent = d.code(2)
		case "country":
			d.once(&o, fCountry)
			p.Country = d.code(2)
		case "subdivision":
			d.once(&o, fSubdivision)
			p.Subdivision = d.textOf(16)
		case "city":
			d.once(&o, fCity)
			p.City = d.textOf(128)
		case "asn":
			d.once(&o, fASN)
			p.ASN = uint32(d.integer(math.MaxUint32))
		case "as_name":
			d.once(&o, fASName)
			p.ASName = d.textOf(128)
		case "lat":
			d.once(&o, fLat)
			p.Lat = d.degrees(90)
		case "lon":
			d.once(&o, fLon)
			p.Lon = d.degrees(180)
		default:
			d.fail(ReasonUnknown, "no such field")
		}
	}
}

func (d *Decoder) degrees(limit float64) float64 {
	f := d.number()
	if !(f >= -limit && f <= limit) {
		d.fail(ReasonRange, "want degrees within ±90 of latitude and ±180 of longitude")
	}
	return f
}

func (d *Decoder) resolver(r *edge.Resolver) {
	const (
		fAddr = 1 << iota
		fECS
	)
	var o object
	for d.field(&o) {
		switch string(o.key) {
		case "addr":
			d.once(&o, fAddr)
			r.Addr = d.prefix()
		case "ecs":
			d.once(&o, fECS)
			r.ECS = d.prefix()
		default:
			d.fail(ReasonUnknown, "no such field")
		}
	}
}
