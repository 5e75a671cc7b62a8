package geo

import (
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"catchment/internal/edge"
)

// columns of a places file.
var columns = [...]string{"prefix", "continent", "country", "subdivision", "city", "asn", "as_name", "lat", "lon"}

const header = "prefix,continent,country,subdivision,city,asn,as_name,lat,lon"

// maxPlaces bounds a places file, in bytes: about three million rows.
const maxPlaces = 128 << 20

// maxPlaceErrors bounds how much a file that is no places file at all, or a
// very broken one, can make us say.
const maxPlaceErrors = 200

// maxName bounds a city's or a network's name, in bytes. The longest place
// name on record has 168 letters.
const maxName = 256

// overrides is what the operator knows better, by longest prefix.
type overrides struct {
	file     string
	stat     os.FileInfo // as it was when the file was read
	sum      [sha256.Size]byte
	prefixes []netip.Prefix
	places   []edge.Place // parallel to prefixes; empty fields are not overridden
	v4, v6   ranges       // rows are indexes of places
}

// find returns the row of the longest prefix that holds a, or -1. An IPv4
// address must not be in its IPv6-mapped form.
func (o *overrides) find(a netip.Addr) int32 {
	if a.Is4() {
		return o.v4.find(a)
	}
	return o.v6.find(a)
}

// bits returns the length of the shortest prefix around a with one row.
func (o *overrides) bits(a netip.Addr) int {
	if a.Is4() {
		return o.v4.bits(a)
	}
	return o.v6.bits(a)
}

func openOverrides(file string) (*overrides, error) {
	data, stat, err := readFile(file, maxPlaces)
	if err != nil {
		return nil, err
	}
	o, err := parseOverrides(file, data)
	if err != nil {
		return nil, err
	}
	o.file, o.stat, o.sum = file, stat, sha256.Sum256(data)
	return o, nil
}

// parseOverrides reads a places file. Errors call it name. The error, if any,
// is Errors: every bad line, up to maxPlaceErrors.
func parseOverrides(name string, data []byte) (*overrides, error) {
	p := placesParser{file: name, lineOf: map[netip.Prefix]int{}}
	r := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(data, []byte("\ufeff"))))
	r.FieldsPerRecord = -1
	r.ReuseRecord = true
	r.Comment = '#'
	for len(p.errs) < maxPlaceErrors {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		var syntax *csv.ParseError
		if errors.As(err, &syntax) {
			p.line = syntax.Line
			p.fail("", fmt.Sprintf("byte %d: %v", syntax.Column, syntax.Err), "")
			continue
		}
		p.line, _ = r.FieldPos(0)
		if p.columns == nil {
			if !p.header(record) {
				break
			}
			continue
		}
		p.row(record)
	}
	if p.columns == nil && len(p.errs) == 0 {
		p.line = 1
		p.fail("", "the file has no header", "want "+header)
	}
	if len(p.errs) > 0 {
		if len(p.errs) >= maxPlaceErrors {
			p.fail("", "too many problems; the rest of the file was not read", "")
		}
		return nil, p.errs
	}
	return p.overrides(), nil
}

type placesParser struct {
	file    string
	line    int
	columns []string // of the header, in the file's order
	lineOf  map[netip.Prefix]int
	out     overrides
	errs    Errors
}

func (p *placesParser) fail(column, msg, hint string) {
	p.errs = append(p.errs, Error{p.file, p.line, column, msg, hint})
}

// header reads the first line: the columns may come in any order, and all but
// the prefix may be missing.
func (p *placesParser) header(record []string) bool {
	seen := map[string]bool{}
	for _, c := range record {
		c = strings.TrimSpace(c)
		switch {
		case !slices.Contains(columns[:], c):
			p.fail("", fmt.Sprintf("%s is not a column", quote(c)), "the first line must be a header, such as "+header)
			return false
		case seen[c]:
			p.fail("", fmt.Sprintf("column %s appears twice", c), "")
			return false
		}
		seen[c] = true
		p.columns = append(p.columns, c)
	}
	if !seen["prefix"] {
		p.fail("", "the header lacks the column prefix", "want "+header)
		return false
	}
	return true
}

