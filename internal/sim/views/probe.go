package views

import (
	"math"

	"catchment/internal/edge"
)

// patience is how long the script waits for an answer, ms.
const patience = 4000

// leastRTT is the least round trip, ms: one that the browser's clock resolves.
const leastRTT = 0.1

// How many downloads a probe times over one connection.
const warm = 3

// probe makes p the probe of a target.
func (f *Filler) probe(p *edge.Probe, target edge.Target) {
	g, v := f.g, &f.view
	*p = edge.Probe{Target: target, Warm: p.Warm[:0], Cold: p.Cold[:0], Served: p.Served[:0]}
	to, second, failed := f.lead(g.action[target])
	if failed != "" {
		p.Error = failed
		return
	}
	pop := &g.pops[to.pop]
	dest := pop
	if to.vip >= 0 {
		dest = &g.vips[to.vip]
	}
	base := max(leastRTT, float64(to.rtt)+v.line.LastMile)
	timeout := g.m.Timeout + pop.timeout
	if dest != pop {
		timeout += dest.timeout
	}
	switch {
	case v.v6 && dest.v6:
		p.AF = 6
	case dest.v4 || !dest.v6:
		p.AF = 4
	default:
		p.Error = "net" // an address that the client has no way to
		return
	}
	if f.rng.Float64() < timeout || base >= patience {
		*p = edge.Probe{Target: target, Error: "timeout", Warm: p.Warm, Cold: p.Cold, Served: p.Served}
		return
	}
	p.PoP = g.fleet.PoPs[to.pop].ID
	if to.vip >= 0 {
		p.VIP = g.fleet.VIPs[to.vip].ID
	}
	other := base
	if second.pop >= 0 {
		other = float64(second.rtt) + v.line.LastMile
		p.Served = append(p.Served, p.PoP, g.fleet.PoPs[second.pop].ID)
		p.Flags = f.flip
	}
	f.time(p, base, other)
}

// time fills in what the browser measures where the least round trip is base
// ms, or other for every second packet train: a TCP connect, and warm
// downloads over the same connection (Resource Timing). The RTT follows from
// them as the collector derives it.
func (f *Filler) time(p *edge.Probe, base, other float64) {
	v := &f.view
	least := math.Inf(1)
	sample := func(ms float64) float64 {
		ms += f.wait(v.line.Jitter)
		least = min(least, ms)
		return ms
	}
	p.Srv = hundredth(0.02 + f.wait(0.04))
	connect := tenth(sample(base))
	dns := tenth(v.line.LastMile + float64(v.asker.resolves) + f.wait(v.line.Jitter) + f.wait(3))
	// TLS is one more round trip, with the browser's and the server's share of
	// the computing.
	tls := tenth(sample(base) + 2 + f.wait(4))
	p.Cold = append(p.Cold, dns, connect, tls)
	quickest := math.Inf(1)
	for i := range warm {
		ms := base
		if i%2 == 1 {
			ms = other
		}
		ms = tenth(p.Srv + sample(ms))
		quickest = min(quickest, ms)
		p.Warm = append(p.Warm, ms)
	}
	// In µs and at least 0.01 ms, as the collector derives it.
	p.RTT = min(connect, max(0.01, float64(int64((quickest-p.Srv)*1000+0.5))/1000))
	p.MRTT = min(hundredth(least), p.RTT)
	p.Proto = "http/1.1"
}

// lead returns where a probe gets to, with second.pop ≥ 0 if packets also get
// to another PoP, or how it fails.
func (f *Filler) lead(a action) (to, second reach, failed string) {
	g, v := f.g, &f.view
	second.pop = none
	if a.scheme < 0 {
		to = reach{g.outcome.RTT(v.group, a.pop), int16(a.pop), none}
		if down, _ := g.down(to.pop, v.at); down || math.IsInf(float64(to.rtt), 1) {
			return to, second, "timeout"
		}
		return to, second, ""
	}
	to = v.asker.reach[a.scheme]
	switch to.pop {
	case unled:
		return to, second, "net" // the name has no address
	case none:
		return to, second, "timeout"
	}
	var pops []int16 // that may take over: all, or those with the prefix
	vip := to.vip
	if vip >= 0 {
		pops = g.vips[vip].pops
	}
	if len(g.outages) > 0 {
		if down, noticed := g.down(to.pop, v.at); down {
			if to = g.nextBest(v.group, pops, to.pop, v.at); !noticed || to.pop == none {
				return to, second, "timeout"
			}
			to.vip = vip
		}
	}
	if vip < 0 {
		return to, second, ""
	}
	if g.m.Flips > 0 && g.changed(v.key, &g.vips[vip], v.day, v.into) {
		if other := g.nextBest(v.group, pops, to.pop, v.at); other.pop != none {
			to, to.vip = other, vip
		}
	}
	if v.changes {
		other := g.nextBest(v.group, pops, to.pop, v.at)
		if other.pop != none {
			// Half of the connections begin on either path, and half of all
			// meet both.
			bits := f.rng.Uint64()
			if bits&1 != 0 {
				to, other = other, to
				to.vip = vip
			}
			if bits&2 != 0 {
				second = other
			}
		}
	}
	return to, second, ""
}

// page fills in how the page itself was loaded, by its scheme. Two of three
// pages find the name resolved.
func (f *Filler) page(p *edge.Page, by edge.Scheme) {
	g, v := f.g, &f.view
	to, _, failed := f.lead(action{by.Index(), none})
	base := float64(to.rtt) + v.line.LastMile
	if failed != "" || base >= patience {
		return // it came from elsewhere
	}
	p.PoP = g.fleet.PoPs[to.pop].ID
	if to.vip >= 0 {
		p.VIP = g.fleet.VIPs[to.vip].ID
	}
	if f.rng.IntN(3) == 0 {
		p.DNS = tenth(v.line.LastMile + float64(v.asker.resolves) + f.wait(3))
	}
	p.Connect = tenth(base + f.wait(v.line.Jitter))
	p.TLS = tenth(base + 2 + f.wait(4))
	p.TTFB = tenth(p.DNS + p.Connect + p.TLS + base + f.wait(40))
	p.Load = tenth(p.TTFB + 4*base + 100 + f.wait(600))
}
