package sources

import (
	"crypto/sha256"
	"fmt"
	"strconv"

	"github.com/oschwald/maxminddb-golang/v2"
)

// PrefixesMMDB reads which AS announces which addresses from a MaxMind-format
// file: autonomous_system_number as MaxMind and DB-IP have it, or asn as IPinfo
// does. The error is Problems.
func (s *Set) PrefixesMMDB(name string, data []byte) error {
	f := &file{name: name, kind: "prefixes"}
	s.addressed = true
	values := map[uintptr]uint32{} // of records that were decoded; 0: no AS
	return s.networks(f, data, func(r maxminddb.Result, family int, first, last uint64) error {
		asn, ok := values[r.Offset()]
		if !ok {
			var text string
			var err error
			if asn, text, err = systemOf(r); err != nil {
				return err
			}
			if asn != 0 {
				s.name(asn, text, fromPrefixes)
			}
			values[r.Offset()] = asn
		}
		if asn != 0 && !s.prefixes[family].add(span{first, last, asn}) {
			return fmt.Errorf("too many ranges (want at most %d)", maxRanges)
		}
		return nil
	})
}

// CitiesMMDB reads where addresses are from a MaxMind-format file: nested
// (country.iso_code, city.names.en, location) as MaxMind and DB-IP have it, or
// flat (country_code, city, latitude, longitude) as ip-location-db and IPinfo
// do. The error is Problems.
func (s *Set) CitiesMMDB(name string, data []byte) error {
	f := &file{name: name, kind: "cities"}
	s.located = true
	values := map[uintptr]town{}
	return s.networks(f, data, func(r maxminddb.Result, family int, first, last uint64) error {
		t, ok := values[r.Offset()]
		if !ok {
			var err error
			if t, err = townOf(r); err != nil {
				return err
			}
			values[r.Offset()] = t
		}
		if msg := s.locate(family, first, last, t.country, t.named, t.lat, t.lon); msg != "" {
			return fmt.Errorf("%s", msg)
		}
		return nil
	})
}

// networks calls each for every network of a file, ascending.
func (s *Set) networks(f *file, data []byte, each func(r maxminddb.Result, family int, first, last uint64) error) error {
	db, err := maxminddb.OpenBytes(data)
	if err != nil {
		return f.broken(0, err)
	}
	// A tree of n nodes has n+1 leaves. A forged one, whose branches join again,
	// would have up to 2^128.
	leaves := uint64(db.Metadata.NodeCount) + 1
	if leaves > maxRanges*4 {
		return f.broken(0, fmt.Errorf("%d nodes (want at most %d)", leaves, maxRanges*4))
	}
	some := false
	for r := range db.Networks() {
		if err := r.Err(); err != nil {
			return f.broken(0, err)
		}
		if leaves--; leaves == 0 {
			return f.broken(0, fmt.Errorf("the search tree is not a tree"))
		}
		some = true
		p := r.Prefix()
		family, n := numberOf(p.Addr())
		first, size := n.hi, 64-p.Bits() // of the part of the address that counts
		if family == v4 {
			first, size = n.lo, p.Addr().BitLen()-p.Bits()
		}
		last := first
		if size > 0 {
			last |= 1<<size - 1
		}
		if err := each(r, family, first, last); err != nil {
			f.problems = append(f.problems, Problem{File: f.name, At: p.String(), Msg: err.Error()})
			return f.problems
		}
	}
	if !some {
		return f.broken(0, fmt.Errorf("no networks"))
	}
	sum := sha256.Sum256(data)
	s.source(f.kind, f.name, sum[:])
	return nil
}

// systemOf returns the AS of a record; 0 if it names none.
func systemOf(r maxminddb.Result) (asn uint32, text string, err error) {
	var rec struct {
		Number uint64 `maxminddb:"autonomous_system_number"`
		Org    string `maxminddb:"autonomous_system_organization"`
		ASN    any    `maxminddb:"asn"`
		Name   string `maxminddb:"as_name"`
		Other  string `maxminddb:"name"`
	}
	if err := r.Decode(&rec); err != nil {
		return 0, "", err
	}
	digits := ""
	switch v := rec.ASN.(type) {
	case string:
		digits, text = v, rec.Name
		if text == "" {
			text = rec.Other
		}
	case uint64:
		digits, text = strconv.FormatUint(v, 10), rec.Name
	default:
		digits, text = strconv.FormatUint(rec.Number, 10), rec.Org
	}
	if digits == "" || digits == "0" {
		return 0, "", nil
	}
	asn, err = parseASN([]byte(digits))
	return asn, text, err
}

type town struct {
	country  country
	named    bool
	lat, lon float64
}

func townOf(r maxminddb.Result) (town, error) {
	var rec struct {
		Country  any    `maxminddb:"country"` // nested, or flat: the code
		Code     string `maxminddb:"country_code"`
		City     any    `maxminddb:"city"`
		Location *struct {
			Latitude  float64 `maxminddb:"latitude"`
			Longitude float64 `maxminddb:"longitude"`
		} `maxminddb:"location"`
		Latitude  any `maxminddb:"latitude"`
		Longitude any `maxminddb:"longitude"`
		Lat       any `maxminddb:"lat"`
		Lng       any `maxminddb:"lng"`
	}
	if err := r.Decode(&rec); err != nil {
		return town{}, err
	}
	code := rec.Code
	switch c := rec.Country.(type) {
	case map[string]any:
		code, _ = c["iso_code"].(string)
	case string:
		if code == "" {
			code = c
		}
	}
	t := town{}
	t.country, _ = parseCountry([]byte(code))
	switch c := rec.City.(type) {
	case map[string]any:
		_, t.named = c["names"].(map[string]any)
	case string:
		t.named = c != ""
	}
	if l := rec.Location; l != nil {
		t.lat, t.lon = l.Latitude, l.Longitude
	} else {
		t.lat = degrees(rec.Latitude) + degrees(rec.Lat)
		t.lon = degrees(rec.Longitude) + degrees(rec.Lng)
	}
	if !onGlobe(t.lat, t.lon) {
		t.named, t.lat, t.lon = false, 0, 0
	}
	return t, nil
}

// degrees reads a coordinate, which some files have as text.
func degrees(v any) float64 {
	switch v := v.(type) {
	case float64:
		return v
	case float32:
		return float64(v)
	case string:
		d, _ := parseDegrees([]byte(v), 180)
		return d
	}
	return 0
}
