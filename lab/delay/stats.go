package delay

import (
	"fmt"
	"math/bits"
	"sync/atomic"
	"time"
)

// Stats is what a network has done so far.
type Stats struct {
	Delivered uint64 // packets
	Dropped   uint64 // by loss, black hole or a full queue
	Unrouted  uint64 // to an address that no site has, or multicast

	// How much later than due packets were delivered, not over: within a
	// factor of two. A large P99 means that the machine, not the link, makes
	// the delay.
	LateMedian, LateP99, LateMax time.Duration

	// Realtime says why the forwarding thread has no real-time priority; nil
	// when it has.
	Realtime error
}

func (s Stats) String() string {
	return fmt.Sprintf("%d packets delivered, %d dropped, %d unrouted; late by at most %v (median), %v (p99), %v (max)",
		s.Delivered, s.Dropped, s.Unrouted, s.LateMedian, s.LateP99, s.LateMax)
}

// counters are written by the forwarding thread and read by anyone.
type counters struct {
	delivered, dropped, unrouted atomic.Uint64
	late                         [40]atomic.Uint64 // by bit length of the nanoseconds
}

func (c *counters) countLate(d time.Duration) {
	c.late[min(bits.Len64(uint64(d)), len(c.late)-1)].Add(1)
}

// lateness returns the upper end of the bin that holds the q-quantile.
func (c *counters) lateness(q float64) time.Duration {
	var total, sum uint64
	for i := range c.late {
		total += c.late[i].Load()
	}
	for i := range c.late {
		if sum += c.late[i].Load(); sum > 0 && float64(sum) >= q*float64(total) {
			return time.Duration(1) << i
		}
	}
	return 0
}

func (l *loop) stats() Stats {
	return Stats{
		Delivered: l.delivered.Load(), Dropped: l.dropped.Load(), Unrouted: l.unrouted.Load(),
		LateMedian: l.lateness(0.5), LateP99: l.lateness(0.99), LateMax: l.lateness(1),
		Realtime: l.realtime,
	}
}
