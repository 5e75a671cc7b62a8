//go:build !linux

package synth

import (
	"net"
	"syscall"
)

func tcpInfo(net.Conn) *TCPInfo { return nil }

func errnoName(e syscall.Errno) string { return e.Error() }
