package dash

import (
	"net/http"

	"catchment/internal/edge"
)

type fleetAnswer struct {
	PoPs     []site        `json:"pops"`
	VIPs     []edge.VIPID  `json:"vips"`
	Services []string      `json:"services"`
	Regions  []fleetRegion `json:"regions"`
	Zone     string        `json:"zone"`
	Example  string        `json:"example,omitempty"`
}

type site struct {
	ID       edge.PoPID `json:"id"`
	Place    edge.Place `json:"place"`
	Capacity float64    `json:"capacity,omitempty"`
	Speaks   bool       `json:"speaks"`
}

type fleetRegion struct {
	ID   edge.RegionID `json:"id"`
	VIP  edge.VIPID    `json:"vip"`
	PoPs []edge.PoPID  `json:"pops"`
}

func (d *Dash) getFleet(w http.ResponseWriter, _ *http.Request) {
	f := d.cfg.Fleet()
	out := fleetAnswer{PoPs: []site{}, VIPs: []edge.VIPID{}, Services: []string{}, Regions: []fleetRegion{}, Zone: f.Zone}
	for _, p := range f.PoPs {
		out.PoPs = append(out.PoPs, site{p.ID, p.Place, p.Capacity, p.BGP != nil})
	}
	for _, v := range f.VIPs {
		out.VIPs = append(out.VIPs, v.ID)
	}
	for _, s := range f.Services {
		out.Services = append(out.Services, s.Name)
	}
	for _, r := range f.Regions {
		out.Regions = append(out.Regions, fleetRegion{r.ID, r.VIP, append([]edge.PoPID{}, r.PoPs...)})
	}
	if d.cfg.Example.IsValid() {
		out.Example = d.cfg.Example.String()
	}
	writeJSON(w, http.StatusOK, out)
}
