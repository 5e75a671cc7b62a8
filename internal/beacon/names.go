package beacon

import "catchment/internal/edge"

// Names is the closed set of names that beacons of one fleet may use. The
// strings of decoded beacons are those of the set, so that decoding them does
// not allocate. It is immutable and safe for concurrent use.
type Names struct {
	pops    map[string]edge.PoPID
	vips    map[string]edge.VIPID
	targets map[string]edge.Target
}

// NewNames returns the names of a fleet.
func NewNames(f *edge.Fleet) *Names {
	n := &Names{
		pops:    make(map[string]edge.PoPID, len(f.PoPs)),
		vips:    make(map[string]edge.VIPID, len(f.VIPs)),
		targets: make(map[string]edge.Target, len(f.PoPs)+len(edge.Schemes)),
	}
	for _, s := range edge.Schemes {
		n.targets[string(s)] = edge.Target(s)
	}
	for i := range f.PoPs {
		id := f.PoPs[i].ID
		n.pops[string(id)] = id
		n.targets[string(edge.TargetOf(id))] = edge.TargetOf(id)
	}
	for i := range f.VIPs {
		n.vips[string(f.VIPs[i].ID)] = f.VIPs[i].ID
	}
	return n
}

// words is a small closed set of strings.
type words []string

// find returns the word that is equal to b without allocating.
func (w words) find(b []byte) (string, bool) {
	for _, s := range w {
		if string(b) == s {
			return s, true
		}
	}
	return "", false
}
