package steer

import (
	"cmp"
	"slices"

	"catchment/internal/edge"
)

// grower is the walk that goes both ways.
type grower struct{ *forest }

func (g grower) fork(f fork, _ string, yes, no func() ref) ref {
	f.yes, f.no = yes(), no()
	return g.forest.fork(f)
}

func (grower) say(string, ...any) {}

// compile builds a service's tables.
func (p *Plan) compile(x *edge.Service, pins *pins, v *views) *Service {
	s := &Service{
		name: x.Name, scheme: x.Scheme, ttl: x.TTL, fullTTL: x.TTL,
		forest: &forest{known: map[fork]ref{}}, rules: newRules(p, x, pins),
	}
	if p.fleet.changing != "" {
		s.ttl = min(s.ttl, cmp.Or(p.snapshot.Policy.MinTTL, DefaultMinTTL))
	}
	roots := s.roots(v, nil)
	runs := v.runs(roots)
	s.tables = p.makeTables(runs)
	s.cost = costOf(s, v, roots, runs)
	s.pinResolvers(v, pins)

	s.answers = s.rules.answers
	for i := range s.answers {
		s.answers[i].TTL = s.ttl
	}
	s.forest.known = nil
	return s
}

// roots returns what each class of clients leads to.
func (s *Service) roots(v *views, resolver *edge.Pin) []ref {
	roots := make([]ref, len(v.classes))
	for i := range v.classes {
		roots[i] = s.rules.decide(grower{s.forest}, v.lists.client(v.classes[i]), resolver)
	}
	return roots
}

// runs returns the address space in runs that lead to the same.
func (v *views) runs(roots []ref) (runs [2][]run) {
	for f := range runs {
		runs[f] = make([]run, len(v.from[f]))
		for i, class := range v.class[f] {
			runs[f][i] = run{v.from[f][i], roots[class]}
		}
		runs[f] = merge(runs[f])
	}
	return runs
}

// makeTables makes the tables of runs. One that another service has, too, as
// is the rule for services of one scheme, is shared.
func (p *Plan) makeTables(runs [2][]run) tables {
	t := tables{newTable4(runs[v4]), newTable6(runs[v6])}
	for _, o := range p.services {
		if slices.Equal(t.v4.runs, o.tables.v4.runs) {
			t.v4 = o.tables.v4
		}
		if slices.Equal(t.v6.runs, o.tables.v6.runs) {
			t.v6 = o.tables.v6
		}
	}
	return t
}

// pinResolvers makes the tables of pinned resolvers; pins to the same share
// theirs.
func (s *Service) pinResolvers(v *views, pins *pins) {
	if len(pins.resolver[v4])+len(pins.resolver[v6]) == 2 {
		return // no more than the run of those that are not pinned
	}
	type target struct {
		scheme edge.Scheme
		pop    edge.PoPID
	}
	made := map[target]*tables{}
	s.pinned = pinnedResolvers{runs: pins.resolver, pins: make([]*edge.Pin, len(pins.sets)), tables: make([]*tables, len(pins.sets))}
	for f := range pins.resolver {
		for _, r := range pins.resolver[f] {
			pin := pins.first(r.value, s.name)
			if pin == nil || s.pinned.pins[r.value] != nil {
				continue
			}
			k := target{pin.Scheme, pin.PoP}
			if made[k] == nil {
				t := s.rules.plan.makeTables(v.runs(s.roots(v, pin)))
				made[k] = &t
			}
			s.pinned.pins[r.value], s.pinned.tables[r.value] = pin, made[k]
		}
	}
}
