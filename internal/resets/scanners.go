package resets

import (
	"net/netip"
	"slices"
	"time"
)

// scanners are the client prefixes that tried ports where nobody listens, and
// which.
type scanners map[netip.Prefix]*tried

type tried struct {
	ports []uint16 // at most scanPorts
	last  time.Time
}

const (
	scanPorts    = 3           // so many closed ports make a scanner: a mistyped URL tries one
	scanMemory   = time.Minute // after the last of them
	mostScanners = 1024        // prefixes; beyond, who is new is no scanner
)

func (s scanners) note(client netip.Prefix, port uint16, now time.Time) {
	t := s[client]
	if t == nil {
		if len(s) == mostScanners {
			return
		}
		t = &tried{}
		s[client] = t
	}
	t.last = now
	if len(t.ports) < scanPorts && !slices.Contains(t.ports, port) {
		t.ports = append(t.ports, port)
	}
}

func (s scanners) is(client netip.Prefix) bool {
	t := s[client]
	return t != nil && len(t.ports) == scanPorts
}

func (s scanners) forget(now time.Time) {
	for client, t := range s {
		if now.Sub(t.last) > scanMemory {
			delete(s, client)
		}
	}
}
