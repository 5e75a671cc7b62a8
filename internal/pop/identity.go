package pop

import (
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"catchment/internal/edge"
)

// identity is what a PoP says about itself. Header values that never change
// are made once and shared by every response, so nobody may write to them.
type identity struct {
	pop   []string
	start string // Server-Timing up to the PoP
	vips  map[netip.Addr]edge.VIPID
	probe string // parent of the probe names
}

var (
	anyOrigin = []string{"*"}
	exposed   = []string{"X-PoP, Server-Timing"}
	noStore   = []string{"no-store"}
	plainText = []string{"text/plain; charset=utf-8"}
	anyBytes  = []string{"application/octet-stream"}
)

func newIdentity(id edge.PoPID, f *edge.Fleet) *identity {
	n := &identity{
		pop:   []string{string(id)},
		start: `pop;desc="` + string(id) + `"`,
		vips:  map[netip.Addr]edge.VIPID{},
		probe: canonical(f.Probe),
	}
	for _, v := range f.VIPs {
		for _, a := range v.Addresses {
			n.vips[a.Unmap().WithZone("")] = v.ID
		}
	}
	return n
}

// vip returns the VIP that c was accepted on. It is empty on the PoP's own
// unicast address, and on one that the fleet does not know, such as the inner
// address of a load balancer that sends no PROXY header.
func (n *identity) vip(c *conn) edge.VIPID {
	if c.vip != "" {
		return c.vip
	}
	return n.vips[c.local()]
}

// write sets the headers that every response carries. The time since begin is
// the server's own share of the request, so it is called last of all.
func (n *identity) write(h http.Header, c *conn, begin time.Time) {
	// Assigned, not Set: Set would spell it X-Pop.
	h["X-PoP"] = n.pop
	h["Timing-Allow-Origin"] = anyOrigin
	h["Access-Control-Allow-Origin"] = anyOrigin
	h["Access-Control-Expose-Headers"] = exposed
	h["Cache-Control"] = noStore

	b := append(make([]byte, 0, 128), n.start...)
	if vip := n.vip(c); vip != "" {
		b = append(append(append(b, `, vip;desc="`...), vip...), '"')
	}
	var smoothed, least time.Duration
	if c.socket != nil {
		smoothed, least = roundTrips(c.socket)
	}
	b = appendDuration(b, ", srv;dur=", time.Since(begin))
	if smoothed > 0 {
		b = appendDuration(b, ", rtt;dur=", smoothed)
	}
	if least > 0 {
		b = appendDuration(b, ", mrtt;dur=", least)
	}
	switch a := c.local(); {
	case a.Is4():
		b = append(b, `, af;desc="4"`...)
	case a.Is6():
		b = append(b, `, af;desc="6"`...)
	}
	h["Server-Timing"] = []string{string(b)}
}

// appendDuration appends d in milliseconds, to the microsecond.
func appendDuration(b []byte, label string, d time.Duration) []byte {
	b = append(b, label...)
	return strconv.AppendFloat(b, float64(d.Microseconds())/1000, 'f', -1, 64)
}

// isProbe reports whether host, with or without port, is a probe name.
func (n *identity) isProbe(host string) bool {
	return underProbe(host, n.probe)
}

// underProbe reports whether host is probe or a name under it. Probe is
// canonical; an empty one has no names.
func underProbe(host, probe string) bool {
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		host = host[:i]
	}
	host = canonical(host)
	return probe != "" && (host == probe || strings.HasSuffix(host, "."+probe))
}

// canonical returns a DNS name in lower case, without the trailing dot.
func canonical(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }
