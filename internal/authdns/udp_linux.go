//go:build linux && (amd64 || arm64)

package authdns

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// batchSize is how many packets one system call takes or sends. The kernel
	// is over four fifths of the cost of a query; 32 spread the entry into it.
	batchSize = 32

	// receiveBuffer bounds what waits while a worker is busy, bytes.
	receiveBuffer = 4 << 20

	// maxQueryUDP is the longest query that is looked at. With every option
	// that there is one has some 400 bytes.
	maxQueryUDP = 4096

	sockaddrLen = 28 // of IPv6
	controlLen  = 64 // for one IP_PKTINFO or IPV6_PKTINFO

	// sampleEvery is of how many batches one is timed.
	sampleEvery = 64
)

// mmsghdr is struct mmsghdr of recvmmsg(2).
type mmsghdr struct {
	header unix.Msghdr
	length uint32
	_      [4]byte
}

// worker answers what comes in on one socket. Everything it needs is allocated
// once.
type worker struct {
	answerer
	socket *udpSocket
	raw    syscall.RawConn
	v6     bool

	in, out     [batchSize]mmsghdr
	inIO, outIO [batchSize]unix.Iovec
	inBuf       [batchSize][maxQueryUDP]byte
	outBuf      [batchSize][maxUDP + 32]byte
	peers       [batchSize][sockaddrLen]byte
	control     [batchSize][controlLen]byte
	batches     int

	toSend  int
	failure error
}

func newWorker(s *Server, socket *udpSocket, st *stats) (*worker, error) {
	raw, err := socket.conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	w := &worker{answerer: answerer{Server: s, via: overUDP, stats: st}, socket: socket, raw: raw, v6: socket.v6}
	for i := range w.in {
		w.inIO[i].Base = &w.inBuf[i][0]
		w.inIO[i].SetLen(maxQueryUDP)
		h := &w.in[i].header
		h.Iov, h.Name = &w.inIO[i], &w.peers[i][0]
		h.SetIovlen(1)
		w.out[i].header.Iov = &w.outIO[i]
		w.out[i].header.SetIovlen(1)
	}
	return w, nil
}

// run answers until the socket's read deadline is set. The error is nil then.
//
// All of it happens within one call of RawConn.Read: to leave it and come back
// would cost another recvmmsg that finds nothing, because what has arrived
// meanwhile is forgotten at its beginning.
func (w *worker) run() error {
	err := w.raw.Read(w.drain)
	switch {
	case w.failure != nil:
		return w.failure
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil
	}
	return err
}

// drain answers what the socket holds. It reports whether run is to end;
// otherwise it is called again when more has arrived.
func (w *worker) drain(fd uintptr) (end bool) {
	for !w.stopping.Load() {
		w.prepare()
		n, _, errno := syscall.RawSyscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&w.in[0])), batchSize, unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
		case unix.EAGAIN:
			return false
		case unix.EINTR, unix.ECONNREFUSED, unix.EHOSTUNREACH, unix.ENETUNREACH:
			continue // what a socket is told of packets that did not arrive elsewhere
		default:
			w.failure = os.NewSyscallError("recvmmsg", errno)
			return true
		}
		w.batch(int(n))
		w.flush(fd)
		if n < batchSize {
			return false // the socket was empty; the poller knows of all that has come since
		}
	}
	return true
}

// prepare gives back to the headers what the kernel has overwritten.
func (w *worker) prepare() {
	for i := range w.in {
		h := &w.in[i].header
		h.Namelen = sockaddrLen
		if w.socket.wildcard {
			h.Control = &w.control[i][0]
			h.SetControllen(controlLen)
		}
	}
}

// batch answers the first n packets.
func (w *worker) batch(n int) {
	w.now = time.Now()
	w.snap = w.current.Load()
	w.toSend = 0
	w.batches++
	timed := w.batches%sampleEvery == 0
	for i := range n {
		w.packet(i)
		if timed && i == 0 {
			w.latency.Observe(time.Since(w.now).Seconds())
		}
	}
}

