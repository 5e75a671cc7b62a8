package fleet

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"catchment/internal/edge"
)

// Defaults of a health check.
const (
	DefaultRise  = 3
	DefaultFall  = 3
	DefaultEvery = time.Second
	// A health check may take half of its period unless it says otherwise.
	timeoutPart = 2
)

// maxChecks bounds the health checks, and the groups of them, of a PoP.
const maxChecks = 64

func (d *decoder) health(v value) edge.HealthCheck {
	h := edge.HealthCheck{Rise: DefaultRise, Fall: DefaultFall, Every: DefaultEvery}
	count := func(v value) int { return int(d.integer(v, 1, 100, "a whole number from 1 to 100")) }
	d.mapping(v,
		may("name", func(v value) { h.Name = d.id(v) }),
		may("http", func(v value) { h.HTTP = d.url(v) }),
		may("tcp", func(v value) { h.TCP = d.hostPort(v, "") }),
		may("dns", func(v value) { h.DNS = d.dnsCheck(v) }),
		may("exec", func(v value) { h.Exec = d.command(v) }),
		may("rise", func(v value) { h.Rise = count(v) }),
		may("fall", func(v value) { h.Fall = count(v) }),
		may("every", func(v value) {
			h.Every = d.duration(v, 100*time.Millisecond, time.Hour, "a duration from 100ms to 1h, such as 1s")
		}),
		may("timeout", func(v value) {
			h.Timeout = d.duration(v, time.Millisecond, time.Hour, "a duration from 1ms, such as 500ms")
		}),
	)
	if _, set := d.lines[join(v.path, "timeout")]; !set {
		h.Timeout = h.Every / timeoutPart
	}
	return h
}

func (d *decoder) dnsCheck(v value) *edge.DNSCheck {
	c := edge.DNSCheck{Type: "A"}
	d.mapping(v,
		need("server", "the name server's address, such as 127.0.0.1", func(v value) { c.Server = d.hostPort(v, "53") }),
		need("name", "the name to ask for", func(v value) { c.Name = d.name(v) }),
		may("type", func(v value) { c.Type = d.recordType(v) }),
	)
	return &c
}

func (d *decoder) recordType(v value) string {
	types := []string{"A", "AAAA", "NS", "SOA", "TXT"}
	want := "one of " + strings.Join(types, ", ")
	s, ok := d.scalar(v, want)
	if ok && !slices.Contains(types, s) {
		d.at(v.path, quote(s)+" cannot be asked for", "want "+want)
		return ""
	}
	return s
}

// hostPort reads an IP address with a port; without one it is the usual port,
// if there is one.
func (d *decoder) hostPort(v value, usual string) string {
	want := "an IP address and port, such as 127.0.0.1:443"
	if usual != "" {
		want = "an IP address, such as 127.0.0.1 or [::1]:53"
	}
	s, ok := d.scalar(v, want)
	if !ok {
		return ""
	}
	if a, err := netip.ParseAddr(s); err == nil && usual != "" {
		return net.JoinHostPort(a.String(), usual)
	}
	host, port, err := net.SplitHostPort(s)
	n, portErr := strconv.ParseUint(port, 10, 16)
	_, addrErr := netip.ParseAddr(host)
	if err != nil || portErr != nil || n == 0 || addrErr != nil {
		d.at(v.path, quote(s)+" does not fit", "want "+want)
		return ""
	}
	return s
}

// command reads a command and its arguments.
func (d *decoder) command(v value) []string {
	return list(d, v, func(v value) string {
		s, _ := d.scalar(v, "an argument")
		return s
	})
}

func (d *decoder) healthGroup(v value) (g edge.HealthGroup) {
	d.mapping(v,
		need("id", "a short name, such as content", func(v value) { g.ID = d.id(v) }),
		may("need", func(v value) { g.Need = d.howMany(v) }),
		need("checks", "a list of the names of health checks", func(v value) { g.Checks = list(d, v, d.id) }),
	)
	return g
}

// howMany reads how many checks of a group must be up; 0 is all.
func (d *decoder) howMany(v value) int {
	const want = "all, any, or how many of the checks must be up"
	switch s, ok := d.scalar(v, want); {
	case !ok, s == "all":
		return 0
	case s == "any":
		return 1
	}
	return int(d.integer(v, 1, maxChecks, want))
}

