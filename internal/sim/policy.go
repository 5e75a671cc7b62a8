package sim

import (
	"math"
	"slices"

	"catchment/internal/edge"
)

// Answer is what DNS tells an asker: a VIP, or a PoP's own address.
type Answer struct {
	VIP edge.VIPID // empty: PoP's own address
	PoP int        // index; -1 where VIP is set, or where nothing is answered
}

// Policy is what DNS answers under a scheme to an asker who seems to be at a
// place. It is safe for concurrent use.
type Policy func(s edge.Scheme, at edge.Place) Answer

// GlobalVIP is the VIP of the scheme global.
const GlobalVIP = edge.VIPID("global")

// NearestPoP is the plainest policy: unicast answers with the PoP at the least
// distance, regional with the VIP of the place's region, and with nothing
// where no region serves it.
func NearestPoP(f *edge.Fleet) Policy {
	type vector [3]float64 // on the unit sphere
	on := func(p edge.Place) vector {
		lat, lon := p.Lat*math.Pi/180, p.Lon*math.Pi/180
		return vector{math.Cos(lat) * math.Cos(lon), math.Cos(lat) * math.Sin(lon), math.Sin(lat)}
	}
	pops := make([]vector, len(f.PoPs))
	for i := range f.PoPs {
		pops[i] = on(f.PoPs[i].Place)
	}
	global := slices.ContainsFunc(f.VIPs, func(v edge.VIP) bool { return v.ID == GlobalVIP })
	return func(s edge.Scheme, at edge.Place) Answer {
		switch s {
		case edge.Global:
			if global {
				return Answer{GlobalVIP, -1}
			}
		case edge.Regional:
			if r, ok := f.RegionOf(at); ok {
				return Answer{r.VIP, -1}
			}
		case edge.Unicast:
			v, best, most := on(at), 0, math.Inf(-1)
			for i := range pops {
				p := &pops[i]
				if cos := float64(p[0]*v[0]) + float64(p[1]*v[1]) + float64(p[2]*v[2]); cos > most {
					best, most = i, cos
				}
			}
			return Answer{"", best}
		}
		return Answer{"", -1}
	}
}
