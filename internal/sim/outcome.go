package sim

import (
	"math"
	"runtime"
	"sync"

	"catchment/internal/edge"
	"catchment/internal/sim/route"
)

// Outcome is which PoP every group of users reaches, at what RTT: by the PoPs'
// own prefixes and by each VIP that a scheme uses. It is immutable and may be
// shared.
type Outcome struct {
	World *World
	own   []landings // by PoP
	vips  map[edge.VIPID]*landings
}

// landings are where the groups land on one prefix, and in how many ms.
type landings struct {
	pop []int32 // -1: no route
	rtt []float32
}

// Share is a part of a group's users, who were told the same by DNS.
type Share struct {
	PoP   int        // -1: no route, or nothing was answered
	Share float64    // of the group's users
	RTT   float32    // over the path to the VIP or to the PoP's own address, ms, without the last mile; +Inf: none
	Asker int        // index into the group's askers (People.Located)
	VIP   edge.VIPID // empty: the PoP's own address
	Unled bool       // the scheme has no answer for where they seem to be
}

// Evaluate computes an Outcome. The result does not depend on how many
// processors there are.
func (w *World) Evaluate() (*Outcome, error) {
	o := &Outcome{World: w, own: make([]landings, len(w.Fleet.PoPs)), vips: map[edge.VIPID]*landings{}}
	type job struct {
		sessions []route.Session
		to       *landings
	}
	var jobs []job
	for i := range o.own {
		jobs = append(jobs, job{w.Unicast(i), &o.own[i]})
	}
	for _, vip := range w.steered() {
		sessions, err := w.Sessions(vip)
		if err != nil {
			return nil, err
		}
		o.vips[vip] = &landings{}
		jobs = append(jobs, job{sessions, o.vips[vip]})
	}
	queue := make(chan job)
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(jobs)) {
		wg.Go(func() {
			for j := range queue {
				*j.to = w.land(w.Network.Announce(j.sessions))
			}
		})
	}
	for _, j := range jobs {
		queue <- j
	}
	close(queue)
	wg.Wait()
	return o, nil
}

// steered returns the VIPs that the schemes use: the global one and the
// regions', in the order of the fleet file.
func (w *World) steered() []edge.VIPID {
	var vips []edge.VIPID
	for _, v := range w.Fleet.VIPs {
		used := v.ID == GlobalVIP
		for _, r := range w.Fleet.Regions {
			used = used || r.VIP == v.ID
		}
		if used {
			vips = append(vips, v.ID)
		}
	}
	return vips
}

// land asks where every group lands.
func (w *World) land(c *route.Catchment) landings {
	all, sessions := c.Landings(), c.Sessions()
	l := landings{make([]int32, len(all)), make([]float32, len(all))}
	for i, to := range all {
		l.pop[i], l.rtt[i] = -1, float32(math.Inf(1))
		if to.Session >= 0 {
			l.pop[i], l.rtt[i] = int32(sessions[to.Session].PoP), to.RTT
		}
	}
	return l
}

// RTT returns the ms from a group to a PoP's own prefix, without the last
// mile; +Inf where there is no route.
func (o *Outcome) RTT(group, pop int) float32 { return o.own[pop].rtt[group] }

// Best returns the PoP with the least RTT from a group, the first on a tie, or
// -1 and +Inf when none can be reached.
func (o *Outcome) Best(group int) (pop int, rtt float32) {
	pop, rtt = -1, float32(math.Inf(1))
	for i := range o.own {
		if ms := o.own[i].rtt[group]; ms < rtt {
			pop, rtt = i, ms
		}
	}
	return pop, rtt
}

// Has reports whether the fleet has what a scheme needs.
func (o *Outcome) Has(s edge.Scheme) bool {
	switch s {
	case edge.Global:
		return o.vips[GlobalVIP] != nil
	case edge.Regional:
		return len(o.World.Fleet.Regions) > 0
	}
	return true
}

// Assigned returns where the users of a group go under a scheme: one Share for
// each of the group's askers, in their order, appended to buf[:0].
func (o *Outcome) Assigned(buf []Share, group int, s edge.Scheme) []Share {
	var room [16]Located
	return o.assigned(buf, o.World.People.Located(room[:0], group), group, s)
}

func (o *Outcome) assigned(buf []Share, askers []Located, group int, s edge.Scheme) []Share {
	buf = buf[:0]
	for i := range askers {
		x := Share{PoP: -1, Share: askers[i].Share, RTT: float32(math.Inf(1)), Asker: i}
		switch a := o.World.steer(s, askers[i].At); {
		case a.VIP != "":
			x.VIP = a.VIP
			if l := o.vips[a.VIP]; l != nil {
				x.PoP, x.RTT = int(l.pop[group]), l.rtt[group]
			}
		case a.PoP >= 0:
			if l := &o.own[a.PoP]; l.pop[group] >= 0 {
				x.PoP, x.RTT = a.PoP, l.rtt[group]
			}
		default:
			x.Unled = true
		}
		buf = append(buf, x)
	}
	return buf
}
