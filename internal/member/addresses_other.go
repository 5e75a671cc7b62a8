//go:build !linux

package member

import (
	"context"
	"errors"
	"net/netip"
)

// Interface is of Linux only.
type Interface struct{}

// OpenInterface returns an error.
func OpenInterface(string, string) (*Interface, error) {
	return nil, errors.New("member: addresses are put on interfaces on Linux only: say --vip-interface \"\"")
}

// Set does nothing.
func (*Interface) Set([]netip.Addr) error { return nil }

// Connections cannot tell.
func Connections(func(netip.Addr) bool) int { return -1 }

// Run waits until ctx is done.
func (*Interface) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}
