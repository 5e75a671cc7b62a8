package store

import (
	"net/netip"
	"slices"
	"time"

	"catchment/internal/edge"
)

// setBeacon fills b from r, reusing what b has allocated. Derived columns are
// not looked at.
func setBeacon(b *edge.Beacon, r *BeaconRow) error {
	flags, probes := b.Flags[:0], b.Probes[:0]
	client, err := parsePrefix(r.Client)
	if err != nil {
		return err
	}
	resolver, err := parsePrefix(r.Resolver)
	if err != nil {
		return err
	}
	ecs, err := parsePrefix(r.ResolverECS)
	if err != nil {
		return err
	}
	*b = edge.Beacon{
		V:    beaconFormat,
		ID:   r.ID,
		Plan: r.Plan,
		Time: r.Time,
		Rate: r.Rate,
		Page: edge.Page{
			PoP:     edge.PoPID(r.PagePoP),
			VIP:     edge.VIPID(r.PageVIP),
			DNS:     float64(r.PageDNS),
			Connect: float64(r.PageConnect),
			TLS:     float64(r.PageTLS),
			TTFB:    float64(r.PageTTFB),
			Load:    float64(r.PageLoad),
		},
		Net:      edge.Net{Type: r.NetType},
		Flags:    append(flags, r.Flags...),
		Client:   client,
		Received: time.UnixMicro(r.Received).UTC(),
		Place: edge.Place{
			Continent: r.Continent, Country: r.Country, Subdivision: r.Subdivision, City: r.City,
			ASN: r.ASN, ASName: r.ASName, Lat: r.Lat, Lon: r.Lon,
		},
		Resolver: edge.Resolver{Addr: resolver, ECS: ecs},
	}
	probes = slices.Grow(probes, len(r.Probes))[:len(r.Probes)]
	for i := range r.Probes {
		p := &r.Probes[i]
		probes[i] = edge.Probe{
			Target: edge.Target(p.Target),
			PoP:    edge.PoPID(p.PoP),
			VIP:    edge.VIPID(p.VIP),
			RTT:    float64(p.RTT),
			Warm:   appendFloats(probes[i].Warm[:0], p.Warm),
			Cold:   appendFloats(probes[i].Cold[:0], p.Cold),
			Srv:    float64(p.Srv),
			MRTT:   float64(p.MRTT),
			Proto:  p.Proto,
			AF:     int(p.AF),
			Status: int(p.Status),
			Error:  p.Error,
			Served: appendTexts(probes[i].Served[:0], p.Served),
			Flags:  append(probes[i].Flags[:0], p.Flags...),
		}
	}
	b.Probes = probes
	return nil
}

// beaconFormat is the version of the JSON form that stored beacons have.
const beaconFormat = 1

func appendFloats[T, F ~float32 | ~float64](dst []T, src []F) []T {
	for _, v := range src {
		dst = append(dst, T(v))
	}
	return dst
}

func appendTexts[T, F ~string](dst []T, src []F) []T {
	for _, v := range src {
		dst = append(dst, T(v))
	}
	return dst
}

func parsePrefix(s string) (netip.Prefix, error) {
	if s == "" {
		return netip.Prefix{}, nil
	}
	return netip.ParsePrefix(s)
}