func (p *placesParser) row(record []string) {
	if len(record) != len(p.columns) {
		p.fail("", fmt.Sprintf("has %d cells", len(record)), fmt.Sprintf("the header has %d", len(p.columns)))
		return
	}
	before := len(p.errs)
	var prefix netip.Prefix
	var place edge.Place
	var hasLat, hasLon bool
	for i, column := range p.columns {
		cell := strings.TrimSpace(record[i])
		if column == "prefix" {
			prefix = p.prefix(cell)
			continue
		}
		if cell == "" {
			continue
		}
		switch column {
		case "continent":
			place.Continent = p.continent(cell)
		case "country":
			place.Country = p.country(cell)
		case "subdivision":
			place.Subdivision = p.subdivision(cell)
		case "city":
			place.City = p.name(column, cell)
		case "asn":
			place.ASN = p.asn(cell)
		case "as_name":
			place.ASName = p.name(column, cell)
		case "lat":
			place.Lat, hasLat = p.degrees(column, cell, 90), true
		case "lon":
			place.Lon, hasLon = p.degrees(column, cell, 180), true
		}
	}
	switch {
	case len(p.errs) > before:
		return
	case hasLat != hasLon:
		p.fail("lat", "lat and lon go together", "fill both cells or none")
		return
	case hasLat && !place.HasCoord():
		p.fail("lat", "0, 0 lies in the sea and stands for unknown", "leave both cells empty")
		return
	}
	if first, dup := p.lineOf[prefix]; dup {
		p.fail("prefix", fmt.Sprintf("%v stands on line %d already", prefix, first), "")
		return
	}
	if place.Country != "" && place.Continent == "" {
		place.Continent, _ = ContinentOf(place.Country)
	}
	p.lineOf[prefix] = p.line
	p.out.prefixes = append(p.out.prefixes, prefix)
	p.out.places = append(p.out.places, place)
}

func (p *placesParser) prefix(cell string) netip.Prefix {
	const example = "want a prefix, such as 203.0.113.0/24"
	prefix, err := netip.ParsePrefix(cell)
	if addr, addrErr := netip.ParseAddr(cell); addrErr == nil && addr.Zone() == "" {
		p.fail("prefix", cell+" is an address", fmt.Sprintf("want a prefix, such as %s/%d", cell, addr.BitLen()))
		return prefix
	}
	switch {
	case cell == "":
		p.fail("prefix", "is empty", example)
	case err != nil:
		p.fail("prefix", quote(cell)+" is not a prefix", example)
	case prefix.Addr().Is4In6():
		p.fail("prefix", cell+" is an IPv4 prefix in its IPv6 form", "want plain IPv4, such as 203.0.113.0/24")
	case prefix.Masked() != prefix:
		p.fail("prefix", cell+" has host bits set", fmt.Sprintf("want %v", prefix.Masked()))
	}
	return prefix
}

func (p *placesParser) continent(cell string) string {
	if !IsContinent(cell) {
		p.fail("continent", quote(cell)+" is not a continent", "want one of "+Continents)
	}
	return cell
}

func (p *placesParser) country(cell string) string {
	if _, ok := ContinentOf(cell); !ok {
		p.fail("country", quote(cell)+" is not a country", "want an ISO 3166-1 code of two capitals, such as US")
	}
	return cell
}

func (p *placesParser) subdivision(cell string) string {
	if !ValidSubdivision(cell) {
		p.fail("subdivision", quote(cell)+" is not a subdivision", "want the part of an ISO 3166-2 code after the hyphen, such as VA")
	}
	return cell
}

func (p *placesParser) name(column, cell string) string {
	if !ValidName(cell) {
		p.fail(column, fmt.Sprintf("is not UTF-8 text of at most %d bytes", maxName), "")
	}
	return cell
}

func (p *placesParser) asn(cell string) uint32 {
	n, err := strconv.ParseUint(cell, 10, 32)
	if err != nil || n == 0 {
		p.fail("asn", quote(cell)+" is not an AS number", "want 1 to 4294967295, without AS in front")
	}
	return uint32(n)
}

func (p *placesParser) degrees(column, cell string, limit float64) float64 {
	x, err := strconv.ParseFloat(cell, 64)
	if err != nil || !(math.Abs(x) <= limit) {
		p.fail(column, quote(cell)+" is not on the globe", fmt.Sprintf("want degrees from %v to %v", -limit, limit))
	}
	return x
}

func (p *placesParser) overrides() *overrides {
	o := &p.out
	var prefixes [2][]netip.Prefix
	var rows [2][]int32
	for i, prefix := range o.prefixes {
		f := 0
		if !prefix.Addr().Is4() {
			f = 1
		}
		prefixes[f] = append(prefixes[f], prefix)
		rows[f] = append(rows[f], int32(i))
	}
	o.v4 = makeRanges(prefixes[0], rows[0])
	o.v6 = makeRanges(prefixes[1], rows[1])
	return o
}

// ValidSubdivision reports whether s can follow the hyphen of an ISO 3166-2
// code: one to three capital letters or digits.
func ValidSubdivision(s string) bool {
	for i := range len(s) {
		if (s[i] < 'A' || s[i] > 'Z') && (s[i] < '0' || s[i] > '9') {
			return false
		}
	}
	return len(s) >= 1 && len(s) <= 3
}

// ValidName reports whether s can be the name of a city or a network: UTF-8
// text on one line, at most 256 bytes.
func ValidName(s string) bool {
	return len(s) <= maxName && utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}

// quote quotes s for an error, shortened if it is long.
func quote(s string) string {
	if len(s) > 64 {
		s = strings.ToValidUTF8(s[:64], "") + "…"
	}
	return strconv.Quote(s)
}
