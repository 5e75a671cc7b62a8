package report

import (
	"fmt"
	"io"
	"strings"

	"catchment/internal/sim"
)

// SimExplain writes how a network finds a VIP, hop by hop, and why not the PoP
// that would be best. CSV has the table "path" or "best".
func SimExplain(w io.Writer, f Format, e *sim.Explanation, about SimAbout) error {
	where := fmt.Sprintf("%s in %s, %s users, to %s", strings.TrimSpace(fmt.Sprintf("AS%d %s", e.ASN, e.Name)), e.Metro, users(e.Users), e.VIP)
	end := "reaches no PoP"
	if e.Path.PoP != "" {
		end = fmt.Sprintf("reaches %s in %s ms", e.Path.PoP, latency(e.Path.RTT))
	}
	d := simDocument{
		lead:   []string{where + ": " + end + "."},
		sheets: map[string]*sheet{"path": hopsSheet(&e.Path, "The way to "+string(e.VIP)), "best": {columns: hopColumns, titles: hopTitles}},
		order:  []string{"path", "best"},
		json:   explainJSON(e, &about),
		footer: []string{"choices: equally good neighbors and sessions, of which the one in \"next\" is taken. RTT without the last mile. Seed " + fmt.Sprint(about.Seed) + "."},
	}
	switch {
	case e.Best.PoP == "":
		d.lead = append(d.lead, "No PoP can be reached.")
	case e.Best.PoP == e.Path.PoP:
		d.lead = append(d.lead, "No PoP is nearer by RTT.")
	default:
		verdict := "not optimal"
		if e.Good {
			verdict = "optimal, within the tolerance"
		}
		d.lead = append(d.lead,
			fmt.Sprintf("The best PoP is %s, %s ms to its own address (%s: %s ms; %s).", e.Best.PoP, latency(e.Best.RTT), orNone(string(e.Path.PoP)), latency(e.Own), verdict),
			"Why not: "+e.Reason+".")
		d.sheets["best"] = hopsSheet(&e.Best, "The way to "+string(e.Best.PoP)+"'s own address")
	}
	d.footer = append(d.footer, about.origin()...)
	return d.write(w, f, about.Table)
}

var hopColumns = []column{
	{title: "network"},
	{title: "from"},
	{title: "hands over in"},
	{title: "km", right: true},
	{title: "ms", right: true},
	{title: "route"},
	{title: "hops", right: true},
	{title: "choices", right: true},
	{title: "why"},
	{title: "next"},
}

var hopTitles = []string{"asn", "as_name", "in", "out", "km", "rtt", "class", "length", "choices", "why", "next"}

func hopsSheet(p *sim.Path, title string) *sheet {
	s := &sheet{title: title, columns: hopColumns, titles: hopTitles}
	for i := range p.Hops {
		h := &p.Hops[i]
		next := fmt.Sprintf("AS%d", h.Next)
		if h.Next == 0 {
			next = popText(p.PoP)
		}
		s.rows = append(s.rows, []string{
			short(fmt.Sprintf("AS%d %s", h.ASN, h.Name), 24), h.In, h.Out, users(h.Km), latency(h.RTT), h.Class, fmt.Sprint(h.Length), fmt.Sprint(h.Choices), h.Why, next,
		})
		s.csv = append(s.csv, []string{
			fmt.Sprint(h.ASN), h.Name, h.In, h.Out, rounded(h.Km, 0), csvMillis(h.RTT), h.Class, fmt.Sprint(h.Length), fmt.Sprint(h.Choices), h.Why, fmt.Sprint(h.Next),
		})
	}
	return s
}

func explainJSON(e *sim.Explanation, about *SimAbout) object {
	path := func(p *sim.Path) object {
		hops := list{}
		for i := range p.Hops {
			h := &p.Hops[i]
			hops = append(hops, object{
				{"asn", uint64(h.ASN)},
				{"as_name", h.Name},
				{"in", h.In},
				{"out", h.Out},
				{"km", figure(h.Km)},
				{"rtt", millis(h.RTT)},
				{"class", h.Class},
				{"length", uint64(h.Length)},
				{"choices", uint64(h.Choices)},
				{"why", h.Why},
				{"next", uint64(h.Next)},
			})
		}
		return object{{"pop", string(p.PoP)}, {"rtt", millis(p.RTT)}, {"hops", hops}}
	}
	return append(about.members(), object{
		{"vip", string(e.VIP)},
		{"asn", uint64(e.ASN)},
		{"as_name", e.Name},
		{"metro", e.Metro},
		{"users", people(e.Users)},
		{"path", path(&e.Path)},
		{"best", path(&e.Best)},
		{"own_rtt", millis(e.Own)},
		{"optimal", e.Good},
		{"why_not", e.Reason},
	}...)
}
