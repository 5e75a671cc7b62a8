package resets_test

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"catchment/lab/delay"
)

// segment is a TCP segment with ACK that belongs to nothing.
type segment struct {
	from, to netip.AddrPort // IPv4
	seq, ack uint32
}

// send sends segments from a namespace, past its TCP.
func send(t *testing.T, ns *delay.Namespace, all ...segment) {
	t.Helper()
	err := ns.Do(func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		for _, s := range all {
			if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: s.from.Addr().As4()}); err != nil {
				return err
			}
			if err := unix.Sendto(fd, s.bytes(), 0, &unix.SockaddrInet4{Addr: s.to.Addr().As4()}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// bytes is the segment with its checksum (RFC 9293, section 3.1).
func (s *segment) bytes() []byte {
	from, to := s.from.Addr().As4(), s.to.Addr().As4()
	b := make([]byte, 12+20)
	copy(b, from[:])
	copy(b[4:], to[:])
	b[9], b[11] = unix.IPPROTO_TCP, 20
	tcp := b[12:]
	binary.BigEndian.PutUint16(tcp, s.from.Port())
	binary.BigEndian.PutUint16(tcp[2:], s.to.Port())
	binary.BigEndian.PutUint32(tcp[4:], s.seq)
	binary.BigEndian.PutUint32(tcp[8:], s.ack)
	tcp[12], tcp[13], tcp[14] = 5<<4, 0x10, 4 // header of five words, ACK, a window
	sum := uint32(0)
	for i := 0; i < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for sum>>16 > 0 {
		sum = sum&0xffff + sum>>16
	}
	binary.BigEndian.PutUint16(tcp[16:], ^uint16(sum))
	return tcp
}
