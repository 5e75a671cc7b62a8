package resets

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"catchment/internal/edge"
	"catchment/internal/sockets"
)

// openSource opens a method, for the network namespace of the calling thread.
// The error says in words what is missing.
func openSource(m edge.ResetMethod, cfg *Config) (source, error) {
	switch m {
	case edge.ResetsByKernel:
		var st unix.Stat_t
		if err := unix.Stat("/proc/thread-self/ns/net", &st); err != nil {
			return nil, fmt.Errorf("which network namespace: %w", err)
		}
		return pick(openKernel(uint32(st.Ino)))
	case edge.ResetsByPacket:
		s, err := sockets.New()
		if err != nil {
			return nil, err
		}
		return pick(openPacket(&listeners{Lister: s}))
	default:
		return pick(openCounters(cfg.Warmup))
	}
}

// pick keeps a nil pointer from becoming an interface that is not nil.
func pick[T source](s T, err error) (source, error) {
	if err != nil {
		return nil, err
	}
	return s, nil
}

// listeners knows on which ports somebody listens, but on loopback addresses.
type listeners struct {
	*sockets.Lister
	known map[uint16]bool
	next  time.Time
}

const listenersEvery = 2 * time.Second

// ports asks the kernel again from time to time; where it does not answer what
// was known stays.
func (l *listeners) ports(now time.Time) map[uint16]bool {
	if now.Before(l.next) {
		return l.known
	}
	l.next = now.Add(listenersEvery)
	found := map[uint16]bool{}
	if l.List(sockets.Listening, func(s sockets.Socket) {
		if !s.Local.Addr().IsLoopback() {
			found[s.Local.Port()] = true
		}
	}) == nil {
		l.known = found
	}
	return l.known
}

type flowLister struct{ *sockets.Lister }

func openFlowLister() (openFlows, error) {
	s, err := sockets.New()
	if err != nil {
		return nil, err
	}
	return flowLister{s}, nil
}

func (l flowLister) each(use func(f flow, unheard bool)) error {
	return l.List(sockets.Open, func(s sockets.Socket) { use(flow{client: s.Remote, vip: s.Local}, s.Unheard) })
}
