package main

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// maxPacket is more than any answer here takes, in bytes.
const maxPacket = 1024

// mmsghdr is struct mmsghdr (recvmmsg(2)), padded as C pads it.
type mmsghdr struct {
	hdr unix.Msghdr
	len uint32
	_   [4]byte
}

// messages is memory for a batch of datagrams, which one system call carries.
type messages struct {
	bytes [][maxPacket]byte
	iovs  []unix.Iovec
	hdrs  []mmsghdr
}

func newMessages(batch int) *messages {
	m := &messages{make([][maxPacket]byte, batch), make([]unix.Iovec, batch), make([]mmsghdr, batch)}
	for i := range m.hdrs {
		m.iovs[i].Base = &m.bytes[i][0]
		m.hdrs[i].hdr.Iov = &m.iovs[i]
		m.hdrs[i].hdr.SetIovlen(1)
	}
	return m
}

// receive takes up to a batch of datagrams. Flags are those of recvmmsg(2);
// without MSG_DONTWAIT the thread waits for the first one, and Go's scheduler
// does not know.
func (m *messages) receive(fd, flags int) (n int, errno syscall.Errno) {
	for i := range m.iovs {
		m.iovs[i].SetLen(maxPacket)
	}
	r, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&m.hdrs[0])), uintptr(len(m.hdrs)), uintptr(flags), 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(r), 0
}

// packet returns the i-th datagram that was received.
func (m *messages) packet(i int) []byte { return m.bytes[i][:m.hdrs[i].len] }

// put makes p the i-th datagram to send, and returns where it is.
func (m *messages) put(i int, p []byte) []byte {
	n := copy(m.bytes[i][:], p)
	m.iovs[i].SetLen(n)
	return m.bytes[i][:n]
}

// send sends the first n datagrams and returns how many of them it could.
func (m *messages) send(fd, n int) (sent int, errno syscall.Errno) {
	r, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(&m.hdrs[0])), uintptr(n), unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(r), 0
}
