package resets

import "net/netip"

// source is one way to see resets. It is used by one goroutine.
type source interface {
	// setVIPs replaces the addresses that matter.
	setVIPs(map[netip.Addr]bool) error
	// drain hands over what was seen since, at most so many events, and says
	// how many were lost for want of room. It never waits.
	drain(most int, take func(*event)) (lost uint64, err error)
	Close() error
}
