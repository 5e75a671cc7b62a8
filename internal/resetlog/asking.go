package resetlog

import (
	"sync"
	"time"

	"catchment/internal/edge"
)

// asking has the connections that a PoP reset a moment ago, to ask the others
// about, each once. The latest of them: a ring.
type asking struct {
	mu    sync.Mutex
	ring  [mostAsked]asked
	next  uint64                // number of the next one
	heard map[edge.PoPID]uint64 // what each PoP was asked about last; as many as there are tokens
}

type asked struct {
	flow edge.FlowHash
	day  edge.Day
	pop  edge.PoPID // that reset it
	at   time.Time
}

const (
	mostAsked = 4096
	// askFor is how long after a reset its connection may still be open
	// elsewhere, and worth asking for: a PoP that sends into the void gives up
	// after minutes, but one that has not been heard of for that long is away.
	askFor = time.Minute
)

// add takes up what a PoP reset, but for what scanners did.
func (a *asking) add(b *edge.Resets, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range b.Resets {
		r := &b.Resets[i]
		if r.Kind != edge.MidFlow || r.Doubt == edge.DoubtScan || now.Sub(r.Last) > askFor {
			continue
		}
		for _, f := range r.Flows {
			a.ring[a.next%mostAsked] = asked{f, b.Key, b.PoP, now}
			a.next++
		}
	}
}

// of returns what to ask a PoP.
func (a *asking) of(pop edge.PoPID, now time.Time) (all []edge.AskFlows) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.heard == nil {
		a.heard = map[edge.PoPID]uint64{}
	}
	from := a.heard[pop]
	if a.next > mostAsked {
		from = max(from, a.next-mostAsked)
	}
	days := map[edge.Day]int{}
	for n := 0; from < a.next && n < edge.MaxOpenFlows; from++ {
		x := &a.ring[from%mostAsked]
		if x.pop == pop || now.Sub(x.at) > askFor {
			continue
		}
		i, ok := days[x.day]
		if !ok {
			i = len(all)
			days[x.day] = i
			all = append(all, edge.AskFlows{Day: x.day})
		}
		all[i].Flows = append(all[i].Flows, x.flow)
		n++
	}
	a.heard[pop] = from
	return all
}
