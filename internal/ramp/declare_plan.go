package ramp

import (
	"slices"

	"catchment/internal/edge"
)

func (d *decoder) plan(v value, p *Plan) {
	d.mapping(v, keys{
		{"id", func(v value) { p.ID = d.word(v) }},
		{"service", func(v value) { p.Service = d.word(v) }},
		{"from", func(v value) { p.From = d.scheme(v) }},
		{"to", func(v value) { p.To = d.scheme(v) }},
		{"salt", func(v value) { p.Salt = d.word(v) }},
		{"granule", func(v value) { p.Granule = d.granule(v) }},
		{"geographies", func(v value) { p.Geographies = list(d, v, d.geography) }},
		{"at_once", func(v value) { p.AtOnce = d.whole(v) }},
		{"observe", func(v value) { p.Observe = d.duration(v) }},
		{"steps", func(v value) { p.Steps = list(d, v, d.share) }},
		{"dwell", func(v value) {
			d.mapping(v, keys{
				{"time", func(v value) { p.Dwell.Time = d.duration(v) }},
				{"views", func(v value) { p.Dwell.Views = d.whole(v) }},
			})
		}},
		{"settle", func(v value) { p.Settle = d.duration(v) }},
		{"patience", func(v value) { p.Patience = d.duration(v) }},
		{"guardrails", func(v value) { p.Guardrails = list(d, v, d.guardrail) }},
		{"power", func(v value) { p.Power = d.share(v) }},
		{"network_margin", func(v value) { p.NetworkMargin = d.number(v, false) }},
		{"stale", func(v value) { p.Stale = d.duration(v) }},
		{"contamination", func(v value) { p.Contamination = d.share(v) }},
		{"retries", func(v value) { p.Retries = d.whole(v) }},
		{"retry_after", func(v value) { p.RetryAfter = d.duration(v) }},
		{"blackout", func(v value) { p.Blackout = list(d, v, d.blackout) }},
	})
	if p.Salt == "" {
		p.Salt = p.ID
	}
}

func (d *decoder) granule(v value) (g edge.Granule) {
	d.mapping(v, keys{
		{"v4", func(v value) { g.V4 = d.whole(v) }},
		{"v6", func(v value) { g.V6 = d.whole(v) }},
	})
	return g
}

func (d *decoder) geography(v value) (g Geography) {
	d.mapping(v, keys{
		{"id", func(v value) { g.ID = d.word(v) }},
		{"continents", func(v value) { g.Continents = list(d, v, d.continent) }},
		{"countries", func(v value) { g.Countries = list(d, v, d.country) }},
		{"subdivisions", func(v value) { g.Subdivisions = list(d, v, d.subdivision) }},
		{"asns", func(v value) { g.ASNs = list(d, v, d.asn) }},
		{"networks", func(v value) { g.Networks = list(d, v, d.asn) }},
	})
	return g
}

// guardrail reads one; what is left out is as the metric's default has it.
func (d *decoder) guardrail(v value) Guardrail {
	var metric Metric
	set := Guardrail{}
	given := map[string]bool{}
	key := func(name string, read func(value)) func(value) {
		return func(v value) {
			given[name] = true
			read(v)
		}
	}
	d.mapping(v, keys{
		{"metric", func(v value) {
			metric = Metric(d.text(v, "one of "+metricNames(), func(s string) bool { return slices.Contains(Metrics[:], Metric(s)) }))
		}},
		{"margin", key("margin", func(v value) { set.Margin = d.share(v) })},
		{"relative", key("relative", func(v value) { set.Relative = d.share(v) })},
		{"confidence", key("confidence", func(v value) { set.Confidence = d.share(v) })},
		{"window", key("window", func(v value) { set.Window = d.duration(v) })},
		{"on_breach", key("on_breach", func(v value) { set.OnBreach = Response(d.word(v)) })},
		{"scope", key("scope", func(v value) { set.Scope = Scope(d.word(v)) })},
	})
	g := DefaultGuardrail(metric)
	if given["margin"] {
		g.Margin, g.Relative = set.Margin, 0 // who gives one of them means that alone
	}
	if given["relative"] {
		g.Relative = set.Relative
	}
	if given["confidence"] {
		g.Confidence = set.Confidence
	}
	if given["window"] {
		g.Window = set.Window
	}
	if given["on_breach"] {
		g.OnBreach = set.OnBreach
	}
	if given["scope"] {
		g.Scope = set.Scope
	}
	return g
}

func (d *decoder) blackout(v value) (b Blackout) {
	d.mapping(v, keys{
		{"days", func(v value) { b.Days = list(d, v, d.word) }},
		{"from", func(v value) { b.From = d.word(v) }},
		{"until", func(v value) { b.Until = d.word(v) }},
		{"zone", func(v value) { b.Zone = d.duration(v) }},
	})
	return b
}
