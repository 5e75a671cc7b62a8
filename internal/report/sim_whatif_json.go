package report

import (
	"math"

	"catchment/internal/sim"
)

func (c *simChange) json() object {
	var edits texts
	for _, e := range c.runs[0].Edits {
		edits = append(edits, e.String())
	}
	of := func(get func(*sim.Change) float64) any { return spread(over(c.runs, get), asCount) }
	shift := func(of func(*sim.Change) *sim.Shift) (o object) {
		for _, q := range quantiles {
			o = append(o, member{q.name, spread(over(c.runs, func(x *sim.Change) float64 { return q.get(of(x)) }), asMillis)})
		}
		return o
	}
	moves, pops, causes := list{}, list{}, list{}
	for i := range c.moves {
		m := &c.moves[i]
		rtt := object{}
		for _, q := range quantiles {
			rtt = append(rtt, member{q.name, spread(m.shift(q.get), asMillis)})
		}
		moves = append(moves, object{
			{"from", string(m.from)}, {"to", string(m.to)}, {"users", spread(m.users(), asCount)}, {"rtt", rtt}, {"engine", string(sim.ByTopology)},
		})
	}
	for i, p := range c.runs[0].PoPs {
		pops = append(pops, object{
			{"pop", string(p.PoP)},
			{"capacity", figure(known(p.Capacity))},
			{"users_before", spread(c.pop(i, func(p *sim.PoPChange) float64 { return p.Before }), asCount)},
			{"users_after", spread(c.pop(i, func(p *sim.PoPChange) float64 { return p.After }), asCount)},
			{"rate_after", spread(c.pop(i, func(p *sim.PoPChange) float64 { return p.Rate }), asFigure)},
			{"over", share(mean(c.pop(i, func(p *sim.PoPChange) float64 { return oneIf(p.Over()) })))}, // of the seeds
			{"engine", string(sim.ByTopology)},
		})
	}
	for i := range c.causes {
		m := &c.causes[i]
		x := m.sample
		causes = append(causes, object{
			{"asn", uint64(x.ASN)},
			{"as_name", x.Name},
			{"from", string(x.From)},
			{"to", string(x.To)},
			{"seeds", uint64(m.in)},
			{"users", people(mean(m.users))},
			{"lost_user_ms", figure(math.Round(mean(m.lost)))},
			{"metro", x.Metro},
			{"path_before", numbers(x.Before)},
			{"path_after", numbers(x.After)},
			{"why", x.Why},
			{"engine", string(x.Engine)},
		})
	}
	return append(c.about.members(), object{
		{"vip", string(c.runs[0].VIP)},
		{"edits", edits},
		{"users", of(func(x *sim.Change) float64 { return x.Users })},
		{"moved", of(func(x *sim.Change) float64 { return x.Moved })},
		{"lost", of(func(x *sim.Change) float64 { return x.Lost })},
		{"rtt_moved", shift(func(x *sim.Change) *sim.Shift { return &x.MovedShift })},
		{"rtt_all", shift(func(x *sim.Change) *sim.Shift { return &x.All })},
		{"moves", moves},
		{"pops", pops},
		{"causes", causes},
	}...)
}
