package control

import (
	"encoding/json"
	"net/http"
	"net/netip"
	"slices"

	"catchment/internal/edge"
)

// maxPrepend is how often our ASN may be repeated in addition.
const maxPrepend = 10

func makeAnnouncement(q *request, _ json.RawMessage) (any, *apiError) {
	var b struct {
		*common
		Withdraw []edge.VIPID   `json:"withdraw"`
		Prepend  map[string]int `json:"prepend"`
	}
	b.common = &q.common
	if err := q.body(&b); err != nil {
		return nil, err
	}
	a := edge.Announcement{PoP: edge.PoPID(q.id), By: q.who, Why: q.Why}
	slices.Sort(b.Withdraw)
	a.Withdraw = slices.Compact(b.Withdraw)
	for text, n := range b.Prepend {
		addr, err := netip.ParseAddr(text)
		switch {
		case err != nil:
			return nil, refuse(http.StatusBadRequest, "prepend", "%q is not an address", text)
		case n < 1 || n > maxPrepend:
			return nil, refuse(http.StatusUnprocessableEntity, "prepend", "%d is not 1 to %d", n, maxPrepend)
		}
		if a.Prepend == nil {
			a.Prepend = map[string]int{}
		}
		a.Prepend[addr.String()] = n
	}
	if len(a.Withdraw) == 0 && len(a.Prepend) == 0 {
		return nil, refuse(http.StatusBadRequest, "withdraw", "want VIPs to withdraw or neighbors to prepend for; DELETE ends an exception")
	}
	return a, nil
}

// checkExceptions refuses exceptions to what the PoP does not announce.
func (c *Control) checkExceptions(value json.RawMessage) *apiError {
	var a edge.Announcement
	_ = json.Unmarshal(value, &a) // it was made here
	p, ok := c.fleet.PoP(a.PoP)
	if !ok || p.BGP == nil {
		return refuse(http.StatusUnprocessableEntity, "pop", "%s has no bgp in the fleet file", a.PoP)
	}
	own := c.fleet.VIPsOf(a.PoP)
	for _, id := range a.Withdraw {
		if !slices.ContainsFunc(own, func(v edge.VIP) bool { return v.ID == id }) {
			return refuse(http.StatusUnprocessableEntity, "withdraw", "%s does not announce VIP %q", a.PoP, id)
		}
	}
	for addr := range a.Prepend {
		if !hasNeighbor(p, addr) {
			return refuse(http.StatusUnprocessableEntity, "prepend", "%s has no neighbor %s", a.PoP, addr)
		}
	}
	return nil
}

func hasNeighbor(p *edge.PoP, addr string) bool {
	return slices.ContainsFunc(p.BGP.Neighbors, func(n edge.Neighbor) bool { return n.Address.String() == addr })
}

// checkAnnouncement refuses to withdraw a VIP that no other PoP would announce
// and find well.
func (c *Control) checkAnnouncement(next *edge.Snapshot, q *request) *apiError {
	now, pop := c.candidate(c.fleet, c.state, q.now), edge.PoPID(q.id)
	for _, a := range next.Announcements {
		if a.PoP != pop {
			continue
		}
		for _, vip := range a.Withdraw {
			if !unwanted(now, pop, vip) && !c.othersAnnounce(next, vip, pop, q) {
				return refuse(http.StatusConflict, "withdraw", "no other PoP announces %s and finds it well; say \"force\": true if that is meant", vip)
			}
		}
	}
	return nil
}

func (c *Control) othersAnnounce(next *edge.Snapshot, vip edge.VIPID, but edge.PoPID, q *request) bool {
	all, _ := c.guardian.standings(vip, q.now)
	for _, s := range all {
		if s.PoP != but && s.Healthy && !unwanted(next, s.PoP, vip) {
			return true
		}
	}
	return false
}

// exceptions leaves out what is about something that is not in the fleet (any
// more).
func exceptions(f *edge.Fleet, all []edge.Announcement) []edge.Announcement {
	var left []edge.Announcement
	for _, a := range all {
		p, ok := f.PoP(a.PoP)
		if !ok || p.BGP == nil {
			continue
		}
		own := f.VIPsOf(a.PoP)
		a.Withdraw = keep(a.Withdraw, func(id edge.VIPID) bool {
			return slices.ContainsFunc(own, func(v edge.VIP) bool { return v.ID == id })
		})
		for addr := range a.Prepend {
			if !hasNeighbor(p, addr) {
				delete(a.Prepend, addr)
			}
		}
		if len(a.Withdraw) > 0 || len(a.Prepend) > 0 {
			left = append(left, a)
		}
	}
	return left
}
