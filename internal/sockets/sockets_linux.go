// Package sockets lists this machine's TCP connections and listeners.
package sockets

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Lister lists TCP sockets by sock_diag(7), which needs no privilege. It belongs
// to the network namespace of the thread that opened it, and is not safe for
// concurrent use.
type Lister struct {
	fd  int
	seq uint32
	buf []byte
}

// Socket is one of them. Addresses are never 4-in-6.
type Socket struct {
	Local   netip.AddrPort // of a listener its address may be unspecified
	Remote  netip.AddrPort // of no meaning to a listener
	Unheard bool           // something was sent again and not acknowledged since
}

// States of sockets to list, as bits (enum in net/tcp_states.h).
const (
	Listening = 1 << 10
	// Connections that have something to send, or may have.
	Unfinished = 1<<1 /* ESTABLISHED */ | 1<<4 /* FIN_WAIT1 */ | 1<<8 /* CLOSE_WAIT */ | 1<<9 /* LAST_ACK */
	// Connections that know their client, other than those just asked for and
	// those that only linger (TIME_WAIT).
	Open = 1<<1 /* ESTABLISHED */ | 1<<4 /* FIN_WAIT1 */ | 1<<5 /* FIN_WAIT2 */ | 1<<8 /* CLOSE_WAIT */ | 1<<9 /* LAST_ACK */ | 1<<11 /* CLOSING */
)

// New returns a Lister; Close it.
func New() (*Lister, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return nil, fmt.Errorf("sockets: sock_diag: %w", err)
	}
	// The kernel answers before it returns from sendto; what is waited for is there.
	limit := unix.NsecToTimeval(time.Second.Nanoseconds())
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("sockets: sock_diag: %w", err)
	}
	return &Lister{fd: fd, buf: make([]byte, 64<<10)}, nil
}

// Close ends it.
func (s *Lister) Close() error { return unix.Close(s.fd) }

// Requests and answers, from linux/inet_diag.h. Ports and addresses are
// big-endian.
type (
	diagSockID struct {
		SPort, DPort uint16
		Src, Dst     [16]byte
		If           uint32
		Cookie       [2]uint32
	}
	diagRequest struct {
		Header        unix.NlMsghdr
		Family, Proto uint8
		Ext, Pad      uint8
		States        uint32
		ID            diagSockID
	}
	diagMessage struct {
		Family, State, Timer, Retrans uint8
		ID                            diagSockID
		Expires, RQueue, WQueue       uint32
		UID, Inode                    uint32
	}
)

const timerRetransmit = 1 // idiag_timer

// List calls use with every socket in one of the states.
func (s *Lister) List(states uint32, use func(Socket)) error {
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		if err := s.family(family, states, use); err != nil {
			return fmt.Errorf("sockets: sock_diag: %w", err)
		}
	}
	return nil
}

func (s *Lister) family(family uint8, states uint32, use func(Socket)) error {
	s.seq++
	r := diagRequest{Family: family, Proto: unix.IPPROTO_TCP, States: states}
	r.Header = unix.NlMsghdr{
		Len: uint32(unsafe.Sizeof(r)), Type: unix.SOCK_DIAG_BY_FAMILY, Flags: unix.NLM_F_REQUEST | unix.NLM_F_DUMP, Seq: s.seq,
	}
	bytes := (*[unsafe.Sizeof(r)]byte)(unsafe.Pointer(&r))[:]
	if err := unix.Sendto(s.fd, bytes, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	for {
		n, _, err := unix.Recvfrom(s.fd, s.buf, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return err
		}
		if done, err := s.answer(s.buf[:n], use); done || err != nil {
			return err
		}
	}
}

// answer reads one datagram of messages.
func (s *Lister) answer(b []byte, use func(Socket)) (done bool, err error) {
	for len(b) >= unix.NLMSG_HDRLEN {
		size := int(binary.NativeEndian.Uint32(b))
		if size < unix.NLMSG_HDRLEN || size > len(b) {
			return true, errors.New("a message of wrong length")
		}
		kind, seq, body := binary.NativeEndian.Uint16(b[4:]), binary.NativeEndian.Uint32(b[8:]), b[unix.NLMSG_HDRLEN:size]
		b = b[min(len(b), (size+3)&^3):]
		switch {
		case seq != s.seq: // left over from a dump that broke off
		case kind == unix.NLMSG_DONE:
			return true, nil
		case kind == unix.NLMSG_ERROR:
			if len(body) < 4 {
				return true, errors.New("an error without its number")
			}
			return true, unix.Errno(-int32(binary.NativeEndian.Uint32(body)))
		case len(body) >= int(unsafe.Sizeof(diagMessage{})):
			m := (*diagMessage)(unsafe.Pointer(unsafe.SliceData(body)))
			use(Socket{
				Local: m.ID.end(m.Family, m.ID.Src, m.ID.SPort), Remote: m.ID.end(m.Family, m.ID.Dst, m.ID.DPort),
				Unheard: m.Timer == timerRetransmit && m.Retrans > 0,
			})
		}
	}
	return false, nil
}

func (*diagSockID) end(family uint8, addr [16]byte, port uint16) netip.AddrPort {
	var raw [2]byte
	binary.NativeEndian.PutUint16(raw[:], port)
	a := netip.AddrFrom16(addr).Unmap()
	if family == unix.AF_INET {
		a = netip.AddrFrom4([4]byte(addr[:4]))
	}
	return netip.AddrPortFrom(a, binary.BigEndian.Uint16(raw[:]))
}
