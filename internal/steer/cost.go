package steer

import "math/bits"

// Cost is what a service's answers cost in the caches of resolvers that send
// ECS: the number of entries for all known prefixes, by family (IPv4, IPv6). A
// partial ramp or shed splits every prefix it is for into granules.
type Cost struct {
	Entries [2]float64
	Settled [2]float64 // were no ramp, shed or weight partial
}

func costOf(s *Service, v *views, roots []ref, runs [2][]run) (c Cost) {
	for f := range v.from {
		for i, r := range runs[f] {
			end := key{}
			if i+1 < len(runs[f]) {
				end = runs[f][i+1].from
			}
			c.Settled[f] += blocks(r.from, end)
		}
		c.Entries[f] = c.Settled[f]
		from := v.from[f]
		for i := 0; i < len(from); {
			j := i + 1
			for j < len(from) && v.known[f][j] == v.known[f][i] && roots[v.class[f][j]] == roots[v.class[f][i]] {
				j++
			}
			if root := roots[v.class[f][i]]; v.known[f][i] && root&forkBit != 0 {
				end := edgeOf(from, j)
				granules := size(from[i], end, int(s.forest.finest(root, f)))
				c.Entries[f] += max(0, granules-blocks(from[i], end))
			}
			i = j
		}
	}
	return c
}

// Cost returns what the service costs in resolvers' caches.
func (s *Service) Cost() Cost { return s.cost }

// finest returns the longest granule behind r.
func (t *forest) finest(r ref, family int) uint8 {
	if r&forkBit == 0 {
		return 0
	}
	f := &t.forks[r&^forkBit]
	return max(f.granule[family], t.finest(f.yes, family), t.finest(f.no, family))
}

// edgeOf returns where run i begins, or 0, the end of the space, which wraps.
func edgeOf(from []key, i int) key {
	if i < len(from) {
		return from[i]
	}
	return key{}
}

// size returns how many prefixes of n bits, 64 at most, reach from a up to b.
// Both may be 0: all of the space.
func size(a, b key, n int) float64 {
	d := float64(b.hi-a.hi) + (float64(b.lo)-float64(a.lo))/(1<<64)
	if a == b || b == (key{}) && b.hi == a.hi {
		d = 1 << 64
	}
	return d / float64(uint64(1)<<(64-n))
}

// blocks returns how many prefixes make up the addresses from a up to b, of
// which each is the largest that begins where it does.
func blocks(a, b key) float64 {
	n := 0.0
	for {
		n++
		for zeros := trailing(a); ; zeros-- {
			next, ok := a.after(128 - zeros)
			if !ok || zeros == 128 {
				next = key{} // the end of the space
			}
			if next == b || next != (key{}) && (next.less(b) || b == (key{})) {
				a = next
				break
			}
		}
		if a == b {
			return n
		}
	}
}

func trailing(k key) int {
	if k.lo != 0 {
		return bits.TrailingZeros64(k.lo)
	}
	return 64 + bits.TrailingZeros64(k.hi)
}
