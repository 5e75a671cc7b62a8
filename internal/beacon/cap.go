package beacon

import (
	"errors"
	"hash/maphash"
	"math"
	"net/netip"
	"sync"
	"time"

	"catchment/internal/edge"
)

// Limit is what one client prefix (a /24 or /48) may send.
type Limit struct {
	PerMinute float64 // steady rate
	Burst     int     // at once, after a silence
}

// The default for beacons lets the busiest honest prefix through at a sampling
// rate of 10 %. A /24 of carrier-grade NAT has some 2^15 subscribers behind it
// (254 addresses, 128 subscribers to an address at 512 ports each); if one in
// ten reads ten pages in the busiest hour, that is about 550 views a minute.
// Sites that sample more than that share are small. What is over the limit
// would say nothing new of the prefix: analysis lets none give more than a
// fifth of a cell's samples. Plans may be asked for twice as often, since not
// every page stays for long enough to report.
var (
	DefaultBeaconLimit = Limit{PerMinute: 120, Burst: 240}
	DefaultPlanLimit   = Limit{PerMinute: 240, Burst: 480}
)

// The table of prefixes is a cache of fixed size: 4096 sets of 8, 512 KiB. A
// prefix that finds its set full takes the place of the one that has been
// silent the longest, whose bucket is the fullest: forgetting it gives away
// the least.
const (
	capSets = 4096
	capWays = 8
)

// limiter is a token bucket per client prefix in bounded memory, in the form
// of the generic cell rate algorithm (ITU-T I.371): one time stamp a bucket.
// The clock is an argument. Safe for concurrent use.
type limiter struct {
	interval int64 // ns for one token
	depth    int64 // ns: Burst tokens
	seed     maphash.Seed
	sets     []capSet
}

// capSet holds prefix keys and when each one's bucket will be full again, in
// ns since the limiter's epoch. A bucket that is full is as good as none.
type capSet struct {
	mu   sync.Mutex
	keys [capWays]uint64
	full [capWays]int64
}

func newLimiter(l Limit) (*limiter, error) {
	if !(l.PerMinute >= 1.0/60) || math.IsInf(l.PerMinute, 0) || l.Burst < 1 || l.Burst > 1e6 {
		return nil, errors.New("beacon: a limit wants a rate of at least one an hour and a burst of 1 to 1000000")
	}
	interval := max(1, int64(float64(time.Minute)/l.PerMinute))
	return &limiter{
		interval: interval,
		depth:    interval * int64(l.Burst),
		seed:     maphash.MakeSeed(),
		sets:     make([]capSet, capSets),
	}, nil
}

// capKey returns the key of the /24 or /48 that a is in. Families do not share keys.
func capKey(a netip.Addr) uint64 {
	bits := 48
	if a.Is4() {
		bits = 24
	}
	return edge.PrefixKey(netip.PrefixFrom(a, bits).Masked())
}

// take takes n tokens of key's bucket. It returns 0, or how long it will be
// until they are there; then it takes none.
func (l *limiter) take(key uint64, n int, now time.Time) time.Duration {
	t := now.UnixNano()
	s := &l.sets[maphash.Comparable(l.seed, key)%capSets]
	s.mu.Lock()
	defer s.mu.Unlock()
	slot := 0
	for i := range s.keys {
		if s.keys[i] == key && s.full[i] > t {
			slot = i
			break
		}
		if s.full[i] < s.full[slot] {
			slot = i
		}
	}
	full := t
	if s.keys[slot] == key {
		full = max(t, s.full[slot])
	}
	full += l.interval * int64(n)
	if wait := full - t - l.depth; wait > 0 {
		return time.Duration(wait)
	}
	s.keys[slot], s.full[slot] = key, full
	return 0
}