func (w *worker) packet(i int) {
	h := &w.in[i].header
	peer, port := w.peerOf(i)
	switch {
	case h.Flags&unix.MSG_TRUNC != 0:
		w.stats.oversized.Add(1)
		return
	case port == 0:
		w.stats.unanswered.Add(1)
		return
	}
	raw := w.inBuf[i][:w.in[i].length]
	w.peer = peer
	v := w.parse(raw)
	if v == unanswerable {
		w.stats.unanswered.Add(1)
		return
	}
	buf := w.outBuf[w.toSend][:0]
	if v == wellFormed {
		out, done := w.fast(buf)
		if done {
			if len(out) > 0 {
				w.enqueue(i, len(out))
			}
			return
		}
	}
	var control []byte
	if w.socket.wildcard {
		control = w.control[i][:h.Controllen]
		clearInterface(control)
	}
	w.stats.slow.Add(1)
	if !w.enqueueSlow(w.socket, raw, netip.AddrPortFrom(peer, port), control) {
		w.stats.dropped.Add(1)
	}
}

// peerOf returns who sent the i-th packet.
func (w *worker) peerOf(i int) (netip.Addr, uint16) {
	b := &w.peers[i]
	port := binary.BigEndian.Uint16(b[2:])
	if !w.v6 {
		return netip.AddrFrom4([4]byte(b[4:8])), port
	}
	return netip.AddrFrom16([16]byte(b[8:24])), port
}

// enqueue readies the answer in the next buffer, n bytes, for who sent the i-th
// packet, from the address that it was sent to.
func (w *worker) enqueue(i, n int) {
	k := w.toSend
	w.outIO[k].Base = &w.outBuf[k][0]
	w.outIO[k].SetLen(n)
	in, out := &w.in[i].header, &w.out[k].header
	out.Name, out.Namelen = in.Name, in.Namelen
	if w.socket.wildcard {
		clearInterface(w.control[i][:in.Controllen])
		out.Control = in.Control
		out.SetControllen(int(in.Controllen))
	}
	w.toSend++
}

// clearInterface makes of the control message that tells where a packet
// arrived one that says where the answer is to come from: without the
// interface, since the way back may be another.
func clearInterface(control []byte) {
	if len(control) < unix.SizeofCmsghdr {
		return
	}
	h := (*unix.Cmsghdr)(unsafe.Pointer(&control[0]))
	data := control[unix.CmsgLen(0):]
	switch {
	case h.Level == unix.IPPROTO_IP && h.Type == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
		info := (*unix.Inet4Pktinfo)(unsafe.Pointer(&data[0]))
		info.Ifindex = 0
		info.Spec_dst = info.Addr
	case h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
		info := (*unix.Inet6Pktinfo)(unsafe.Pointer(&data[0]))
		if !netip.AddrFrom16(info.Addr).IsLinkLocalUnicast() {
			info.Ifindex = 0
		}
	}
}

// flush sends what is ready. An answer that the kernel does not take is passed
// over: to wait for one peer would be at the expense of all.
func (w *worker) flush(fd uintptr) {
	for sent := 0; sent < w.toSend; {
		n, _, errno := syscall.RawSyscall6(unix.SYS_SENDMMSG, fd, uintptr(unsafe.Pointer(&w.out[sent])), uintptr(w.toSend-sent), unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
			sent += int(n)
		case unix.EINTR:
		default:
			w.stats.unsent.Add(1)
			sent++
		}
	}
}

// socketOptions are set before a socket is bound.
func socketOptions(network string, wildcard bool) func(fd uintptr) error {
	return func(fd uintptr) error {
		set := func(level, option, value int) error {
			return os.NewSyscallError("setsockopt", unix.SetsockoptInt(int(fd), level, option, value))
		}
		err := set(unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
		if set(unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer) != nil {
			err = errors.Join(err, set(unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer)) // as far as the system lets us
		}
		// Forged ICMP must not make us send fragments (RFC 9471's drafts, and
		// Herzberg and Shulman, "Fragmentation considered poisonous", 2013).
		if network == "udp4" {
			err = errors.Join(err, set(unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_OMIT))
			if wildcard {
				err = errors.Join(err, set(unix.IPPROTO_IP, unix.IP_PKTINFO, 1))
			}
			return err
		}
		err = errors.Join(err, set(unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_OMIT))
		if wildcard {
			err = errors.Join(err, set(unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1))
		}
		return err
	}
}
