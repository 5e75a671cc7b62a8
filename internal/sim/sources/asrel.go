package sources

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"slices"

	"catchment/internal/sim/topology"
)

// link is one line about two ASes.
type link struct {
	low, high uint32
	line      uint32 // counted over all files
	rel       relation
}

// relation orders what lines say of the same two ASes: the least holds.
type relation uint8

const (
	lowProvides relation = iota
	highProvides
	peers
)

// ASRelationships reads CAIDA's serial-1 (provider|customer|-1 and peer|peer|0)
// or serial-2 (the same with |source), plain or packed by bzip2 or gzip.
// The error is Problems.
func (s *Set) ASRelationships(name string, r io.Reader) error {
	f, text, err := s.open("AS relationships", name, r)
	if err != nil {
		return err
	}
	before := len(s.links)
	var parts [4][]byte
	err = f.lines(text, '#', func(line int, b []byte) bool {
		n := 0
		for rest, more := b, true; more; n++ {
			var part []byte
			part, rest, more = bytes.Cut(rest, []byte("|"))
			if n < len(parts) {
				parts[n] = bytes.TrimSpace(part)
			}
		}
		if n < 3 || n > 4 {
			return f.problem(line, "%d fields (want AS|AS|relation, or AS|AS|relation|source)", n)
		}
		l, err := parseLink(parts[0], parts[1], parts[2])
		if err != nil {
			return f.problem(line, "%v", err)
		}
		if len(s.links) == topology.MaxLinks {
			f.problem(line, "too many links (want at most %d)", topology.MaxLinks)
			return true
		}
		l.line = uint32(len(s.links))
		s.links = append(s.links, l)
		return false
	})
	if err != nil {
		return err
	}
	if len(s.links) == before && len(f.problems) == 0 {
		f.problem(0, "no links")
	}
	return s.done(f)
}

func parseLink(first, second, code []byte) (link, error) {
	a, err := parseASN(first)
	if err != nil {
		return link{}, err
	}
	b, err := parseASN(second)
	if err != nil {
		return link{}, err
	}
	if a == b {
		return link{}, fmt.Errorf("AS%d is linked to itself", a)
	}
	l := link{low: min(a, b), high: max(a, b)}
	switch string(code) {
	case "0":
		l.rel = peers
	case "-1":
		l.rel = lowProvides
		if a > b {
			l.rel = highProvides
		}
	default:
		return link{}, fmt.Errorf("relation %s (want -1, the first AS provides to the second, or 0, they are peers)", quote(code))
	}
	return l, nil
}

// joinLinks returns every link once. Of lines that disagree a provider beats a
// peering, as who pays was seen paying somewhere, whereas peerings are also
// guessed from membership of an exchange; and of two providers the first line
// holds.
func (s *Set) joinLinks() (joined []topology.Link, disagreed int) {
	slices.SortFunc(s.links, func(x, y link) int {
		return cmp.Or(cmp.Compare(x.low, y.low), cmp.Compare(x.high, y.high), cmp.Compare(x.line, y.line))
	})
	for rest := s.links; len(rest) > 0; {
		n := 1
		holds := rest[0].rel
		differ := false
		for ; n < len(rest) && rest[n].low == rest[0].low && rest[n].high == rest[0].high; n++ {
			differ = differ || rest[n].rel != rest[0].rel
			if holds == peers {
				holds = rest[n].rel
			}
		}
		l := topology.Link{A: rest[0].low, B: rest[0].high, Rel: topology.Transit}
		switch holds {
		case highProvides:
			l.A, l.B = l.B, l.A
		case peers:
			l.Rel = topology.Peering
		}
		joined = append(joined, l)
		if differ {
			disagreed++
		}
		rest = rest[n:]
	}
	return joined, disagreed
}
