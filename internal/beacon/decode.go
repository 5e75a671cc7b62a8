package beacon

import (
	"math"

	"catchment/internal/edge"
)

// Form is who sent a beacon, and so what it may contain.
type Form uint8

// The forms of a beacon.
const (
	Public Form = iota // from a browser: says nothing about who or where it is
	Relay              // from a relay or a file: with client and received, maybe place and resolver
)

// Decoder decodes beacons. It accepts a subset of what JSON allows: every
// field known and there once, every number and string within its bounds, every
// name one of the fleet's. What it accepts means to it what it means to any
// other JSON decoder.
//
// A Decoder owns the beacons that it returns, and uses their memory again
// after Reset. Their strings may be kept. Typical beacons cost two allocations,
// for the id and the plan. Not safe for concurrent use.
type Decoder struct {
	Names *Names // never nil

	scanner
	form    Form
	beacons []edge.Beacon
	probes  []edge.Probe
	floats  []float64
	pops    []edge.PoPID
	flags   []string
	refs    []*edge.Beacon

	interned map[string]string
}

// Reset forgets the beacons decoded so far; their memory is used again.
func (d *Decoder) Reset() {
	d.beacons, d.probes, d.floats = d.beacons[:0], d.probes[:0], d.floats[:0]
	d.pops, d.flags = d.pops[:0], d.flags[:0]
}

// Beacons returns what was decoded since Reset, in order. It is valid until
// the next call of any method.
func (d *Decoder) Beacons() []*edge.Beacon {
	d.refs = d.refs[:0]
	for i := range d.beacons {
		d.refs = append(d.refs, &d.beacons[i])
	}
	return d.refs
}

// Body decodes what a browser posts, one beacon or an array of 1 to
// MaxBeacons, and adds them to Beacons, or, on an error, none. The error is an
// *Error. The caller bounds the length of body.
func (d *Decoder) Body(body []byte) error {
	d.form = Public
	d.reset(body)
	n := len(d.beacons)
	if d.peek() == '[' {
		var a array
		for d.element(&a, MaxBeacons) {
			d.beacon()
		}
		if a.n == 0 && d.err == nil {
			d.fail(ReasonMissing, "want at least one beacon")
		}
	} else {
		d.beacon()
	}
	return d.finish(n)
}

// Line decodes one beacon as relays send it and adds it to Beacons. The error
// is an *Error; Beacons is then as before.
func (d *Decoder) Line(line []byte) error {
	d.form = Relay
	d.reset(line)
	n := len(d.beacons)
	d.beacon()
	return d.finish(n)
}

func (d *Decoder) finish(n int) error {
	d.end()
	d.in = nil // the caller's again
	if d.err != nil {
		d.beacons = d.beacons[:n]
		return d.err
	}
	return nil
}

// A bit for each field of an object, to find duplicates and what is missing.
const (
	fV = 1 << iota
	fID
	fPlan
	fTime
	fRate
	fPage
	fProbes
	fNet
	fFlags
	fClient
	fReceived
	fPlace
	fResolver
)

func (d *Decoder) beacon() {
	d.beacons = append(d.beacons, edge.Beacon{})
	b := &d.beacons[len(d.beacons)-1]
	var o object
	for d.field(&o) {
		switch string(o.key) {
		case "v":
			d.once(&o, fV)
			if b.V = int(d.integer(math.MaxInt32)); b.V != 1 && d.err == nil {
				d.fail(ReasonValue, "want 1, the only version there is")
			}
		case "id":
			d.once(&o, fID)
			b.ID = d.token(64)
		case "plan":
			d.once(&o, fPlan)
			b.Plan = d.token(64)
		case "t":
			d.once(&o, fTime)
			b.Time = d.integer(8.64e15) // the last instant that JavaScript knows
		case "rate":
			d.once(&o, fRate)
			if b.Rate = d.number(); !(b.Rate > 0 && b.Rate <= 1) {
				d.fail(ReasonRange, "want a share: more than 0, at most 1")
			}
		case "page":
			d.once(&o, fPage)
			d.page(&b.Page)
		case "probes":
			d.once(&o, fProbes)
			b.Probes = d.probeList()
		case "net":
			d.once(&o, fNet)
			d.net(&b.Net)
		case "flags":
			d.once(&o, fFlags)
			b.Flags = d.flagList(Flags)
		case "client", "received", "place", "resolver":
			if d.form == Public {
				d.fail(ReasonForbidden, "only relays may send this")
				return
			}
			d.relayField(b, &o)
		default:
			d.fail(ReasonUnknown, "no such field")
		}
	}
	d.need(&o, fV, "v")
	d.need(&o, fID, "id")
	d.need(&o, fRate, "rate")
	d.need(&o, fProbes, "probes")
	if d.form == Relay {
		d.need(&o, fClient, "client")
		d.need(&o, fReceived, "received")
	}
}

// need fails if a required field was not read.
func (d *Decoder) need(o *object, bit uint32, name string) {
	if o.seen&bit == 0 && d.err == nil {
		d.failAt(ReasonMissing, name, "is missing")
	}
}

func (d *Decoder) page(p *edge.Page) {
	const (
		fPoP = 1 << iota
		fVIP
		fDNS
		fConnect
		fTLS
		fTTFB
		fLoad
	)
	var o object
	for d.field(&o) {
		switch string(o.key) {
		case "pop":
			// The page may come from another CDN, which names its PoPs in the
			// same header: a name that is not of the fleet is dropped.
			d.once(&o, fPoP)
			p.PoP = d.Names.pops[string(d.str())]
		case "vip":
			d.once(&o, fVIP)
			p.VIP = d.Names.vips[string(d.str())]
		case "dns":
			d.once(&o, fDNS)
			p.DNS = d.duration()
		case "connect":
			d.once(&o, fConnect)
			p.Connect = d.duration()
		case "tls":
			d.once(&o, fTLS)
			p.TLS = d.duration()
		case "ttfb":
			d.once(&o, fTTFB)
			p.TTFB = d.duration()
		case "load":
			d.once(&o, fLoad)
			p.Load = d.duration()
		default:
			d.fail(ReasonUnknown, "no such field")
		}
	}
}

func (d *Decoder) net(n *edge.Net) {
	const fType = 1
	var o object
	for d.field(&o) {
		if string(o.key) != "type" {
			d.fail(ReasonUnknown, "no such field")
			return
		}
		d.once(&o, fType)
		b := d.str()
		s, ok := netTypes.find(b)
		if !ok {
			d.fail(ReasonValue, "want slow-2g, 2g, 3g, 4g or 5g")
		}
		n.Type = s
	}
}

// netTypes are the values of navigator.connection.effectiveType (Network
// Information API, section 6), and the one that would come next.
var netTypes = words{"4g", "3g", "2g", "slow-2g", "5g"}
