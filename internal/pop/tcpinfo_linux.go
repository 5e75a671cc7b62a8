package pop

import (
	"math"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// roundTrips returns the kernel's smoothed and least round-trip time of a TCP
// connection; zero where the kernel has no sample yet or socket is not TCP.
// The least one is over the congestion control's window (net.ipv4
// .tcp_min_rtt_wlen, 5 min by default), not over the connection's life.
func roundTrips(socket net.Conn) (smoothed, least time.Duration) {
	sc, ok := socket.(syscall.Conn)
	if !ok {
		return 0, 0
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return 0, 0
	}
	var info *unix.TCPInfo
	var infoErr error
	err = raw.Control(func(fd uintptr) {
		info, infoErr = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
	})
	if err != nil || infoErr != nil {
		return 0, 0
	}
	smoothed = time.Duration(info.Rtt) * time.Microsecond
	// All ones: no sample (the kernel's initial value).
	if info.Min_rtt != math.MaxUint32 {
		least = time.Duration(info.Min_rtt) * time.Microsecond
	}
	return smoothed, least
}
