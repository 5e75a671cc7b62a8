package steer

import (
	"net/netip"

	"catchment/internal/edge"
)

func (r *rules) popAnswer(pop int) ref {
	return r.answer(answerKey{pop: int16(pop), region: none}, func() Answer {
		p := &r.plan.fleet.pops[pop]
		return addresses(Answer{PoP: p.ID, Scheme: edge.Unicast}, p.Unicast)
	})
}

func (r *rules) regionAnswer(region int16) ref {
	return r.answer(answerKey{pop: none, region: region}, func() Answer {
		x := &r.plan.fleet.regions[region]
		return addresses(Answer{VIP: x.VIP, Region: x.ID, Scheme: edge.Regional}, x.vip.Addresses)
	})
}

func (r *rules) globalAnswer() ref {
	return r.answer(answerKey{pop: none, region: none, global: true}, func() Answer {
		vip := vipOf(r.plan.snapshot.Fleet, globalVIP)
		return addresses(Answer{VIP: vip.ID, Scheme: edge.Global}, vip.Addresses)
	})
}

// answer returns the ref of an answer. All that can be needed are there once
// the service has been compiled.
func (r *rules) answer(k answerKey, build func() Answer) ref {
	if n, ok := r.numbers[k]; ok {
		return n
	}
	n := ref(len(r.answers))
	r.numbers[k] = n
	r.answers = append(r.answers, build())
	return n
}

// addresses sorts out the families.
func addresses(a Answer, all []netip.Addr) Answer {
	for _, x := range all {
		if x.Is4() {
			a.A = append(a.A, x)
		} else {
			a.AAAA = append(a.AAAA, x)
		}
	}
	return a
}
