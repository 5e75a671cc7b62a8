package edge

import "slices"

// VIPsOf returns the VIPs that a PoP may announce: all but those of regions
// that it is not in. Whether the PoP has a speaker is another matter.
func (f *Fleet) VIPsOf(id PoPID) []VIP {
	var own []VIP
	for _, v := range f.VIPs {
		if !slices.ContainsFunc(f.Regions, func(r Region) bool { return r.VIP == v.ID && !slices.Contains(r.PoPs, id) }) {
			own = append(own, v)
		}
	}
	return own
}

// Announcers returns the PoPs that may announce each VIP: of those with a
// speaker, the ones that have it in VIPsOf.
func (f *Fleet) Announcers() map[VIPID][]PoPID {
	all := make(map[VIPID][]PoPID, len(f.VIPs))
	for i := range f.PoPs {
		if f.PoPs[i].BGP == nil {
			continue
		}
		for _, v := range f.VIPsOf(f.PoPs[i].ID) {
			all[v.ID] = append(all[v.ID], f.PoPs[i].ID)
		}
	}
	return all
}