// checkHealth names the checks of a PoP, and finds what is wrong with them and
// with the groups.
func (c *checker) checkHealth(p *edge.PoP, path string) {
	names := map[string]string{}
	for j := range p.Health {
		h, at := &p.Health[j], fmt.Sprintf("%s.health[%d]", path, j)
		if h.Name == "" && !c.has(at+".name") {
			h.Name = fmt.Sprintf("check-%d", j+1)
		}
		if h.Name != "" {
			first(c, names, h.Name, at)
		}
		c.checkKind(at)
		if at := at + ".timeout"; c.has(at) && h.Timeout > 0 && h.Every > 0 && h.Timeout >= h.Every {
			c.at(at, fmt.Sprintf("%v is not below every, %v", h.Timeout, h.Every), fmt.Sprintf("want less, such as %v", h.Every/timeoutPart))
		}
	}
	for key, n := range map[string]int{"health": len(p.Health), "health_groups": len(p.HealthGroups)} {
		if n > maxChecks {
			c.at(path+"."+key, fmt.Sprintf("%d are too many", n), fmt.Sprintf("want at most %d", maxChecks))
		}
	}
	groups := map[string]string{}
	for j := range p.HealthGroups {
		g, at := &p.HealthGroups[j], fmt.Sprintf("%s.health_groups[%d]", path, j)
		if g.ID != "" {
			first(c, groups, g.ID, at+".id")
		}
		c.checkGroup(g, at, names)
	}
}

// checkKind checks that a check is of one kind.
func (c *checker) checkKind(path string) {
	const want = "want exactly one of http, tcp, dns and exec"
	var given []string
	for _, key := range []string{"http", "tcp", "dns", "exec"} {
		if c.has(path + "." + key) {
			given = append(given, key)
		}
	}
	switch {
	case c.reported(path):
	case len(given) == 0:
		c.at(path, "tests nothing", want)
	case len(given) > 1:
		c.at(path, "has "+strings.Join(given, " and "), want)
	case given[0] == "exec" && !c.has(path+".exec[0]"):
		c.at(path+".exec", "the list is empty", "want a command and its arguments")
	}
}

func (c *checker) checkGroup(g *edge.HealthGroup, path string, names map[string]string) {
	if at := path + ".checks"; c.has(at) && len(g.Checks) == 0 && !c.reported(at) {
		c.at(at, "the list is empty", "want at least one check")
	}
	for k, name := range g.Checks {
		if _, ok := names[name]; !ok && name != "" {
			hint := "want one of " + strings.Join(slices.Sorted(maps.Keys(names)), ", ")
			if len(names) == 0 {
				hint = "the PoP has no health checks"
			}
			c.at(fmt.Sprintf("%s.checks[%d]", path, k), fmt.Sprintf("there is no check %s", name), hint)
		}
	}
	unique(c, g.Checks, path+".checks")
	if len(g.Checks) > 0 && g.Need > len(g.Checks) {
		c.at(path+".need", fmt.Sprintf("of %d checks %d are never up", len(g.Checks), g.Need), "want at most as many as there are checks")
	}
}

// checkVIPHealth finds PoPs that would announce a VIP unchecked, since they do
// not have the group that it depends on.
func (c *checker) checkVIPHealth() {
	announcers := c.fleet.Announcers()
	for i := range c.fleet.VIPs {
		v := &c.fleet.VIPs[i]
		if v.ID == "" || v.Health == "" {
			continue
		}
		var without []string
		for _, id := range announcers[v.ID] {
			p, _ := c.fleet.PoP(id)
			has := func(g edge.HealthGroup) bool { return g.ID == v.Health }
			if !slices.ContainsFunc(p.HealthGroups, has) {
				without = append(without, string(id))
			}
		}
		if len(without) > 0 && !c.reported("pops") {
			c.at(fmt.Sprintf("vips[%d].health", i), "there is no health group "+v.Health+" at "+strings.Join(without, ", "), "want one at each PoP that announces the VIP")
		}
	}
}
