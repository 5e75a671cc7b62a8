package edge

import (
	"encoding/binary"
	"net/netip"
	"time"
)

// Beacon is the report from one page view. Its JSON form is what browsers
// send (without the fields below Flags), what relays send and what export
// writes. All durations are milliseconds; 0 is not measured.
type Beacon struct {
	V      int      `json:"v"`
	ID     string   `json:"id"` // unique per page view: 1 to 64 of [0-9A-Za-z_-]
	Plan   string   `json:"plan,omitempty"`
	Time   int64    `json:"t,omitempty"` // the browser's clock, ms since 1970: only good for its skew
	Rate   float64  `json:"rate"`        // sampling rate, in (0, 1]; the view's weight is 1/Rate
	Page   Page     `json:"page,omitzero"`
	Probes []Probe  `json:"probes"`
	Net    Net      `json:"net,omitzero"`
	Flags  []string `json:"flags,omitempty"` // see Flags in package beacon

	// Known to the server, or told by an authenticated relay. Client is
	// truncated before a beacon leaves the collector.
	Client   netip.Prefix `json:"client,omitzero"`
	Received time.Time    `json:"received,omitzero"`
	Place    Place        `json:"place,omitzero"`
	Resolver Resolver     `json:"resolver,omitzero"`
}

// Page is how the page itself was served, from Navigation Timing.
type Page struct {
	PoP     PoPID   `json:"pop,omitempty"`
	VIP     VIPID   `json:"vip,omitempty"`
	DNS     float64 `json:"dns,omitempty"`
	Connect float64 `json:"connect,omitempty"` // TCP only
	TLS     float64 `json:"tls,omitempty"`
	TTFB    float64 `json:"ttfb,omitempty"`
	Load    float64 `json:"load,omitempty"` // navigation start to the end of the load event
}

// Probe is one measured target: a download once cold and then warm.
type Probe struct {
	Target Target    `json:"target"`
	PoP    PoPID     `json:"pop,omitempty"` // the PoP that answered; not always the one asked for
	VIP    VIPID     `json:"vip,omitempty"`
	RTT    float64   `json:"rtt,omitempty"`  // min(TCP connect, min(Warm − Srv))
	Warm   []float64 `json:"warm,omitempty"` // responseStart − requestStart
	Cold   []float64 `json:"cold,omitempty"` // DNS, TCP connect, TLS
	Srv    float64   `json:"srv,omitempty"`  // the server's own time
	MRTT   float64   `json:"mrtt,omitempty"` // the server kernel's minimum RTT: a cross-check
	Proto  string    `json:"proto,omitempty"`
	AF     int       `json:"af,omitempty"`     // address family of the connection: 4 or 6
	Status int       `json:"status,omitempty"` // HTTP status, where it was not 200
	Error  string    `json:"error,omitempty"`  // why there is no measurement; empty: there is
	Served []PoPID   `json:"served,omitempty"` // every PoP seen within this probe, when more than one: a flip
	Flags  []string  `json:"flags,omitempty"`  // doubts about the measurement
}

// Net is what the browser says of its connection.
type Net struct {
	Type string `json:"type,omitempty"` // navigator.connection.effectiveType
}

// Resolver is who asked our name server for this page view's probe names.
type Resolver struct {
	Addr netip.Prefix `json:"addr,omitzero"`
	ECS  netip.Prefix `json:"ecs,omitzero"`
}

// View is what one beacon says about assignment: the PoP that answered under
// each scheme, in the order of Schemes. An empty PoPID means that the scheme
// was not probed, Failed that it was and brought no answer.
type View struct {
	Family uint8 // 4 or 6
	Served [len(Schemes)]PoPID
	RTT    [len(Schemes)]float64 // ms; 0 is not measured
}

// Errors of a probe that are not the network's: the page went away midway, and
// an answer without Timing-Allow-Origin, which still names its PoP.
const (
	Aborted  = "aborted"
	NoTiming = "tao"
)

// View derives the assignment from b. A scheme whose probe was Aborted counts
// as not probed. Schemes are compared within one address
// family: the one that most of the successful scheme probes used, the unicast
// probe's on a tie, and the client's own where no probe says. A scheme that
// answered over the other family counts as not probed.
func (b *Beacon) View() View {
	var v View
	var n4, n6 int
	first := 0
	for i := range b.Probes {
		p := &b.Probes[i]
		if _, ok := p.Target.Scheme(); !ok || p.Error != "" {
			continue
		}
		switch p.AF {
		case 4:
			n4++
		case 6:
			n6++
		}
		if p.Target == Target(Unicast) {
			first = p.AF
		}
	}
	switch {
	case n4 > n6:
		v.Family = 4
	case n6 > n4:
		v.Family = 6
	case first == 4 || first == 6:
		v.Family = uint8(first)
	case b.Client.Addr().Is4():
		v.Family = 4
	default:
		v.Family = 6
	}
	for i := range b.Probes {
		p := &b.Probes[i]
		s, ok := p.Target.Scheme()
		if !ok || p.AF != 0 && p.AF != int(v.Family) {
			continue
		}
		switch k := s.Index(); {
		case p.Error == Aborted:
		case p.Error != "" && p.Error != NoTiming || p.PoP == "":
			if v.Served[k] == "" {
				v.Served[k] = Failed
			}
		default:
			v.Served[k], v.RTT[k] = p.PoP, p.RTT
		}
	}
	return v
}

// PrefixKey packs a truncated client prefix into 64 bits: the leading 64 bits
// of an IPv6 address, or 32 one bits and then an IPv4 address. Equal keys mean
// equal prefixes as long as all of one family have one length.
func PrefixKey(p netip.Prefix) uint64 {
	a := p.Addr()
	if a.Is4() {
		b := a.As4()
		return 0xffffffff<<32 | uint64(binary.BigEndian.Uint32(b[:]))
	}
	b := a.As16()
	return binary.BigEndian.Uint64(b[:8])
}
