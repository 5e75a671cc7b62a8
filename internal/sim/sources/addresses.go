package sources

import (
	"bytes"
	"io"
	"strconv"

	"catchment/internal/sim/topology"
)

// Prefixes reads which AS announces which addresses: CSV with a row
// "first,last,AS number,name" per range, as @ip-location-db/asn and db-ip.com
// have it; addresses as text or as numbers, of either family; plain or packed
// by gzip or bzip2. Ranges of AS 0, which is nobody, are left out. The error is
// Problems.
func (s *Set) Prefixes(name string, r io.Reader) error {
	f, text, err := s.open("prefixes", name, r)
	if err != nil {
		return err
	}
	s.addressed = true
	return s.rows(f, text, "first,last,AS number,name", func(line int, row [][]byte) (stop bool) {
		if len(row) < 3 || len(row) > 4 {
			return f.problem(line, "%d fields (want first,last,AS number,name)", len(row))
		}
		family, first, last, err := parseRange(row[0], row[1])
		if err != nil {
			return f.problem(line, "%v", err)
		}
		if string(row[2]) == "0" {
			return false
		}
		asn, err := parseASN(row[2])
		if err != nil {
			return f.problem(line, "%v", err)
		}
		if len(row) == 4 {
			if old, known := s.names[asn]; !known || old.rank < fromPrefixes { // saves making a string of most rows
				s.name(asn, string(row[3]), fromPrefixes)
			}
		}
		if !s.prefixes[family].add(span{first, last, asn}) {
			f.problem(line, "too many ranges (want at most %d)", maxRanges)
			return true
		}
		return false
	})
}

// The layouts of files of cities, by their number of columns.
var cityLayouts = map[int]struct{ country, city, lat, lon int }{
	10: {2, 5, 7, 8}, // ip-location-db: first,last,country,state,district,city,postcode,lat,lon,time zone
	8:  {3, 5, 6, 7}, // db-ip.com: first,last,continent,country,state,city,lat,lon
}

// Cities reads where addresses are: CSV as @ip-location-db/dbip-city has it
// (first,last,country,state,district,city,postcode,lat,lon,time zone) or
// db-ip.com (first,last,continent,country,state,city,lat,lon); the rest is as
// for Prefixes. Ranges without a city count for their country as a whole, those
// without a country and a point for nothing.
func (s *Set) Cities(name string, r io.Reader) error {
	f, text, err := s.open("cities", name, r)
	if err != nil {
		return err
	}
	s.located = true
	return s.rows(f, text, "first,last,country,…,lat,lon", func(line int, row [][]byte) (stop bool) {
		at, ok := cityLayouts[len(row)]
		if !ok {
			return f.problem(line, "%d fields (want 10: first,last,country,state,district,city,postcode,lat,lon,time zone; or 8: first,last,continent,country,state,city,lat,lon)", len(row))
		}
		family, first, last, err := parseRange(row[0], row[1])
		if err != nil {
			return f.problem(line, "%v", err)
		}
		cc, ok := parseCountry(row[at.country])
		if !ok && len(row[at.country]) > 0 {
			return f.problem(line, "%s is not a country (want two capitals, ISO 3166-1)", quote(row[at.country]))
		}
		lat, ok1 := parseDegrees(row[at.lat], 90)
		lon, ok2 := parseDegrees(row[at.lon], 180)
		if !ok1 || !ok2 {
			return f.problem(line, "%s, %s is not on the globe (want degrees north and east)", quote(row[at.lat]), quote(row[at.lon]))
		}
		if msg := s.locate(family, first, last, cc, len(row[at.city]) > 0, lat, lon); msg != "" {
			f.problem(line, "%s", msg)
			return true
		}
		return false
	})
}

// locate keeps where a range is. What it returns is not empty if there are too
// many.
func (s *Set) locate(family int, first, last uint64, cc country, named bool, lat, lon float64) string {
	p := place{topology.None, cc}
	if named && onGlobe(lat, lon) {
		p.metro = s.nearest.metro(lat, lon)
	}
	if p == (place{metro: topology.None}) {
		return "" // says nothing
	}
	i, ok := s.places.of(p)
	if !ok {
		return "too many metros in countries (want at most " + strconv.Itoa(maxPlaces) + ")"
	}
	if !s.locations[family].add(span{first, last, i}) {
		return "too many ranges (want at most " + strconv.Itoa(maxRanges) + ")"
	}
	return ""
}

// rows calls each for every row of CSV.
func (s *Set) rows(f *file, text io.Reader, want string, each func(line int, row [][]byte) (stop bool)) error {
	var row [][]byte
	some := false
	err := f.lines(text, '#', func(line int, b []byte) (stop bool) {
		var err error
		if row, err = fields(row, b); err != nil {
			return f.problem(line, "%v", err)
		}
		some = true
		return each(line, row)
	})
	if err != nil {
		return err
	}
	if !some && len(f.problems) == 0 {
		f.problem(0, "no rows (want %s)", want)
	}
	return s.done(f)
}

// parseDegrees reads a coordinate of at most so many degrees; nothing is 0.
func parseDegrees(b []byte, most float64) (float64, bool) {
	if len(b) == 0 {
		return 0, true
	}
	if len(b) > 32 || bytes.ContainsAny(b, "xXpP_") {
		return 0, false
	}
	v, err := strconv.ParseFloat(string(b), 64)
	return v, err == nil && v >= -most && v <= most
}
