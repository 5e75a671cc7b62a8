package sources

import (
	"math"

	"catchment/internal/edge"
	"catchment/internal/sim/topology"
)

// nearest finds the metro that is nearest to a point. Files of cities have
// millions of rows and a hundred thousand points.
type nearest struct {
	at    []vector
	cache map[[2]int16]topology.Metro // by hundredths of a degree
}

// maxCached bounds the cache: a hundredth of a degree is a kilometer, and there
// are no more towns than this.
const maxCached = 1 << 20

// vector is a point on the unit sphere: the nearest of several has the largest
// product.
type vector struct{ x, y, z float64 }

func vectorOf(lat, lon float64) vector {
	const rad = math.Pi / 180
	cos := math.Cos(lat * rad)
	return vector{cos * math.Cos(lon*rad), cos * math.Sin(lon*rad), math.Sin(lat * rad)}
}

func newNearest(cities []topology.City) *nearest {
	n := &nearest{cache: map[[2]int16]topology.Metro{}}
	for i := range cities {
		n.at = append(n.at, vectorOf(cities[i].Place.Lat, cities[i].Place.Lon))
	}
	return n
}

// metro returns the metro nearest to a point in degrees, to a hundredth.
func (n *nearest) metro(lat, lon float64) topology.Metro {
	key := [2]int16{int16(math.Round(100 * lat)), int16(math.Round(100 * lon))}
	if m, ok := n.cache[key]; ok {
		return m
	}
	p := vectorOf(float64(key[0])/100, float64(key[1])/100)
	best, most := topology.Metro(0), -2.0
	for i, q := range n.at {
		if d := p.x*q.x + p.y*q.y + p.z*q.z; d > most {
			best, most = topology.Metro(i), d
		}
	}
	if len(n.cache) < maxCached {
		n.cache[key] = best
	}
	return best
}

// onGlobe reports whether a point is known: on the globe and not 0°N 0°E, which
// stands for unknown.
func onGlobe(lat, lon float64) bool {
	return lat >= -90 && lat <= 90 && lon >= -180 && lon <= 180 && edge.Place{Lat: lat, Lon: lon}.HasCoord()
}

// country is an ISO 3166-1 alpha-2 code; zero is unknown.
type country [2]byte

func (c country) String() string { return string(c[:]) }

// place is what is kept of where an address is: the metro nearest to its city,
// or topology.None where the file names no city and so its point is the middle
// of a country; and the country, which need not be that of the metro.
type place struct {
	metro   topology.Metro
	country country
}

// places numbers places.
type places struct {
	all   []place
	index map[place]uint32
}

func newPlaces() places { return places{index: map[place]uint32{}} }

func (ps *places) of(p place) (uint32, bool) {
	i, ok := ps.index[p]
	if !ok {
		if len(ps.all) >= maxPlaces {
			return 0, false
		}
		i = uint32(len(ps.all))
		ps.all = append(ps.all, p)
		ps.index[p] = i
	}
	return i, true
}
