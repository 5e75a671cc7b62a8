package analysis

import (
	"strings"

	"catchment/internal/edge"
)

// popID numbers the PoPs of one pops.
type popID uint32

// pops numbers PoPs, as they turn up: numbers are compared and looked up in a
// fraction of the time of names.
type pops struct {
	ids   map[edge.PoPID]popID
	names []edge.PoPID // by popID
}

func newPops() pops { return pops{ids: map[edge.PoPID]popID{}} }

// number returns the number of a PoP, a new one if it had none.
func (p *pops) number(name edge.PoPID) popID {
	id, ok := p.ids[name]
	if !ok {
		id, name = popID(len(p.names)), edge.PoPID(strings.Clone(string(name)))
		p.ids[name] = id
		p.names = append(p.names, name)
	}
	return id
}

// target numbers what can be probed: every PoP by its own name and, as reached,
// by every scheme.
type target uint32

// ownName stands instead of a scheme's index.
const ownName = -1

const targetsPerPoP = 1 + len(edge.Schemes)

func targetOf(pop popID, scheme int) target {
	return target(int(pop)*targetsPerPoP + scheme - ownName)
}

// ownName returns the PoP that t asks for by its own name, if it does.
func (t target) ownName() (popID, bool) {
	return popID(int(t) / targetsPerPoP), int(t)%targetsPerPoP == 0
}
