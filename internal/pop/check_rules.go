package pop

import (
	"cmp"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"catchment/internal/edge"
)

// judge applies every rule to the answers, in the order in which an operator
// would want to repair them.
func (c *checker) judge() {
	c.judgeConnection()
	if c.url.Scheme == "https" {
		c.judgeCertificate()
	}
	c.judgeStatus()
	c.judgeCORS()
	c.judgeCaching()
	c.judgeIdentity()
	c.judgeTimes()
}

func (c *checker) judgeConnection() {
	if c.url.Scheme == "http" {
		c.advise("https", "serve it over TLS too", "the URL is plain HTTP, which pages loaded over HTTPS may not ask for")
	}
	if c.cold.ProtoMajor >= 2 {
		const set = `offer ALPN "http/1.1" only under probe names`
		const what = "HTTP/%d was negotiated: browsers share its connections between names, and then measure the wrong PoP"
		if c.Fleet != nil && !c.probe {
			// A site's own pages may use it.
		} else if c.probe {
			c.wrong("alpn", set, what, c.cold.ProtoMajor)
		} else {
			c.advise("alpn", set, what, c.cold.ProtoMajor)
		}
	}
	if !c.warm.reused {
		c.wrong("keep-alive", "keep idle connections for at least 60 s", "the connection was closed after one answer: every download would pay for a new one")
	}
	if v := c.cold.Header.Values("Alt-Svc"); len(v) > 0 && !slices.Equal(v, []string{"clear"}) {
		c.wrong("alt-svc", "remove Alt-Svc", "Alt-Svc: %s leads browsers to another protocol or address", show(v))
	}
}

func (c *checker) judgeStatus() {
	code := c.cold.StatusCode
	switch {
	case code >= 300 && code < 400:
		c.wrong("redirect", "answer with 200 at this very URL", "status %d redirects to %.200q: what follows would be measured elsewhere", code, c.cold.Header.Get("Location"))
	case code != http.StatusOK && code != http.StatusNoContent:
		c.wrong("status", "answer with 200 or 204", "status %d", code)
	}
	if c.cold.interim != 0 {
		c.wrong("interim", "send no 1xx answers", "a %d came before the answer, and browsers take its time for the answer's", c.cold.interim)
	}
	if v := c.cold.Header.Values("Content-Encoding"); len(v) > 0 {
		c.wrong("compression", "turn compression off", "Content-Encoding: %s: compressing takes time that is measured", show(v))
	}
	if len(c.cold.Header.Values("Set-Cookie")) > 0 {
		c.advise("cookie", "set no cookies", "the answer sets a cookie, which measuring has no use for")
	}
}

func (c *checker) judgeCORS() {
	h := c.cold.Header
	for _, name := range []string{"Timing-Allow-Origin", "Access-Control-Allow-Origin"} {
		consequence := "browsers show its times and Server-Timing as if they were not there"
		rule := "timing-allow-origin"
		if name == "Access-Control-Allow-Origin" {
			consequence, rule = "browsers refuse the answer to scripts", "access-control-allow-origin"
		}
		switch v := listed(h.Values(name)); {
		case len(v) == 0:
			c.wrong(rule, name+": *", "there is no %s: %s", name, consequence)
		case name == "Access-Control-Allow-Origin" && len(v) > 1:
			c.wrong(rule, "send it once", "%s has %d values (%s): %s", name, len(v), show(v), consequence)
		case !slices.Contains(v, "*") && !slices.Contains(v, checkOrigin):
			c.wrong(rule, name+": *", "%s: %s does not allow every page: %s", name, show(v), consequence)
		}
	}
	exposes := listed(h.Values("Access-Control-Expose-Headers"))
	for _, name := range []string{"X-PoP", "Server-Timing"} {
		has := func(v string) bool { return v == "*" || strings.EqualFold(v, name) }
		if !slices.ContainsFunc(exposes, has) {
			c.wrong("access-control-expose-headers", "Access-Control-Expose-Headers: X-PoP, Server-Timing", "Access-Control-Expose-Headers does not list %s: scripts cannot read it", name)
		}
	}
}

func (c *checker) judgeCaching() {
	h := c.cold.Header
	if !slices.ContainsFunc(listed(h.Values("Cache-Control")), func(v string) bool { return strings.EqualFold(v, "no-store") }) {
		c.wrong("cache-control", "Cache-Control: no-store", "the answer may be cached (Cache-Control: %s), and a cache's time and PoP reported", show(h.Values("Cache-Control")))
	}
	if age := h.Get("Age"); age != "" && age != "0" {
		c.wrong("cached", "let this URL pass every cache", "the answer came from a cache (Age: %.20s)", age)
	}
}

