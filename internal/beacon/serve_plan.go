package beacon

import (
	"net/http"
	"net/netip"
	"time"

	"catchment/internal/edge"
)

func (c *Collector) servePlan(w http.ResponseWriter, r *http.Request) {
	now := time.Now()
	from := c.client(r)
	if wait := c.plans.take(capKey(from.addr), 1, now); wait > 0 {
		c.metrics.planRefuse[ReasonCap].Inc()
		ref := refuse(http.StatusTooManyRequests, ReasonCap, "too many plans for this network")
		ref.retry = wait
		ref.write(w)
		return
	}
	var place edge.Place
	if from.addr.IsValid() {
		place = c.places.Lookup(from.addr)
	}
	s := c.state.Load()
	c.metrics.plans.Inc()
	writeJSON(w, http.StatusOK, MakePlan(s.fleet, place, c.rng, now, c.cfg.PlanTTL, c.cfg.Keys, s.url))
}

// whoami is what the collector makes of a client. It is told to that client
// alone and kept nowhere.
type whoami struct {
	Address string     `json:"address"` // empty: not known
	Source  string     `json:"source"`  // connection, x-forwarded-for or forwarded
	Because string     `json:"because"`
	Kept    string     `json:"kept"` // the prefix that a beacon is stored with
	Place   edge.Place `json:"place"`
}

func (c *Collector) serveWhoami(w http.ResponseWriter, r *http.Request) {
	w.Header().Del("Access-Control-Allow-Origin") // not for the scripts of other sites
	from := c.client(r)
	a := whoami{Source: from.source, Because: from.because}
	if from.addr.IsValid() {
		a.Address = from.addr.String()
		a.Kept = c.cfg.Keep.cut(whole(from.addr)).String()
		a.Place = c.places.Lookup(from.addr)
	}
	writeJSON(w, http.StatusOK, a)
}

// whole returns a as a prefix of all its bits.
func whole(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }
