package geo

import "catchment/internal/edge"

// fill gives p what it lacks from q, a source of lower rank. Fields that only
// make sense together come together: no city from one country is put into
// another, and no name of one network onto the number of another.
func fill(p, q *edge.Place) {
	if p.ASN == 0 {
		p.ASN, p.ASName = q.ASN, q.ASName
	} else if p.ASName == "" && p.ASN == q.ASN {
		p.ASName = q.ASName
	}
	if !agree(p.Continent, q.Continent) || !agree(p.Country, q.Country) {
		return
	}
	if p.Continent == "" {
		p.Continent = q.Continent
	}
	if p.Country == "" {
		p.Country = q.Country
	}
	if !agree(p.Subdivision, q.Subdivision) {
		return
	}
	if p.Subdivision == "" {
		p.Subdivision = q.Subdivision
	}
	if !agree(p.City, q.City) {
		return
	}
	if p.City == "" {
		p.City = q.City
	}
	if !p.HasCoord() {
		p.Lat, p.Lon = q.Lat, q.Lon
	}
}

// agree reports that a and b do not contradict each other.
func agree(a, b string) bool { return a == "" || b == "" || a == b }

// override replaces in p what the operator's row o says, and drops what that
// makes wrong: whatever lies inside a country or subdivision that p is no
// longer in, coordinates included, and the name of another network.
func override(p, o *edge.Place) {
	if o.ASN != 0 && o.ASN != p.ASN {
		p.ASN, p.ASName = o.ASN, ""
	}
	if o.ASName != "" {
		p.ASName = o.ASName
	}
	if o.Continent != "" {
		p.Continent = o.Continent
	}
	if !agree(p.Country, o.Country) {
		p.Subdivision, p.City, p.Lat, p.Lon = "", "", 0, 0
	}
	if o.Country != "" {
		p.Country = o.Country
	}
	if !agree(p.Subdivision, o.Subdivision) {
		p.City, p.Lat, p.Lon = "", 0, 0
	}
	if o.Subdivision != "" {
		p.Subdivision = o.Subdivision
	}
	if o.City != "" {
		p.City = o.City
	}
	if o.HasCoord() {
		p.Lat, p.Lon = o.Lat, o.Lon
	}
}
