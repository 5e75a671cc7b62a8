package views

import (
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"catchment/internal/edge"
	"catchment/internal/sim/noise"
	"catchment/internal/sim/people"
	"catchment/internal/targets"
)

// Filler makes views one after another. Not for concurrent use; make one for
// each goroutine.
type Filler struct {
	g    *Generator
	bits *stream
	rng  *rand.Rand

	// Ids are made ahead, so that their strings cost one allocation for many.
	ids      string
	idsFrom  int
	idsUntil int

	draw [targets.Most]edge.Target
	flip []string // the flag of a probe that two PoPs answered
	view view
}

// view is the view that is being made.
type view struct {
	group   int
	key     uint64
	line    people.Line
	v6      bool
	asker   *asker
	day     edge.Day
	into    time.Duration
	at      time.Time
	changes bool // the network balances by packet
}

// Filler returns a new Filler.
func (g *Generator) Filler() *Filler {
	f := &Filler{g: g, bits: &stream{}, flip: []string{"flip"}}
	f.rng = rand.New(f.bits)
	return f
}

// Fill makes b view i, 0 to Views()−1. It uses the memory of b's slices again;
// nothing else of what b was remains. Flags of probes are the Filler's and must
// not be written to. Neighboring views cost an allocation for
// every 256 of them.
func (f *Filler) Fill(b *edge.Beacon, i int) {
	g, v := f.g, &f.view
	f.bits.state = noise.At(g.m.Seed, noise.View, uint64(i))
	var quarter int
	v.day, v.into, quarter = g.clock.when(i, f.rng)
	v.into = v.into.Truncate(time.Millisecond)
	v.at = v.day.Time().Add(v.into)
	v.group = g.clock.who(quarter, f.rng)
	v.key = g.people.Key(v.group)
	v.line = f.pickLine()
	v.v6 = v.line.V6.IsValid() && f.rng.Float64() < g.people.V6Users()
	v.asker = f.pickAsker()
	group := &g.topo.Groups[v.group]
	v.changes = g.balanced(group.AS)
	metro := g.people.ClientMetro(v.group, v.line.Block)

	*b = edge.Beacon{
		V: 1, ID: f.id(i), Rate: g.m.Rate, Received: v.at,
		Probes: b.Probes[:0], Flags: nil,
		Client: v.line.V4, Place: g.topo.Cities[metro].Place,
	}
	b.Place.ASN, b.Place.ASName = g.topo.ASNs[group.AS], g.topo.Names[group.AS]
	if v.v6 {
		b.Client = v.line.V6
	}
	b.Resolver.Addr = netip.PrefixFrom(addr4(v.asker.addr), 32)
	if v.asker.blocks != 0 {
		b.Resolver.ECS = b.Client
	}
	if f.rng.Float64() < g.m.Chromium {
		b.Net.Type = "4g"
		const slow = 270 // ms: what effectiveType calls 3g (Network Information API, section 5)
		if v.line.LastMile >= slow {
			b.Net.Type = "3g"
		}
	}
	for _, target := range g.choices[metro].Draw(f.draw[:0], f.rng) {
		n := len(b.Probes)
		b.Probes = slices.Grow(b.Probes, 1)[:n+1]
		f.probe(&b.Probes[n], target)
	}
	scheme := g.m.Page
	if g.m.PageBy != nil {
		scheme = g.m.PageBy(b)
	}
	f.page(&b.Page, scheme)
	b.Time = v.at.Add(-time.Duration(5+f.wait(20)) * time.Millisecond).UnixMilli()
}

// pickLine draws among the group's client prefixes that are seen on the day.
func (f *Filler) pickLine() people.Line {
	v := &f.view
	n := f.g.people.Lines(v.group)
	line := f.rng.IntN(n)
	// A group whose prefixes are all away still had its view.
	for range 8 {
		if f.g.active(v.key, line, v.day) {
			break
		}
		line = f.rng.IntN(n)
	}
	return f.g.people.Line(v.group, line)
}

// pickAsker draws who asks for the user: those who send their network along
// ask as their block does.
func (f *Filler) pickAsker() *asker {
	g, v := f.g, &f.view
	all := g.askers[g.first[v.group]:g.first[v.group+1]]
	u := float32(f.rng.Float64())
	last := &all[0]
	for i := range all {
		a := &all[i]
		if a.blocks != 0 {
			continue
		}
		last = a
		if u -= a.share; u < 0 {
			return a
		}
	}
	for i := range all {
		if all[i].blocks>>v.line.Block&1 != 0 {
			return &all[i]
		}
	}
	return last // rounding left a little over
}

// wait draws an exponential delay of the given mean, ms.
func (f *Filler) wait(mean float64) float64 { return mean * f.g.waits.draw(f.bits) }

// id returns the id of view i: 32 hexadecimal digits.
func (f *Filler) id(i int) string {
	const ahead, digits = 256, 32
	if i < f.idsFrom || i >= f.idsUntil {
		var text [ahead * digits]byte
		until := min(f.g.m.Views, i+ahead)
		for j := i; j < until; j++ {
			const high, low = 1, 2
			var b [16]byte
			binary.BigEndian.PutUint64(b[:8], noise.At(f.g.m.Seed, noise.View, uint64(j), high))
			binary.BigEndian.PutUint64(b[8:], noise.At(f.g.m.Seed, noise.View, uint64(j), low))
			hex.Encode(text[(j-i)*digits:], b[:])
		}
		f.ids, f.idsFrom, f.idsUntil = string(text[:max(0, until-i)*digits]), i, until
	}
	at := (i - f.idsFrom) * digits
	return f.ids[at : at+digits]
}

func addr4(n uint32) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], n)
	return netip.AddrFrom4(b)
}

func v4(a netip.Addr) uint32 {
	b := a.As4()
	return binary.BigEndian.Uint32(b[:])
}
