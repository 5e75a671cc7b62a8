package store

import (
	"net/netip"
	"slices"

	"catchment/internal/edge"
)

// setRow is what beaconColumns.add should have written.
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

func prefixText(p netip.Prefix) string {
	if !p.IsValid() {
		return ""
	}
	return p.String()
}
