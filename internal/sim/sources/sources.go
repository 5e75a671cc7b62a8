// Package sources reads public files about the Internet and joins them into
// what a topology is built from: who is linked to whom (CAIDA), which addresses
// are whose and where (ranges as CSV or MaxMind-format), how many users there
// are (APNIC), and where networks meet (PeeringDB). docs/sim-import.md tells
// which files, and what is done with each.
//
// It opens no files: readers come with the name to use in errors. Input is not
// trusted; what a Set holds is bounded by the limits of package topology and by
// those below, whatever it is given to read.
package sources

import (
	"fmt"
	"strings"

	"catchment/internal/sim/topology"
)

// Limits of what is read, well above the largest public files of 2026.
const (
	maxLine    = 64 << 10 // bytes of a line of text
	maxText    = 8 << 30  // bytes of a file, decompressed
	maxLines   = 1 << 27  // of a file
	maxRanges  = 1 << 23  // of addresses, of one family, in all files of one kind
	maxPlaces  = 1 << 16  // distinct metros in countries
	maxRecords = 1 << 22  // of PeeringDB or APNIC, in all files
	maxName    = 100      // runes of a name that are kept
)

// maxProblems is how many problems of one file are told.
const maxProblems = 20

// Problem is something in a file that cannot be read.
type Problem struct {
	File string
	Line int    // 0: no line in particular
	At   string // the record, where lines say nothing: /net/data/41
	Msg  string
}

func (p Problem) Error() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d", p.Line)
	}
	b.WriteString(": ")
	if p.At != "" {
		b.WriteString(p.At + ": ")
	}
	b.WriteString(p.Msg)
	return b.String()
}

// Problems are the problems of a file, in its order, at most the first 20.
type Problems []Problem

// Error returns every problem on a line of its own.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// Set collects what files say. Files may be read in any order, several of a
// kind one after the other; the methods that read are not for concurrent use.
// After an error what that file said may be there in part: give up the set.
type Set struct {
	cities  []topology.City
	nearest *nearest
	places  places

	links     []link
	prefixes  [2]ranges // by family: IPv4, IPv6; values are AS numbers
	locations [2]ranges // values index places
	located   bool      // whether a file of cities was read
	addressed bool      // whether a file of prefixes was read
	users     []economy
	counted   bool // whether a file of users was read
	peering   peeringDB
	names     map[uint32]name
	sources   []string
}

// New returns an empty set whose networks are put into cities.
func New(cities []topology.City) (*Set, error) {
	if len(cities) == 0 || len(cities) > topology.MaxMetros {
		return nil, fmt.Errorf("sources: %d metros (want 1 to %d)", len(cities), topology.MaxMetros)
	}
	return &Set{
		cities:  cities,
		nearest: newNearest(cities),
		places:  newPlaces(),
		peering: newPeeringDB(),
		names:   map[uint32]name{},
	}, nil
}

// Ranks of names: a higher one wins.
const (
	fromUsers = iota
	fromPrefixes
	fromPeering
)

type name struct {
	text string
	rank int8
}

// name keeps what an AS is called, unless something better is known. Of equals
// the first stays.
func (s *Set) name(asn uint32, text string, rank int8) {
	old, known := s.names[asn]
	if known && old.rank >= rank || len(s.names) >= topology.MaxASes && !known {
		return
	}
	if text = tidy(text); text != "" {
		s.names[asn] = name{text, rank}
	}
}
