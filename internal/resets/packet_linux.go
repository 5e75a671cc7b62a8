package resets

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// packetSource sees the RSTs that this machine sends. One without ACK answers
// a segment with ACK that belongs to no connection (RFC 9293, section
// 3.10.7.1 and 3.10.7.2); from a port where somebody listens that is the
// middle of a connection, from another one a scan.
type packetSource struct {
	fd    int
	buf   []byte
	vips  map[netip.Addr]bool
	ports *listeners
}

const packetBuffer = 512 << 10 // bytes, of which a short packet takes some 800

// openPacket needs CAP_NET_RAW.
func openPacket(ports *listeners) (_ *packetSource, err error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0) // 0: nothing yet
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		return nil, fmt.Errorf("not permitted (want CAP_NET_RAW, and AF_PACKET in RestrictAddressFamilies): %w", err)
	}
	if err != nil {
		return nil, fmt.Errorf("packet socket: %w", err)
	}
	defer func() {
		if err != nil {
			_ = unix.Close(fd)
		}
	}()
	filter := resetFilter()
	if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}); err != nil {
		return nil, fmt.Errorf("packet socket: filter: %w", err)
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, packetBuffer); err != nil {
		return nil, fmt.Errorf("packet socket: buffer: %w", err)
	}
	// Only a socket for all protocols sees what goes out.
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: bigEndian(unix.ETH_P_ALL)}); err != nil {
		return nil, fmt.Errorf("packet socket: bind: %w", err)
	}
	return &packetSource{fd: fd, buf: make([]byte, 128), ports: ports}, nil
}

func bigEndian(v uint16) uint16 {
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], v)
	return binary.NativeEndian.Uint16(b[:])
}

// resetFilter passes the first 128 bytes, from the IP header on, of outgoing
// TCP segments with RST.
func resetFilter() []unix.SockFilter {
	const (
		packetType = 0xfffff000 + 4 // SKF_AD_OFF + SKF_AD_PKTTYPE
		loadByte   = unix.BPF_LD | unix.BPF_B | unix.BPF_ABS
		loadHalf   = unix.BPF_LD | unix.BPF_H | unix.BPF_ABS
		jumpEqual  = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		jumpSet    = unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K
		pass       = 17 // indexes of the last two
		drop       = 18
	)
	p := []unix.SockFilter{
		0: {Code: loadByte, K: packetType},
		1: {Code: jumpEqual, K: unix.PACKET_OUTGOING, Jf: drop - 2},
		2: {Code: loadByte, K: 0},
		3: {Code: unix.BPF_ALU | unix.BPF_RSH | unix.BPF_K, K: 4},
		4: {Code: jumpEqual, K: 4, Jf: 12 - 5},
		// IPv4: TCP, not a later fragment, whatever options.
		5:  {Code: loadByte, K: 9},
		6:  {Code: jumpEqual, K: unix.IPPROTO_TCP, Jf: drop - 7},
		7:  {Code: loadHalf, K: 6},
		8:  {Code: jumpSet, K: 0x1fff, Jt: drop - 9},
		9:  {Code: unix.BPF_LDX | unix.BPF_B | unix.BPF_MSH, K: 0},
		10: {Code: unix.BPF_LD | unix.BPF_B | unix.BPF_IND, K: 13},
		11: {Code: jumpSet, K: flagRST, Jt: pass - 12, Jf: drop - 12},
		// IPv6: TCP without extension headers, as the kernel sends RSTs.
		12: {Code: jumpEqual, K: 6, Jf: drop - 13},
		13: {Code: loadByte, K: 6},
		14: {Code: jumpEqual, K: unix.IPPROTO_TCP, Jf: drop - 15},
		15: {Code: loadByte, K: 40 + 13},
		16: {Code: jumpSet, K: flagRST, Jt: pass - 17, Jf: drop - 17},

		pass: {Code: unix.BPF_RET | unix.BPF_K, K: 128},
		drop: {Code: unix.BPF_RET | unix.BPF_K, K: 0},
	}
	return p
}

func (s *packetSource) setVIPs(vips map[netip.Addr]bool) error {
	s.vips = vips
	return nil
}

func (s *packetSource) drain(most int, take func(*event)) (lost uint64, err error) {
	var ports map[uint16]bool
	for range most {
		n, _, err := unix.Recvfrom(s.fd, s.buf, 0)
		if errors.Is(err, unix.EAGAIN) {
			break
		}
		if errors.Is(err, unix.EINTR) || errors.Is(err, unix.ENETDOWN) { // an interface went away
			continue
		}
		if err != nil {
			return 0, fmt.Errorf("resets: packet socket: %w", err)
		}
		f, ack, flags, ok := parseReset(s.buf[:n])
		if !ok || !s.vips[f.vip.Addr()] {
			continue
		}
		if ports == nil {
			ports = s.ports.ports(time.Now())
		}
		e := event{what: midFlow, flow: f, ack: ack}
		switch {
		case !ports[f.vip.Port()]:
			e.what = closedPort
		case flags&flagACK != 0: // a listener does not send these; a connection of ours does, as it is aborted
			continue
		}
		take(&e)
	}
	stats, err := unix.GetsockoptTpacketStats(s.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS) // since it was last asked
	if err != nil {
		return 0, fmt.Errorf("resets: packet socket: %w", err)
	}
	return uint64(stats.Drops), nil
}

// parseReset reads an outgoing RST from its IP header on. Its sequence number
// is what the client had acknowledged.
func parseReset(b []byte) (f flow, ack uint32, flags byte, ok bool) {
	var from, to netip.Addr
	head := 40
	switch {
	case len(b) >= 20 && b[0]>>4 == 4:
		head = int(b[0]&15) * 4
		from, to = netip.AddrFrom4([4]byte(b[12:])), netip.AddrFrom4([4]byte(b[16:]))
	case len(b) >= 40 && b[0]>>4 == 6:
		from, to = netip.AddrFrom16([16]byte(b[8:])), netip.AddrFrom16([16]byte(b[24:]))
	default:
		return f, 0, 0, false
	}
	if len(b) < head+14 {
		return f, 0, 0, false
	}
	tcp := b[head:]
	f = flow{
		client: netip.AddrPortFrom(to, binary.BigEndian.Uint16(tcp[2:])),
		vip:    netip.AddrPortFrom(from, binary.BigEndian.Uint16(tcp)),
	}
	return f, binary.BigEndian.Uint32(tcp[4:]), tcp[13], true
}

func (s *packetSource) Close() error { return errors.Join(unix.Close(s.fd), s.ports.Close()) }
