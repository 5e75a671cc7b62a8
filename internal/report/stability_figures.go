package report

import (
	"strings"

	"catchment/internal/analysis"
	"catchment/internal/edge"
)

// survivalTitles are the columns of CSV that say how connections fared over
// the VIP, over unicast, and how much worse that is.
func survivalTitles() (titles []string) {
	for _, over := range []string{"vip_", "unicast_"} {
		for _, t := range []string{"downloads", "minutes", "broken", "episodes", "rate", "rate_low", "rate_high", "unmade", "big", "swallowed"} {
			titles = append(titles, over+t)
		}
	}
	return append(titles, "excess", "excess_low", "excess_high", "ratio", "ratio_low", "ratio_high")
}

func survivalCSV(v *analysis.Survival) []string {
	cells := []string{csvCount(v.Downloads), csvMillis(v.Minutes), csvCount(v.Broken), csvCount(v.Episodes)}
	return append(append(cells, csvRate(v.Rate)...), csvCount(v.Unmade), csvCount(v.Big), csvCount(v.Swallowed))
}

func survivalJSON(v *analysis.Survival) object {
	return object{
		{"downloads", v.Downloads},
		{"minutes", figure(v.Minutes)},
		{"broken", v.Broken},
		{"episodes", v.Episodes},
		{"rate", rateJSON(v.Rate)},
		{"unmade", v.Unmade},
		{"big", v.Big},
		{"swallowed", v.Swallowed},
	}
}

// rateDigits are those of rates per minute after the point.
const rateDigits = 8

func csvRate(r analysis.Rate) []string {
	return []string{rounded(r.PerMinute, rateDigits), rounded(r.Low, rateDigits), rounded(r.High, rateDigits)}
}

func rateJSON(r analysis.Rate) object {
	c := csvRate(r)
	return object{{"per_minute", exact(c[0])}, {"low", exact(c[1])}, {"high", exact(c[2])}}
}

// csvRatio is of a ratio, which has no unit.
func csvRatio(r analysis.Rate) []string {
	return []string{rounded(r.PerMinute, 4), rounded(r.Low, 4), rounded(r.High, 4)}
}

func ratioJSON(r analysis.Rate) object {
	c := csvRatio(r)
	return object{{"ratio", exact(c[0])}, {"low", exact(c[1])}, {"high", exact(c[2])}}
}

func ratioOf(r *analysis.StabilityRow) analysis.Rate {
	return analysis.Rate{PerMinute: r.Ratio, Low: r.RatioLow, High: r.RatioTop}
}

func groupStabilityTitles() []string {
	titles := append([]string{"verdict", "pattern", "course"}, survivalTitles()...)
	titles = append(titles, "chance", "pairs", "flips", "within", "resets", "resets_confirmed")
	for _, o := range edge.DownloadOutcomes {
		titles = append(titles, strings.ReplaceAll(string(o), " ", "_"))
	}
	return titles
}

func (a *AboutStability) csv(r *analysis.StabilityRow) []string {
	cells := append(groupCSV(r.Group, a.Networks), string(r.Verdict), string(r.Pattern), string(r.Course))
	cells = append(append(cells, survivalCSV(&r.VIP)...), survivalCSV(&r.Unicast)...)
	cells = append(append(cells, csvRate(r.Excess)...), csvRatio(ratioOf(r))...)
	resets, confirmed := a.Resets(r.Group)
	cells = append(cells, rounded(r.Chance, 12), csvCount(r.Pairs), csvCount(r.Flips), csvCount(r.Within), csvCount(resets), csvCount(confirmed))
	for _, o := range edge.DownloadOutcomes {
		cells = append(cells, csvCount(r.VIP.Outcomes[o]))
	}
	return cells
}

func (a *AboutStability) json(r *analysis.StabilityRow) object {
	resets, confirmed := a.Resets(r.Group)
	outcomes := object{}
	for _, o := range edge.DownloadOutcomes {
		if n := r.VIP.Outcomes[o]; n > 0 {
			outcomes = append(outcomes, member{string(o), n})
		}
	}
	o := append(object{{"group", groupJSON(r.Group)}}, groupNames(r.Group, a.Networks)...)
	return append(o, object{
		{"verdict", string(r.Verdict)},
		{"pattern", string(r.Pattern)},
		{"course", string(r.Course)},
		{"vip", survivalJSON(&r.VIP)},
		{"unicast", survivalJSON(&r.Unicast)},
		{"excess", rateJSON(r.Excess)},
		{"ratio", ratioJSON(ratioOf(r))},
		{"chance", exact(rounded(r.Chance, 12))},
		{"pairs", r.Pairs},
		{"flips", r.Flips},
		{"within", r.Within},
		{"resets", resets},
		{"resets_confirmed", confirmed},
		{"outcomes", outcomes},
	}...)
}