func (c *checker) judgeIdentity() {
	pops := c.cold.Header.Values("X-PoP")
	timings := parseTimings(c.cold.Header.Values("Server-Timing"))
	timed, n := timingOf(timings, "pop")
	pop := ""
	switch {
	case len(pops) == 0:
		c.wrong("x-pop", "X-PoP: the id of the PoP", "there is no X-PoP")
	case len(pops) > 1 || !edge.ValidID(pops[0]):
		c.wrong("x-pop", "send one X-PoP, with an id as in the fleet file", "X-PoP: %s is not the id of one PoP", show(pops))
	default:
		pop = pops[0]
	}
	switch set := `Server-Timing: pop;desc="` + cmp.Or(pop, "iad") + `"`; {
	case n == 0:
		c.wrong("server-timing", set, "there is no pop in Server-Timing (%s)", show(c.cold.Header.Values("Server-Timing")))
	case n > 1:
		c.wrong("server-timing", "send it from one server only, and remove it from what comes from behind", "pop stands %d times in Server-Timing, and scripts see the first", n)
	case !edge.ValidID(timed.desc):
		c.wrong("server-timing", set, "pop in Server-Timing is described as %.40q, which is not the id of a PoP", timed.desc)
	case !timed.quoted:
		c.advise("server-timing", set, "the id in Server-Timing is not quoted: it reads pop;desc=%s", timed.desc)
	}
	if pop != "" && edge.ValidID(timed.desc) && pop != timed.desc {
		c.wrong("mismatch", "let both come from the server that holds the connection", "X-PoP says %s, Server-Timing says %s: something on the way changes or caches one of them", pop, timed.desc)
	}
	if again := c.warm.Header.Get("X-PoP"); c.warm.reused && pop != "" && edge.ValidID(again) && again != pop {
		c.wrong("flip", "let X-PoP come from the server that holds the connection", "X-PoP was %s and then %s on one connection", pop, again)
	}
	c.judgeFleet(edge.PoPID(pop), timings)
}

// judgeFleet compares what the answer says with what the fleet says of the
// address that gave it.
func (c *checker) judgeFleet(pop edge.PoPID, timings []timing) {
	remote := c.cold.remote
	vip, n := timingOf(timings, "vip")
	if c.Fleet != nil {
		if _, ok := c.Fleet.PoP(pop); pop != "" && !ok {
			c.wrong("unknown-pop", "name it as in the fleet file, or add it there", "PoP %s is not in the fleet", pop)
		}
		if n > 0 && !hasVIP(c.Fleet, edge.VIPID(vip.desc)) {
			c.wrong("vip", "name it as in the fleet file", "VIP %.40q is not in the fleet", vip.desc)
		} else if want, ok := c.Fleet.VIPByAddr(remote); ok && want != edge.VIPID(vip.desc) {
			c.wrong("vip", `vip;desc="`+string(want)+`"`, "%s is the address of VIP %s, but Server-Timing says %s", remote, want, cmp.Or(vip.desc, "none"))
		}
		for _, p := range c.Fleet.PoPs {
			if pop != "" && p.ID != pop && slices.Contains(p.Unicast, remote) {
				c.wrong("unicast", "let the address lead to its PoP, or correct the fleet file", "%s is the address of PoP %s, but %s answers", remote, p.ID, pop)
			}
		}
	}
	af, n := timingOf(timings, "af")
	family := "6"
	if remote.Is4() {
		family = "4"
	}
	if n > 0 && remote.IsValid() && af.desc != family {
		c.wrong("af", `af;desc="`+family+`"`, "the connection is IPv%s, but Server-Timing says %.20q", family, af.desc)
	}
}

// clockStep is how far a server's own durations may be off, ms: nginx keeps
// time to the millisecond, and rounds both ends.
const clockStep = 2

// judgeTimes looks for durations that cannot be true, which mostly are in the
// wrong unit.
func (c *checker) judgeTimes() {
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	timings := parseTimings(c.warm.Header.Values("Server-Timing"))
	for _, name := range []string{"srv", "rtt", "mrtt"} {
		t, n := timingOf(timings, name)
		const set = "durations are milliseconds"
		switch {
		case n > 0 && (t.badDur != "" || t.dur < 0 || math.IsNaN(t.dur) || math.IsInf(t.dur, 0)):
			c.wrong(name, set, "the duration of %s in Server-Timing is %.40q", name, cmp.Or(t.badDur, "negative or not finite"))
		case n == 0 && name == "srv":
			c.advise(name, "srv;dur= with the milliseconds that the server took", "Server-Timing does not tell srv: the server's time counts as the network's")
		case name == "srv" && t.dur > ms(c.warm.ttfb)+clockStep:
			c.wrong(name, set, "srv is %v ms, but the whole answer took %.3f ms", t.dur, ms(c.warm.ttfb))
		case n == 0 || !c.warm.reused || c.cold.connect == 0:
			// Nothing to compare, or with nothing.
		case t.dur > 20*ms(c.cold.connect)+100:
			// A load at both ends and a path that fills explain a factor, and
			// a delayed acknowledgment 40 ms, but not a thousand.
			c.wrong(name, set, "%s is %v ms, but connecting took %.3f ms: is it in microseconds?", name, t.dur, ms(c.cold.connect))
		case name == "mrtt" && t.dur < ms(c.cold.connect)/20 && ms(c.cold.connect) > 10:
			c.advise(name, "leave rtt and mrtt out behind a load balancer", "mrtt is %v ms, but connecting took %.1f ms: is it the way to a load balancer?", t.dur, ms(c.cold.connect))
		}
	}
	if date, err := http.ParseTime(c.cold.Header.Get("Date")); err == nil {
		if off := time.Since(date).Round(time.Second); off.Abs() > time.Minute {
			c.advise("clock", "synchronize the clocks", "the server's clock and this one differ by %v", off.Abs())
		}
	}
}

// listed returns the elements of comma-separated header values.
func listed(values []string) []string {
	var all []string
	for _, v := range values {
		for e := range strings.SplitSeq(v, ",") {
			if e = strings.TrimSpace(e); e != "" {
				all = append(all, e)
			}
		}
	}
	return all
}

// show returns header values for a person, cut to a bearable length.
func show(values []string) string {
	s := strings.Join(values, ", ")
	if s == "" {
		return "none"
	}
	if len(s) > 200 {
		s = s[:200] + "…"
	}
	return s
}
