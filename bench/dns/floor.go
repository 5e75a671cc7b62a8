package main

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// floor is what the kernel costs: a server, in a process of its own, that takes
// and sends datagrams in batches and answers without looking at the question.
func floor(s *site) *contender {
	queries := pack(s.queries, false)
	for i := range queries {
		queries[i].want = want{addr: address(nowhere).As4()} // the same for all
	}
	return &contender{name: "no look-up (floor)", queries: queries, start: func() (*daemon, error) {
		addr, err := freeAddr()
		if err != nil {
			return nil, err
		}
		self, err := os.Executable()
		if err != nil {
			return nil, err
		}
		// Go's scheduler would interrupt a goroutine that it takes for busy.
		return startDaemon(addr, "env", "GODEBUG=asyncpreemptoff=1", self, "-floor", addr.String())
	}}
}

// serveFloor answers on addr until the process is ended.
func serveFloor(addr netip.AddrPort) error {
	runtime.LockOSThread()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: addr.Addr().As4(), Port: int(addr.Port())}); err != nil {
		return err
	}
	const optFixed = 11 // an OPT record without its options
	questionEnd := headerLen + len(wireService) + 4
	answer := append([]byte{0xc0, headerLen, 0, 1, 0, 1, 0, 0, 0, ttl, 0, 4}, address(nowhere).AsSlice()...)
	m := newMessages(64)
	names := make([]unix.RawSockaddrInet4, len(m.hdrs))
	for i := range m.hdrs {
		m.hdrs[i].hdr.Name = (*byte)(unsafe.Pointer(&names[i]))
	}
	for {
		for i := range m.hdrs {
			m.hdrs[i].hdr.Namelen = unix.SizeofSockaddrInet4
		}
		n, errno := m.receive(fd, unix.MSG_WAITFORONE)
		if errno == unix.EINTR {
			continue
		}
		if errno != 0 {
			return fmt.Errorf("floor: receive: %w", errno)
		}
		for i := range n {
			p := m.packet(i)
			if len(p) < questionEnd+optFixed || !bytes.Equal(p[headerLen:headerLen+len(wireService)], []byte(wireService)) {
				m.iovs[i].SetLen(0)
				continue
			}
			p = slices.Insert(p, questionEnd, answer...) // in place: there is room
			p[2], p[3], p[7] = 0x84, 0, 1                // QR, AA; one answer
			m.iovs[i].SetLen(len(p))
		}
		if _, errno := m.send(fd, n); errno != 0 && !again(errno) {
			return fmt.Errorf("floor: send: %w", errno)
		}
	}
}
