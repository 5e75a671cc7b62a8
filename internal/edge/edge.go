// Package edge is Catchment's vocabulary: PoPs, VIPs, regions, services,
// places, schemes and beacons, as plain values.
//
// It imports only the standard library and holds no behavior beyond what a
// value says about itself, so that every other package can share it. Strings
// are parsed into these types at the rim of the program (see internal/fleet
// and internal/beacon) and are not checked again further in.
package edge

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// PoPID names a PoP: a site that can attract and serve users. Lower-case
// letters, digits and hyphens, starting with a letter, at most 16 bytes.
type PoPID string

// Failed stands where a PoPID is expected but the probe brought none: it timed
// out, was refused or could not be read. It can never be a configured PoP.
const Failed PoPID = "!"

// VIPID names a VIP: a service address with its announced prefix.
type VIPID string

// RegionID names a region: PoPs that share a VIP, and whom it serves.
type RegionID string

// ValidID reports whether s may name a PoP, a VIP or a region.
func ValidID(s string) bool {
	if s == "" || len(s) > 16 || s[0] < 'a' || s[0] > 'z' {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

// Scheme is how users get to PoPs.
type Scheme string

// The three schemes that are compared and steered between.
const (
	Unicast  Scheme = "unicast"  // geo-DNS to per-PoP addresses
	Global   Scheme = "global"   // one anycast VIP
	Regional Scheme = "regional" // one anycast VIP per region
)

// Schemes lists the schemes in the order of every table and array indexed by
// Scheme.Index. Unicast comes first: it is what the others are compared with.
var Schemes = [...]Scheme{Unicast, Global, Regional}

// Index returns the position of s in Schemes, or -1.
func (s Scheme) Index() int {
	for i, t := range Schemes {
		if s == t {
			return i
		}
	}
	return -1
}

// Target is what a probe asked for: a scheme ("global"), or one PoP's own
// unicast name ("pop:iad").
type Target string

// TargetOf returns the target that asks for one PoP by its own unicast name.
func TargetOf(id PoPID) Target { return Target("pop:" + string(id)) }

// PoP returns the PoP that t asks for by its own name, if it does.
func (t Target) PoP() (PoPID, bool) {
	id, ok := strings.CutPrefix(string(t), "pop:")
	return PoPID(id), ok
}

// Scheme returns the scheme that t asks for, if it does.
func (t Target) Scheme() (Scheme, bool) {
	s := Scheme(t)
	return s, s.Index() >= 0
}

// Place is where an address is. Empty fields are unknown.
type Place struct {
	Continent   string  `json:"continent,omitempty"`   // AF AN AS EU NA OC SA
	Country     string  `json:"country,omitempty"`     // ISO 3166-1 alpha-2
	Subdivision string  `json:"subdivision,omitempty"` // ISO 3166-2 without the country: "IL"
	City        string  `json:"city,omitempty"`
	ASN         uint32  `json:"asn,omitempty"`
	ASName      string  `json:"as_name,omitempty"`
	Lat         float64 `json:"lat,omitempty"` // degrees north
	Lon         float64 `json:"lon,omitempty"` // degrees east
}

// HasCoord reports whether p has coordinates. 0°N 0°E, where there is only
// sea, stands for unknown.
func (p Place) HasCoord() bool { return p.Lat != 0 || p.Lon != 0 }

// EarthRadiusKm is the mean radius of the Earth (IUGG).
const EarthRadiusKm = 6371.0088

// DistanceKm returns the great-circle distance between two places in km, or
// +Inf when either has no coordinates.
func DistanceKm(a, b Place) float64 {
	if !a.HasCoord() || !b.HasCoord() {
		return math.Inf(1)
	}
	const rad = math.Pi / 180
	sinLat := math.Sin((b.Lat - a.Lat) * rad / 2)
	sinLon := math.Sin((b.Lon - a.Lon) * rad / 2)
	h := sinLat*sinLat + math.Cos(a.Lat*rad)*math.Cos(b.Lat*rad)*sinLon*sinLon
	return 2 * EarthRadiusKm * math.Asin(math.Sqrt(min(1, h)))
}

// Day is a UTC day, counted from 1970-01-01.
type Day int32

// DayOf returns the UTC day of t.
func DayOf(t time.Time) Day {
	sec := t.Unix()
	if sec < 0 {
		sec -= 86399
	}
	return Day(sec / 86400)
}

// Time returns the first instant of d.
func (d Day) Time() time.Time { return time.Unix(int64(d)*86400, 0).UTC() }

// String returns d as YYYY-MM-DD.
func (d Day) String() string { return d.Time().Format(time.DateOnly) }

// ParseDay is the inverse of Day.String.
func ParseDay(s string) (Day, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return 0, fmt.Errorf("edge: day %q: want YYYY-MM-DD", s)
	}
	return DayOf(t), nil
}
