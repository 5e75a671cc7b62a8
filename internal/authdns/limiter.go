package authdns

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
	"sync/atomic"
	"time"
)

// verdicts of the limiter.
type allowance uint8

const (
	allowed allowance = iota
	limited           // to be dropped
	slipped           // to be sent truncated, so that a real client asks over TCP
)

// limiter bounds answers per second to one client prefix for one name, so that
// the server is of no use to who forges the addresses of others. Memory is
// bounded: who does not find a place is allowed.
//
// A slot is one word: a tag of 16 bits and, in µs since the limiter began, when
// the prefix's answers so far would have been used up (the generic cell rate
// algorithm's theoretical arrival time), 48 bits, nearly nine years.
type limiter struct {
	interval, burst uint64 // µs
	slip            uint64 // every slip-th limited answer is sent truncated; 0: none
	seed            uint64
	began           time.Time
	turn            atomic.Uint64
	slots           []atomic.Uint64
}

const (
	limiterSlots = 1 << 17 // 1 MiB
	limiterWays  = 4       // slots that one key may be in
	tagShift     = 48
)

func newLimiter(l ResponseLimit, seed uint64, now time.Time) *limiter {
	if l.PerSecond <= 0 {
		return nil
	}
	interval := max(1, uint64(1e6/l.PerSecond))
	return &limiter{
		interval: interval, burst: uint64(l.Burst) * interval, slip: uint64(l.Slip),
		seed: seed, began: now.Add(-time.Second), slots: make([]atomic.Uint64, limiterSlots),
	}
}

// take counts one answer.
func (l *limiter) take(client netip.Addr, key uint32, now time.Time) allowance {
	h := l.hash(client, key)
	tag := h >> tagShift
	at := uint64(max(0, now.Sub(l.began))/time.Microsecond) & (1<<tagShift - 1)
	for way := range uint64(limiterWays) {
		slot := &l.slots[(h+way*0x9E3779B1)%limiterSlots]
		for {
			old := slot.Load()
			tat := old & (1<<tagShift - 1)
			if old>>tagShift != tag && tat > at {
				break // another's, who still needs it
			}
			if tat < at || old>>tagShift != tag {
				tat = at
			}
			if tat > at+l.burst {
				if l.slip > 0 && l.turn.Add(1)%l.slip == 0 {
					return slipped
				}
				return limited
			}
			if slot.CompareAndSwap(old, tag<<tagShift|(tat+l.interval)&(1<<tagShift-1)) {
				return allowed
			}
		}
	}
	return allowed
}

// hash mixes a client's /24 or /56 and a key: by wyhash's folded product, with
// a seed that keeps others from finding collisions easily.
func (l *limiter) hash(client netip.Addr, key uint32) uint64 {
	var prefix uint64
	if client.Is4() {
		b := client.As4()
		prefix = uint64(binary.BigEndian.Uint32(b[:])&^0xFF) | 1<<63
	} else {
		b := client.As16()
		prefix = binary.BigEndian.Uint64(b[:]) &^ 0xFF
	}
	high, low := bits.Mul64(prefix^l.seed, uint64(key)^bits.RotateLeft64(l.seed, 32)^0x9E3779B97F4A7C15)
	high, low = bits.Mul64(high^low, 0xD6E8FEB86659FD93)
	return high ^ low
}
