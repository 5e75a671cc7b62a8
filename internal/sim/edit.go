package sim

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"catchment/internal/edge"
)

// EditKind is what an edit does to the announcement of a VIP.
type EditKind string

// The kinds of edits, by the name of their flag.
const (
	Withdraw    EditKind = "withdraw"
	Prepend     EditKind = "prepend"
	DropTransit EditKind = "drop-transit"
	Reclass     EditKind = "class"
	AddSession  EditKind = "add-session"
	AddPoP      EditKind = "add-pop"
	CutLink     EditKind = "cut"
	SetScope    EditKind = "scope"
	NoExport    EditKind = "no-export"
)

const continents = "AF AN AS EU NA OC SA"

// EditKinds lists the kinds with the form of their text and what they do.
var EditKinds = [...]struct {
	Kind        EditKind
	Form, About string
}{
	{Withdraw, "POP[:AS]", "do not announce the VIP from the PoP, or not to that neighbor of it"},
	{Prepend, "POP[:AS]:N", "repeat our AS number N times"},
	{DropTransit, "POP:AS", "end the session with a transit"},
	{Reclass, "POP:AS:RELATION", "make the neighbor our transit, peer or customer"},
	{AddSession, "POP:AS[:RELATION]", "add a neighbor, a transit unless said otherwise"},
	{AddPoP, "ID:LAT,LON[:AS,...]", "add a PoP that buys transit there; with drawn neighbors unless they are given"},
	{CutLink, "AS:AS", "cut the link between two networks"},
	{SetScope, "POP[:AS]:CONTINENT,...", "the neighbor passes the route on in these continents only"},
	{NoExport, "POP[:AS]:AS,...", "the neighbor does not pass the route on to these networks"},
}

// Edit is one change to plan. Text is what was asked for, as ParseEdit reads it.
type Edit struct {
	Kind EditKind
	Text string

	pop        edge.PoPID // "*": all
	asn        uint32     // 0: all neighbors
	prepend    int
	relation   edge.Relation
	continents []string
	asns       []uint32 // of AddPoP, CutLink and NoExport
	place      edge.Place
}

// String returns the edit as a flag.
func (e Edit) String() string { return "--" + string(e.Kind) + " " + e.Text }

// ParseEdit reads the text of one edit, in the form that EditKinds gives. AS
// numbers may have "AS" before them; "*" for a PoP or a neighbor is all.
func ParseEdit(kind EditKind, text string) (Edit, error) {
	e := Edit{Kind: kind, Text: text, relation: edge.Transit}
	parts := strings.Split(text, ":")
	form := ""
	for _, k := range EditKinds {
		if k.Kind == kind {
			form = k.Form
		}
	}
	if form == "" {
		return e, fmt.Errorf("there is no edit %q", kind)
	}
	bad := func(why error) (Edit, error) {
		if why == nil {
			return e, fmt.Errorf("%q: want %s", text, form)
		}
		return e, fmt.Errorf("%q: %w (want %s)", text, why, form)
	}
	var err error
	if kind == CutLink {
		if len(parts) != 2 {
			return bad(nil)
		}
		if e.asns, err = parseASNs(parts); err != nil {
			return bad(err)
		}
		return e, nil
	}
	e.pop = edge.PoPID(parts[0])
	if e.pop != "*" && !edge.ValidID(parts[0]) {
		return bad(fmt.Errorf("%q is not the id of a PoP", parts[0]))
	}
	if kind == AddPoP {
		if err := e.parsePoP(parts[1:]); err != nil {
			return bad(err)
		}
		return e, nil
	}
	// What is neither first nor last is the neighbor; these have nothing else.
	value := ""
	switch rest := parts[1:]; kind {
	case Withdraw, DropTransit:
		if len(rest) > 1 || kind == DropTransit && len(rest) == 0 {
			return bad(nil)
		}
		if len(rest) == 1 {
			e.asn, err = parseNeighbor(rest[0])
		}
	case AddSession, Reclass:
		if len(rest) == 0 || len(rest) > 2 || kind == Reclass && len(rest) == 1 {
			return bad(nil)
		}
		e.asn, err = parseNeighbor(rest[0])
		if len(rest) == 2 {
			value = rest[1]
		}
	default:
		if len(rest) == 0 || len(rest) > 2 {
			return bad(nil)
		}
		if value = rest[len(rest)-1]; len(rest) == 2 {
			e.asn, err = parseNeighbor(rest[0])
		}
	}
	if err == nil {
		err = e.parseValue(value)
	}
	if err != nil {
		return bad(err)
	}
	return e, nil
}

func (e *Edit) parseValue(value string) (err error) {
	switch e.Kind {
	case Prepend:
		if e.prepend, err = strconv.Atoi(value); err != nil || e.prepend < 0 || e.prepend > 10 {
			return fmt.Errorf("%q is not a number from 0 to 10", value)
		}
	case AddSession, Reclass:
		if value == "" {
			break
		}
		if e.relation = edge.Relation(value); e.relation != edge.Transit && e.relation != edge.Peer && e.relation != edge.Customer {
			return fmt.Errorf("%q is not transit, peer or customer", value)
		}
	case SetScope:
		e.continents = strings.Split(value, ",")
		for _, c := range e.continents {
			if !slices.Contains(strings.Fields(continents), c) {
				return fmt.Errorf("%q is not one of %s", c, continents)
			}
		}
	case NoExport:
		e.asns, err = parseASNs(strings.Split(value, ","))
	}
	if e.Kind == AddSession && e.asn == 0 {
		return fmt.Errorf("one neighbor is added at a time")
	}
	return err
}

func (e *Edit) parsePoP(parts []string) (err error) {
	if len(parts) == 0 || len(parts) > 2 || e.pop == "*" {
		return fmt.Errorf("it has no place")
	}
	lat, lon, _ := strings.Cut(parts[0], ",")
	degrees := func(s string, limit float64) float64 {
		x, wrong := strconv.ParseFloat(s, 64)
		if wrong != nil || !(x >= -limit && x <= limit) {
			err = fmt.Errorf("%q is not a number of degrees from %v to %v", s, -limit, limit)
		}
		return x
	}
	e.place = edge.Place{Lat: degrees(lat, 90), Lon: degrees(lon, 180)}
	if err == nil && len(parts) == 2 {
		e.asns, err = parseASNs(strings.Split(parts[1], ","))
	}
	return err
}

// parseNeighbor reads an AS number, or "*" for all, which is 0.
func parseNeighbor(s string) (uint32, error) {
	if s == "*" {
		return 0, nil
	}
	return ParseASN(s)
}

// ParseASN reads "64500" or "AS64500".
func ParseASN(s string) (uint32, error) {
	digits := s
	if len(s) > 2 && strings.EqualFold(s[:2], "AS") {
		digits = s[2:]
	}
	n, err := strconv.ParseUint(digits, 10, 32)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("%q is not an AS number", s)
	}
	return uint32(n), nil
}

func parseASNs(list []string) ([]uint32, error) {
	var asns []uint32
	for _, s := range list {
		n, err := ParseASN(s)
		if err != nil {
			return nil, err
		}
		asns = append(asns, n)
	}
	slices.Sort(asns)
	return slices.Compact(asns), nil
}
