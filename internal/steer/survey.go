package steer

import (
	"fmt"

	"catchment/internal/edge"
)

// space is what is known of a family's addresses, in runs.
type space struct {
	places []stretch // value: index into Plan.places
	pins   []stretch // value: set of pins
}

// survey reads the table of places. Place 0 is the zero Place, that of the
// gaps.
func (p *Plan) survey(places Places, pins *pins) error {
	p.places = []edge.Place{{}}
	known := map[edge.Place]uint32{{}: 0}
	var flat [2][]stretch
	if places != nil {
		for prefix, place := range places.All() {
			if !prefix.IsValid() {
				return fmt.Errorf("steer: places: %v is not a prefix", prefix)
			}
			n := prefix.Bits()
			if prefix.Addr().Is4In6() {
				if n -= 96; n < 0 {
					return fmt.Errorf("steer: places: %v holds more than IPv4", prefix)
				}
			}
			place.City, place.ASName = "", "" // nothing depends on them
			i, ok := known[place]
			if !ok {
				i = uint32(len(p.places))
				known[place] = i
				p.places = append(p.places, place)
			}
			from, f := keyOf(prefix.Masked().Addr())
			flat[f] = append(flat[f], stretch{from, i, uint8(n)})
		}
	}
	for f := range flat {
		p.space[f] = space{places: flatten(flat[f]), pins: pins.client[f]}
	}
	return nil
}

// views are the whole address space in runs of equal class: clients of one
// class are decided alike by every service, but for the buckets they are in.
type views struct {
	classes []facts
	lists   lists
	from    [2][]key
	class   [2][]uint32
	known   [2][]bool // the run lies within a known prefix
}

// classify joins places and pins.
func (p *Plan) classify(pins *pins) *views {
	v := &views{}
	c := p.classifier.own()
	numbers := map[facts]uint32{}
	type pair struct{ place, pins uint32 }
	for f := range p.space {
		places, pinned := p.space[f].places, p.space[f].pins
		seen := map[pair]uint32{}
		v.from[f] = make([]key, 0, len(places))
		v.class[f] = make([]uint32, 0, len(places))
		v.known[f] = make([]bool, 0, len(places))
		for i, j := 0, 0; i < len(places); {
			from := places[i].from
			if from.less(pinned[j].from) {
				from = pinned[j].from
			}
			at := pair{places[i].value, pinned[j].value}
			class, ok := seen[at]
			if !ok {
				x := c.facts(at.place, f)
				x.pins = at.pins
				x.networkPins = pins.asn[p.places[at.place].ASN]
				if class, ok = numbers[x]; !ok {
					class = uint32(len(v.classes))
					numbers[x] = class
					v.classes = append(v.classes, x)
				}
				seen[at] = class
			}
			known := places[i].bits != noPrefix
			if n := len(v.from[f]); n == 0 || v.class[f][n-1] != class || v.known[f][n-1] != known {
				v.from[f] = append(v.from[f], from)
				v.class[f] = append(v.class[f], class)
				v.known[f] = append(v.known[f], known)
			}
			// The run that ends first makes way for the next.
			switch lastPlace, lastPin := i+1 == len(places), j+1 == len(pinned); {
			case lastPlace && lastPin:
				i++
			case lastPin || !lastPlace && places[i+1].from.less(pinned[j+1].from):
				i++
			case lastPlace || pinned[j+1].from.less(places[i+1].from):
				j++
			default:
				i++
				j++
			}
		}
	}
	v.lists = c.lists
	return v
}
