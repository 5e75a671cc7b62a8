package synth

import (
	"math"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// tcpInfo returns what the kernel knows of a connection, also of one that was
// reset; nil if c is not a TCP socket.
func tcpInfo(c net.Conn) *TCPInfo {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil
	}
	var info *unix.TCPInfo
	if err := raw.Control(func(fd uintptr) {
		info, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
	}); err != nil || info == nil {
		return nil
	}
	t := &TCPInfo{
		RTT: ms(info.Rtt), RTTVar: ms(info.Rttvar),
		Retransmits: info.Total_retrans, OutOfOrder: info.Rcv_ooopack,
		MSS: info.Snd_mss, PeerMSS: info.Rcv_mss,
	}
	if info.Min_rtt != math.MaxUint32 { // all ones: no sample
		t.MinRTT = ms(info.Min_rtt)
	}
	return t
}

// ms turns the kernel's µs into ms.
func ms(us uint32) float64 { return float64(us) / 1000 }

func errnoName(e syscall.Errno) string { return unix.ErrnoName(e) }
