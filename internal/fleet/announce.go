package fleet

import (
	"math"
	"time"

	"catchment/internal/edge"
)

// longest is a duration that nobody means to exceed.
const longest = 7 * 24 * time.Hour

func (d *decoder) announce(v value) (a edge.Announce) {
	d.mapping(v,
		may("hold_down", func(v value) { a.HoldDown = d.orNone(v) }),
		may("jitter", func(v value) { a.Jitter = d.orNone(v) }),
		may("min_announce", func(v value) { a.MinAnnounce = d.orNone(v) }),
		may("flaps_per_hour", func(v value) { a.FlapsPerHour = int(d.integer(v, 1, 100, "a whole number from 1 to 100")) }),
		may("resume", func(v value) { a.Resume = d.orNone(v) }),
		may("degraded", func(v value) { a.Degraded = d.degraded(v) }),
		may("guard", func(v value) { a.Guard = d.guard(v) }),
		may("drain", func(v value) { a.Drain = d.drain(v) }),
	)
	return a
}

// orNone reads a duration whose absence stands for a default.
func (d *decoder) orNone(v value) time.Duration {
	t := d.duration(v, 0, longest, "a duration from 0s to 168h, such as 30s")
	if t == 0 && !d.reported(v.path) {
		return edge.NoTime
	}
	return t
}

func (d *decoder) degraded(v value) *edge.Degraded {
	g := edge.Degraded{GracefulShutdown: true, Prepend: 3}
	d.mapping(v,
		may("graceful_shutdown", func(v value) { g.GracefulShutdown = d.boolean(v) }),
		may("prepend", func(v value) { g.Prepend = int(d.integer(v, 0, 10, "a whole number from 0 to 10")) }),
		may("communities", func(v value) { g.Communities = list(d, v, d.community) }),
	)
	return &g
}

func (d *decoder) guard(v value) (g edge.Guard) {
	const most = 10_000
	d.mapping(v,
		may("share", func(v value) {
			g.Share = d.number(v, math.SmallestNonzeroFloat64, 1, "a share of the VIP's PoPs, above 0 up to 1")
		}),
		may("count", func(v value) { g.Count = int(d.integer(v, 1, most, "how many PoPs may be out, from 1")) }),
		may("keep", func(v value) { g.Keep = new(int(d.integer(v, 0, most, "how many healthy PoPs must be left, from 0"))) }),
		may("window", func(v value) {
			g.Window = d.duration(v, time.Second, longest, "a duration from 1s to 168h, such as 10m")
		}),
		may("wait", func(v value) { g.Wait = d.orNone(v) }),
		may("unreachable", func(v value) { g.Unreachable = d.fallback(v) }),
	)
	return g
}

func (d *decoder) fallback(v value) edge.Fallback {
	const want = string(edge.FailStatic + " or " + edge.FailOpenWithdraw)
	s, ok := d.scalar(v, want)
	if f := edge.Fallback(s); ok && f != edge.FailStatic && f != edge.FailOpenWithdraw {
		d.at(v.path, quote(s)+" does not fit", "want "+want)
		return ""
	}
	return edge.Fallback(s)
}

func (d *decoder) drain(v value) (r edge.Draining) {
	d.mapping(v,
		may("ttl", func(v value) { r.TTL = d.orNone(v) }),
		may("grace", func(v value) { r.Grace = d.orNone(v) }),
		may("verify", func(v value) { r.Verify = d.orNone(v) }),
		may("settle", func(v value) { r.Settle = d.orNone(v) }),
		may("quiet", func(v value) { r.Quiet = d.orNone(v) }),
	)
	return r
}

func (c *checker) checkAnnounce() {
	g := c.fleet.Announce.Degraded
	if g == nil {
		return
	}
	if at := "announce.degraded"; !g.GracefulShutdown && g.Prepend == 0 && len(g.Communities) == 0 && !c.reported(at) {
		c.at(at, "changes nothing", "want graceful_shutdown, prepend or communities")
	}
	unique(c, g.Communities, "announce.degraded.communities")
}
