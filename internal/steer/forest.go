package steer

import (
	"crypto/sha256"
	"encoding/binary"
	"math"
	"math/bits"
)

// buckets is how finely clients are divided.
const buckets = 10000

// Granules that are hashed, in bits, where the snapshot does not say.
const (
	granule4 = 24
	granule6 = 48
)

// ref is what a run of addresses leads to: an answer, or a fork where a hash
// of the client decides between two refs. Hence the table stays as small as
// without ramps, however finely they divide clients.
type ref uint32

const forkBit ref = 1 << 31

// fork divides clients by hash: those whose bucket is below the mark one way,
// the others the other way. All of a granule go the same way.
type fork struct {
	salt    [2]uint64
	granule [2]uint8 // by family, bits
	below   uint16   // 1 to buckets−1
	yes, no ref
}

// forest holds a service's forks. Equal ones are one, so that runs that lead to
// the same lead to the same ref.
type forest struct {
	forks []fork
	known map[fork]ref // nil when it is complete
}

// fork returns a ref to f, or to what is behind it when there is nothing to
// decide.
func (t *forest) fork(f fork) ref {
	switch {
	case f.below == 0 || f.yes == f.no:
		return f.no
	case f.below >= buckets:
		return f.yes
	}
	if r, ok := t.known[f]; ok {
		return r
	}
	r := ref(len(t.forks)) | forkBit
	t.forks = append(t.forks, f)
	t.known[f] = r
	return r
}

// look returns the answer for k and its scope: at least the granule of every
// fork on the way, since within one all go the same way.
func (t *forest) look(tables *tables, k key, family int) (answer uint32, scope uint8) {
	r, n := tables.look(k, family)
	for r&forkBit != 0 {
		f := &t.forks[r&^forkBit]
		granule := f.granule[family&1]
		n = max(n, int(granule))
		if bucket(f.salt, k, granule, family) < f.below {
			r = f.yes
		} else {
			r = f.no
		}
	}
	return uint32(r), uint8(n)
}

// bucket returns where a client is in [0, buckets): a hash of its prefix of
// granule bits, 48 at most. It decides who is in a ramp, on every name server
// and after every restart: it must never change.
func bucket(salt [2]uint64, k key, granule uint8, family int) uint16 {
	x := k.hi&^(math.MaxUint64>>granule) | uint64(family)
	x = mix(mix(x^salt[0]) + salt[1])
	hi, _ := bits.Mul64(x, buckets)
	return uint16(hi)
}

// mix is the finalizer of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014):
// each bit of x changes about half of those of the result.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// saltOf makes a hash of its own of what divides clients: another kind or
// another name draws other clients.
func saltOf(kind, name string) [2]uint64 {
	sum := sha256.Sum256([]byte(kind + "\x00" + name))
	return [2]uint64{binary.BigEndian.Uint64(sum[:8]), binary.BigEndian.Uint64(sum[8:16])}
}

// mark returns the bucket below which a share of all lies.
func mark(share float64) uint16 { return uint16(math.Round(share * buckets)) }
