package resets

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"catchment/internal/edge"
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
		s, err := openSockets()
		if err != nil {
			return nil, err
		}
		return pick(openPacket(&listeners{sockets: s}))
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
	*sockets
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
	if l.list(stateListen, func(s socket) {
		if !s.flow.vip.Addr().IsLoopback() {
			found[s.flow.vip.Port()] = true
		}
	}) == nil {
		l.known = found
	}
	return l.known
}

type flowLister struct{ *sockets }

func openFlowLister() (openFlows, error) {
	s, err := openSockets()
	if err != nil {
		return nil, err
	}
	return flowLister{s}, nil
}

func (l flowLister) each(use func(f flow, unheard bool)) error {
	return l.list(stateOpen, func(s socket) { use(s.flow, s.unheard) })
}
