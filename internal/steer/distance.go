package steer

import (
	"math"

	"catchment/internal/edge"
)

// distance is how far a PoP is from a place.
type distance struct {
	how how
	x   float64 // ms, km or, where coordinates are missing, 0 same country, 1 same continent, 2 elsewhere
}

// how says what a distance is. Measured ones go first.
type how uint8

const (
	measured how = iota
	byMap
	byName
)

func (d distance) less(e distance) bool { return d.how < e.how || d.how == e.how && d.x < e.x }

// Two PoPs are equally good within the tolerance of reports, 5 ms or 10 %; by
// distance, 100 km count as 1 ms of RTT (light in fiber).
const (
	toleranceMs   = 5
	tolerancePart = 0.1
	kmPerMs       = 100
)

// equal reports whether e, which is not nearer than d, is as good.
func (d distance) equal(e distance) bool {
	if d.how != e.how {
		return false
	}
	switch d.how {
	case measured:
		return e.x <= d.x+max(toleranceMs, d.x*tolerancePart)
	case byMap:
		return e.x <= d.x+max(toleranceMs*kmPerMs, d.x*tolerancePart)
	}
	return e.x == d.x
}

// vector is a point on the unit sphere.
type vector struct {
	x, y, z float64
	known   bool
}

func vectorOf(p *edge.Place) vector {
	const rad = math.Pi / 180
	sinLat, cosLat := math.Sincos(p.Lat * rad)
	sinLon, cosLon := math.Sincos(p.Lon * rad)
	return vector{cosLat * cosLon, cosLat * sinLon, sinLat, p.HasCoord()}
}

// km is edge.DistanceKm at a fraction of its cost.
func (v vector) km(w vector) float64 {
	x, y, z := v.x-w.x, v.y-w.y, v.z-w.z
	return 2 * edge.EarthRadiusKm * math.Asin(min(1, math.Sqrt(x*x+y*y+z*z)/2))
}
