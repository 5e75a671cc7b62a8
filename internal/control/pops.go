package control

import (
	"net/http"
	"net/netip"
	"slices"
	"time"

	"catchment/internal/announce"
	"catchment/internal/edge"
)

// popNow is what is known of a PoP at the moment, and what operators want of
// it.
type popNow struct {
	PoP          edge.PoPID         `json:"pop"`
	Speaks       bool               `json:"speaks"` // BGP, by the fleet file
	Health       healthNow          `json:"health"`
	Ordered      *edge.Drain        `json:"ordered,omitempty"` // the drain that operators want; absent: in service
	Shed         *edge.Shed         `json:"shed,omitempty"`
	Announcement *edge.Announcement `json:"announcement,omitempty"` // exceptions

	Told        time.Time           `json:"told,omitzero"`         // when the PoP told the rest; absent: never
	Age         float64             `json:"age,omitempty"`         // of that, in seconds
	Drain       *announce.Progress  `json:"drain,omitempty"`       // where it is; absent: in service
	DNS         *announce.DNSSeen   `json:"dns,omitempty"`         // whether name servers leave it out
	Skip        *announce.Skip      `json:"skip,omitempty"`        // ordered, not yet followed
	Connections *int                `json:"connections,omitempty"` // open; absent: not known
	Traffic     *float64            `json:"traffic,omitempty"`     // requests/s over VIPs; absent: not known
	VIPs        []vipAtPoP          `json:"vips,omitempty"`
	Wanted      []announce.Wanted   `json:"wanted,omitempty"`
	Neighbors   []announce.Neighbor `json:"neighbors,omitempty"`
	Events      []announce.Event    `json:"events,omitempty"` // of one PoP only, oldest first
}

// vipAtPoP is a VIP at a PoP: as the PoP tells, and as the guard counts it.
type vipAtPoP struct {
	announce.VIPReport
	Counts  bool   `json:"counts"`  // as out, against the guard's limit
	Healthy bool   `json:"healthy"` // announced, and nothing is wrong
	Guard   string `json:"guard"`   // why
}

// vipNow is a VIP at all PoPs that may announce it.
type vipNow struct {
	VIP      edge.VIPID     `json:"vip"`
	Prefixes []netip.Prefix `json:"prefixes"`
	Limit    int            `json:"limit"` // how many PoPs automation may take out
	Out      int            `json:"out"`   // that count against it
	Healthy  int            `json:"healthy"`
	PoPs     []standing     `json:"pops"`
}

type standing struct {
	PoP     edge.PoPID `json:"pop"`
	Counts  bool       `json:"counts"`
	Healthy bool       `json:"healthy"`
	Why     string     `json:"why"`
}

func (c *Control) getPoPs(w http.ResponseWriter, _ *http.Request) {
	all := c.popsNow("", time.Now())
	for i := range all {
		all[i].Events = nil
	}
	writeJSON(w, http.StatusOK, all)
}

func (c *Control) getPoP(w http.ResponseWriter, r *http.Request) {
	id := edge.PoPID(r.PathValue("id"))
	all := c.popsNow(id, time.Now())
	if id == "" || len(all) == 0 {
		refuse(http.StatusNotFound, "", "there is no PoP %q", id).write(w)
		return
	}
	writeJSON(w, http.StatusOK, &all[0])
}

// popsNow returns one PoP, or all if only is empty.
func (c *Control) popsNow(only edge.PoPID, now time.Time) []popNow {
	all := []popNow{}
	c.mu.Lock()
	wanted := c.candidate(c.fleet, c.state, now)
	for i := range c.fleet.PoPs {
		id := c.fleet.PoPs[i].ID
		if only != "" && id != only {
			continue
		}
		all = append(all, popNow{
			PoP: id, Speaks: c.fleet.PoPs[i].BGP != nil, Health: c.healthNow(&c.fleet.PoPs[i], now),
			Ordered:      pick(wanted.Drains, func(d edge.Drain) bool { return d.PoP == id && !d.Ending }),
			Shed:         pick(wanted.Sheds, func(s edge.Shed) bool { return s.PoP == id }),
			Announcement: pick(wanted.Announcements, func(a edge.Announcement) bool { return a.PoP == id }),
		})
	}
	c.mu.Unlock()
	for i := range all {
		all[i].DNS = c.dnsSeen(all[i].PoP, now)
		c.guardian.describe(&all[i], now)
	}
	return all
}

func pick[T any](list []T, is func(T) bool) *T {
	if i := slices.IndexFunc(list, is); i >= 0 {
		return &list[i]
	}
	return nil
}

// describe adds what the PoP tells of itself.
func (g *guardian) describe(p *popNow, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.pops[p.PoP]
	if s == nil {
		return
	}
	p.Told, p.Age = s.at.UTC().Round(0), max(0, now.Sub(s.at).Seconds())
	p.Drain, p.Wanted, p.Neighbors, p.Events = s.Drain, s.Wanted, s.Neighbors, s.Events
	if s.Connections >= 0 {
		p.Connections = &s.Connections
	}
	if s.Traffic >= 0 {
		p.Traffic = &s.Traffic
	}
	if skip, ok := g.skips[p.PoP]; ok {
		p.Skip = &skip
	}
	for _, v := range s.Report.VIPs {
		x := vipAtPoP{VIPReport: v, Guard: "no VIP of this PoP"}
		for _, st := range g.guard.Standings(now, v.VIP) {
			if st.PoP == p.PoP {
				x.Counts, x.Healthy, x.Guard = st.Counts, st.Healthy, st.Why
			}
		}
		p.VIPs = append(p.VIPs, x)
	}
}

func (c *Control) getVIPs(w http.ResponseWriter, _ *http.Request) {
	c.mu.Lock()
	f := c.fleet
	c.mu.Unlock()
	now := time.Now()
	all := []vipNow{}
	for _, v := range f.VIPs {
		all = append(all, c.guardian.vipNow(&v, now))
	}
	writeJSON(w, http.StatusOK, all)
}

func (g *guardian) vipNow(v *edge.VIP, now time.Time) vipNow {
	list, limit := g.standings(v.ID, now)
	x := vipNow{VIP: v.ID, Prefixes: v.Prefixes, Limit: limit, PoPs: []standing{}}
	for _, s := range list {
		if s.Counts {
			x.Out++
		}
		if s.Healthy {
			x.Healthy++
		}
		x.PoPs = append(x.PoPs, standing(s))
	}
	return x
}
