package people

import (
	"catchment/internal/sim/noise"
	"catchment/internal/sim/topology"
)

// What is located, as a key beside the network and the metro.
const (
	locResolver = iota + 1 // an ISP's
	locPublic
	locAbroad
	locClients // and the block's number
)

// locate returns the metro where geolocation puts a network that is at m. It
// errs for a whole network at a time, always in the same way: databases know
// blocks, not addresses.
func (p *Population) locate(m topology.Metro, network, what uint64) topology.Metro {
	at := &p.metros[m]
	keys := [...]uint64{network, at.key, what}
	scale := 1.0
	if what >= locClients {
		scale = p.m.ClientError
	}
	if noise.Uniform(noise.At(p.m.Seed, noise.GeoCountry, keys[:]...)) < scale*p.m.CountryError && len(p.hubs) > 1 {
		// The country of any metro: the more it has, the likelier.
		pick := noise.Pick(noise.At(p.m.Seed, noise.GeoPick, keys[:]...), len(p.metros))
		for p.metros[pick].country == at.country {
			pick = (pick + 1) % len(p.metros)
		}
		return p.hubs[p.metros[pick].country][0]
	}
	if noise.Uniform(noise.At(p.m.Seed, noise.GeoCity, keys[:]...)) >= scale*at.cityError {
		return m
	}
	hubs := p.hubs[at.country]
	others := len(hubs)
	for _, h := range hubs {
		if h == m {
			others--
		}
	}
	if others == 0 {
		return m // the country has one metro only
	}
	pick := noise.Pick(noise.At(p.m.Seed, noise.GeoCityPick, keys[:]...), others)
	for _, h := range hubs {
		if h == m {
			continue
		}
		if pick == 0 {
			return h
		}
		pick--
	}
	return m
}
