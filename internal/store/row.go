package store

import (
	"net/netip"
	"slices"
	"time"

	"catchment/internal/edge"
)

// setRow fills r from b, reusing what r has allocated. The view and the best
// PoP are derived here.
func setRow(r *BeaconRow, b *edge.Beacon) {
	flags, probes := r.Flags[:0], r.Probes[:0]
	v := b.View()
	*r = BeaconRow{
		Received:    b.Received.UnixMicro(),
		ID:          b.ID,
		Plan:        b.Plan,
		Time:        b.Time,
		Rate:        b.Rate,
		Client:      prefixText(b.Client),
		Continent:   b.Place.Continent,
		Country:     b.Place.Country,
		Subdivision: b.Place.Subdivision,
		City:        b.Place.City,
		ASN:         b.Place.ASN,
		ASName:      b.Place.ASName,
		Lat:         b.Place.Lat,
		Lon:         b.Place.Lon,
		Resolver:    prefixText(b.Resolver.Addr),
		ResolverECS: prefixText(b.Resolver.ECS),
		Family:      uint32(v.Family),
		Unicast:     string(v.Served[0]),
		Global:      string(v.Served[1]),
		Regional:    string(v.Served[2]),
		UnicastRTT:  float32(v.RTT[0]),
		GlobalRTT:   float32(v.RTT[1]),
		RegionalRTT: float32(v.RTT[2]),
		PagePoP:     string(b.Page.PoP),
		PageVIP:     string(b.Page.VIP),
		PageDNS:     float32(b.Page.DNS),
		PageConnect: float32(b.Page.Connect),
		PageTLS:     float32(b.Page.TLS),
		PageTTFB:    float32(b.Page.TTFB),
		PageLoad:    float32(b.Page.Load),
		NetType:     b.Net.Type,
		Flags:       append(flags, b.Flags...),
	}
	probes = slices.Grow(probes, len(b.Probes))[:len(b.Probes)]
	for i := range b.Probes {
		p := &b.Probes[i]
		if ownName(p) && (r.BestPoP == "" || float32(p.RTT) < r.BestRTT) {
			r.BestPoP, r.BestRTT = string(p.PoP), float32(p.RTT)
		}
		setProbeRow(&probes[i], p)
	}
	r.Probes = probes
}

func setProbeRow(r *ProbeRow, p *edge.Probe) {
	*r = ProbeRow{
		Target: string(p.Target),
		PoP:    string(p.PoP),
		VIP:    string(p.VIP),
		RTT:    float32(p.RTT),
		Warm:   appendFloats(r.Warm[:0], p.Warm),
		Cold:   appendFloats(r.Cold[:0], p.Cold),
		Srv:    float32(p.Srv),
		MRTT:   float32(p.MRTT),
		Proto:  p.Proto,
		AF:     uint32(p.AF),
		Status: uint32(p.Status),
		Error:  p.Error,
		Served: appendTexts(r.Served[:0], p.Served),
		Flags:  append(r.Flags[:0], p.Flags...),
	}
}

// setBeacon is the inverse of setRow: it fills b from r, reusing what b has
// allocated. Derived columns are not looked at.
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

func prefixText(p netip.Prefix) string {
	if !p.IsValid() {
		return ""
	}
	return p.String()
}

func parsePrefix(s string) (netip.Prefix, error) {
	if s == "" {
		return netip.Prefix{}, nil
	}
	return netip.ParsePrefix(s)
}
