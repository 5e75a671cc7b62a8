package geo

import (
	"strconv"
	"strings"

	"github.com/oschwald/maxminddb-golang/v2"

	"catchment/internal/edge"
)

// nested is the layout of MaxMind's City, Country, ASN, ISP and Enterprise
// files, and of DB-IP's, which copy it.
// https://dev.maxmind.com/geoip/docs/databases
type nested struct {
	Continent struct {
		Code string `maxminddb:"code"`
	} `maxminddb:"continent"`
	Country struct {
		ISOCode string `maxminddb:"iso_code"`
	} `maxminddb:"country"`
	Registered struct { // where the network is registered: all that is known of some
		ISOCode string `maxminddb:"iso_code"`
	} `maxminddb:"registered_country"`
	Subdivisions []struct {
		ISOCode string `maxminddb:"iso_code"`
	} `maxminddb:"subdivisions"`
	City struct {
		Names struct {
			En string `maxminddb:"en"`
		} `maxminddb:"names"`
	} `maxminddb:"city"`
	Location struct {
		Latitude  float64 `maxminddb:"latitude"`
		Longitude float64 `maxminddb:"longitude"`
	} `maxminddb:"location"`
	system
	Traits system `maxminddb:"traits"` // Enterprise has them here
}

type system struct {
	ASN  uint64 `maxminddb:"autonomous_system_number"`
	Name string `maxminddb:"autonomous_system_organization"`
}

func (r *nested) place() edge.Place {
	p := edge.Place{
		Continent: r.Continent.Code,
		Country:   r.Country.ISOCode,
		City:      r.City.Names.En,
		ASName:    r.Name,
		Lat:       r.Location.Latitude,
		Lon:       r.Location.Longitude,
	}
	if p.Country == "" {
		p.Country = r.Registered.ISOCode
	}
	if len(r.Subdivisions) > 0 {
		p.Subdivision = r.Subdivisions[0].ISOCode
	}
	asn := r.ASN
	if asn == 0 {
		asn, p.ASName = r.Traits.ASN, r.Traits.Name
	}
	p.ASN = asn32(asn)
	return p
}

// flat is the layout of IPinfo's files: one level, numbers as text, the
// country's code in "country" or, beside its name, in "country_code".
// https://ipinfo.io/developers/ipinfo-lite-database
type flat struct {
	Country       string `maxminddb:"country"`
	CountryCode   string `maxminddb:"country_code"`
	Continent     string `maxminddb:"continent"`
	ContinentCode string `maxminddb:"continent_code"`
	RegionCode    string `maxminddb:"region_code"`
	City          string `maxminddb:"city"`
	ASN           any    `maxminddb:"asn"`
	ASName        string `maxminddb:"as_name"`
	Name          string `maxminddb:"name"`
	Lat           any    `maxminddb:"lat"`
	Lng           any    `maxminddb:"lng"`
	Latitude      any    `maxminddb:"latitude"`
	Longitude     any    `maxminddb:"longitude"`
}

func (r *flat) place() edge.Place {
	p := edge.Place{
		Continent:   r.ContinentCode,
		Country:     r.CountryCode,
		Subdivision: r.RegionCode,
		City:        r.City,
		ASName:      r.ASName,
		Lat:         number(r.Lat) + number(r.Latitude),
		Lon:         number(r.Lng) + number(r.Longitude),
	}
	if p.Continent == "" {
		p.Continent = r.Continent
	}
	if p.Country == "" {
		p.Country = r.Country
	}
	switch asn := r.ASN.(type) {
	case string:
		n, _ := strconv.ParseUint(strings.TrimPrefix(asn, "AS"), 10, 32)
		p.ASN = uint32(n)
	case uint64:
		p.ASN = asn32(asn)
	}
	if p.ASName == "" && p.ASN != 0 {
		p.ASName = r.Name
	}
	return p
}

// number reads a coordinate, which some files carry as text.
func number(v any) float64 {
	switch v := v.(type) {
	case float64:
		return v
	case float32:
		return float64(v)
	case string:
		x, _ := strconv.ParseFloat(v, 64)
		return x
	}
	return 0
}

func asn32(n uint64) uint32 {
	if n > 1<<32-1 {
		return 0
	}
	return uint32(n)
}

// isFlat tells the layout from one record.
func isFlat(r maxminddb.Result) (bool, error) {
	var top map[string]any
	if err := r.Decode(&top); err != nil {
		return false, err
	}
	if _, text := top["country"].(string); text {
		return true, nil
	}
	for _, key := range []string{"country_code", "continent_code", "asn", "as_name", "lat", "region_code"} {
		if _, ok := top[key]; ok {
			return true, nil
		}
	}
	return false, nil
}

// decode reads the record of r. What makes no sense is left out: a place
// says less rather than something wrong.
func decode(r maxminddb.Result, asFlat bool) (edge.Place, error) {
	var p edge.Place
	if asFlat {
		var rec flat
		if err := r.Decode(&rec); err != nil {
			return p, err
		}
		p = rec.place()
	} else {
		var rec nested
		if err := r.Decode(&rec); err != nil {
			return p, err
		}
		p = rec.place()
	}
	continent, ok := ContinentOf(p.Country)
	if !ok {
		p.Country = ""
	}
	if !IsContinent(p.Continent) {
		p.Continent = continent
	}
	if !ValidSubdivision(p.Subdivision) {
		p.Subdivision = ""
	}
	if !ValidName(p.City) {
		p.City = ""
	}
	if !ValidName(p.ASName) {
		p.ASName = ""
	}
	if !(p.Lat >= -90 && p.Lat <= 90 && p.Lon >= -180 && p.Lon <= 180) {
		p.Lat, p.Lon = 0, 0
	}
	return p, nil
}
