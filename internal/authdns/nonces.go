package authdns

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"catchment/internal/edge"
)

const (
	nonceRing  = 1 << 16          // queries that wait to be handed over; about 10 MB
	nonceBatch = 4096             // handed over at a time
	nonceEvery = 2 * time.Second  // how long one waits at most
	nonceWait  = 30 * time.Second // for a batch to be taken
)

// asked is an edge.Asked in a form that is noted without allocating.
type asked struct {
	label              string  // of the snapshot
	at                 uint32  // Unix time, s
	resolver, client   [6]byte // the first 24 or 48 bits
	resolver6, client6 bool
	hasECS             bool
	clientBits, length uint8
	nonce              [63]byte
}

// nonceLog holds what was asked under probe names until it is handed over. It
// is bounded: what finds no room is dropped and counted.
type nonceLog struct {
	mu      sync.Mutex
	ring    []asked
	head, n int
}

func (l *nonceLog) put(x *asked) (ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.n == len(l.ring) {
		return false
	}
	l.ring[(l.head+l.n)%len(l.ring)] = *x
	l.n++
	return true
}

// take moves up to cap(dst) of the oldest to dst.
func (l *nonceLog) take(dst []asked) []asked {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.n > 0 && len(dst) < cap(dst) {
		dst = append(dst, l.ring[l.head])
		l.head, l.n = (l.head+1)%len(l.ring), l.n-1
	}
	return dst
}

// noteNonce notes the query for a probe name. Addresses are cut here, before
// anything keeps them.
func (a *answerer) noteNonce(m match) {
	if a.nonces == nil {
		return
	}
	x := asked{at: uint32(a.now.Unix()), label: a.snap.tailored[m.tailor].label}
	label := a.name[1 : 1+a.name[0]]
	hyphen := len(label) - 1
	for label[hyphen] != '-' {
		hyphen--
	}
	x.length = uint8(copy(x.nonce[:], label[hyphen+1:]))
	x.resolver, x.resolver6 = cutAddr(a.peer)
	if a.present && a.ecs.source > 0 {
		x.hasECS = true
		x.client, x.client6 = cutAddr(a.ecs.addr)
		x.clientBits = min(a.ecs.source, keptBits(x.client6))
	}
	if a.nonces.put(&x) {
		a.stats.nonces.Add(1)
	} else {
		a.stats.noncesDropped.Add(1)
	}
}

// cutAddr returns the first 24 bits of an IPv4 address, or 48 of an IPv6 one.
func cutAddr(a netip.Addr) (b [6]byte, is6 bool) {
	if a.Is4() {
		x := a.As4()
		copy(b[:], x[:3])
		return b, false
	}
	x := a.As16()
	copy(b[:], x[:6])
	return b, true
}

func keptBits(is6 bool) uint8 {
	if is6 {
		return 48
	}
	return 24
}

func prefixOf(b [6]byte, is6 bool, length uint8) netip.Prefix {
	a := netip.AddrFrom4([4]byte(b[:4]))
	if is6 {
		var x [16]byte
		copy(x[:], b[:])
		a = netip.AddrFrom16(x)
	}
	p, _ := a.Prefix(int(length))
	return p
}

// shipNonces hands nonces over until ctx is done, and then what is left.
func (s *Server) shipNonces(ctx context.Context) {
	tick := time.NewTicker(nonceEvery)
	defer tick.Stop()
	buf := make([]asked, 0, nonceBatch)
	for running := true; running; {
		select {
		case <-ctx.Done():
			running = false
		case <-tick.C:
		}
		for buf = s.nonces.take(buf[:0]); len(buf) > 0; buf = s.nonces.take(buf[:0]) {
			s.shipBatch(context.WithoutCancel(ctx), buf)
		}
	}
}

func (s *Server) shipBatch(ctx context.Context, buf []asked) {
	batch := make([]edge.Asked, 0, len(buf))
	for i := range buf {
		x := &buf[i]
		n := edge.Asked{
			Nonce: string(x.nonce[:x.length]), Label: x.label, At: time.Unix(int64(x.at), 0).UTC(),
			Resolver: prefixOf(x.resolver, x.resolver6, keptBits(x.resolver6)),
		}
		if x.hasECS {
			n.Client = prefixOf(x.client, x.client6, x.clientBits)
		}
		batch = append(batch, n)
	}
	ctx, cancel := context.WithTimeout(ctx, nonceWait)
	defer cancel()
	if err := s.cfg.Nonces.TakeNonces(ctx, batch); err != nil {
		s.stats.noncesDropped.Add(uint64(len(batch)))
		s.log.Warn("queries for probe names were not taken", "count", len(batch), "error", err)
	}
}
