package resets

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/ringbuf"
	"github.com/cilium/ebpf/rlimit"
	"golang.org/x/sys/unix"

	"github.com/cilium/ebpf/asm"
)

// Sizes of what the programs keep in kernel memory, about 8 MB in all.
const (
	ringBytes  = 512 << 10 // 9,362 records between two drains
	mostVIPs   = 4096      // addresses
	mostClosed = 1 << 16   // connections; at 1,000 a second a minute's worth
)

// kernelSource sees resets by tracepoints of the kernel.
type kernelSource struct {
	maps  kernelMaps
	progs []*ebpf.Program
	links []link.Link
	ring  *ringbuf.Reader
	rec   ringbuf.Record
	lost  uint64
	vips  map[netip.Addr]bool
}

// openKernel loads the programs and attaches them. The error says in words
// what is missing.
func openKernel(inode uint32) (*kernelSource, error) {
	l, err := kernelLayout()
	if err != nil {
		return nil, err
	}
	return openPrograms(&l, inode)
}

func openPrograms(l *layout, inode uint32) (_ *kernelSource, err error) {
	// Before Linux 5.11 maps count against a limit; to raise it takes
	// CAP_SYS_RESOURCE. If it matters, creating the maps fails.
	_ = rlimit.RemoveMemlock()
	s := &kernelSource{vips: map[netip.Addr]bool{}}
	defer func() {
		if err != nil {
			_ = s.Close()
		}
	}()
	for _, m := range []struct {
		to   **ebpf.Map
		spec ebpf.MapSpec
	}{
		{&s.maps.ring, ebpf.MapSpec{Name: "resets_ring", Type: ebpf.RingBuf, MaxEntries: ringBytes}},
		{&s.maps.vips, ebpf.MapSpec{Name: "resets_vips", Type: ebpf.Hash, KeySize: 16, ValueSize: 1, MaxEntries: mostVIPs}},
		{&s.maps.closed, ebpf.MapSpec{Name: "resets_closed", Type: ebpf.LRUHash, KeySize: keySize, ValueSize: 8, MaxEntries: mostClosed}},
		{&s.maps.lost, ebpf.MapSpec{Name: "resets_lost", Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1}},
	} {
		if *m.to, err = ebpf.NewMap(&m.spec); err != nil {
			return nil, permission(fmt.Errorf("map %s: %w", m.spec.Name, err))
		}
	}
	for _, p := range []struct {
		tracepoint string
		code       asm.Instructions
	}{
		{"inet_sock_set_state", closeProgram(l, &s.maps, inode)},
		{"tcp_send_reset", resetProgram(l, &s.maps, inode)},
	} {
		// bpf_probe_read_kernel may only be called by programs under the GPL, or
		// also under it.
		prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{
			Name: "resets_" + p.tracepoint[:4], Type: ebpf.RawTracepoint, Instructions: p.code, License: "Dual MIT/GPL",
		})
		if err != nil {
			return nil, permission(fmt.Errorf("program for %s: %w", p.tracepoint, err))
		}
		s.progs = append(s.progs, prog)
		l, err := link.AttachRawTracepoint(link.RawTracepointOptions{Name: p.tracepoint, Program: prog})
		if err != nil {
			return nil, permission(fmt.Errorf("attach to %s: %w", p.tracepoint, err))
		}
		s.links = append(s.links, l)
	}
	if s.ring, err = ringbuf.NewReader(s.maps.ring); err != nil {
		return nil, fmt.Errorf("ring: %w", err)
	}
	s.ring.SetDeadline(time.Unix(1, 0)) // never wait
	return s, nil
}

// permission puts into words what EPERM means here.
func permission(err error) error {
	if errors.Is(err, unix.EPERM) { // EACCES is the verifier's
		return fmt.Errorf("not permitted (want CAP_BPF and CAP_PERFMON, and no lockdown or seccomp filter against bpf(2)): %w", err)
	}
	return err
}

func (s *kernelSource) setVIPs(vips map[netip.Addr]bool) error {
	for a := range s.vips {
		if !vips[a] {
			if err := s.maps.vips.Delete(a.As16()); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
				return fmt.Errorf("resets: %w", err)
			}
		}
	}
	for a := range vips {
		if err := s.maps.vips.Put(a.As16(), uint8(1)); err != nil {
			return fmt.Errorf("resets: address %v: %w", a, err)
		}
	}
	s.vips = vips
	return nil
}

func (s *kernelSource) drain(most int, take func(*event)) (lost uint64, err error) {
	for range most {
		err := s.ring.ReadInto(&s.rec)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			break
		}
		if err != nil {
			return 0, fmt.Errorf("resets: ring: %w", err)
		}
		if e, ok := decode(s.rec.RawSample); ok {
			take(&e)
		}
	}
	var total uint64
	if err := s.maps.lost.Lookup(uint32(0), &total); err != nil {
		return 0, fmt.Errorf("resets: %w", err)
	}
	lost, s.lost = total-s.lost, total
	return lost, nil
}

// decode reads a record; the ring may pad it.
func decode(b []byte) (e event, ok bool) {
	if len(b) < recSize {
		return e, false
	}
	address := func(at, port int) netip.AddrPort {
		return netip.AddrPortFrom(netip.AddrFrom16([16]byte(b[at:])).Unmap(), binary.BigEndian.Uint16(b[port:]))
	}
	return event{
		what: what(b[recWhat]),
		flow: flow{address(recClient, recClientPort), address(recVIP, recPort)},
		seq:  binary.BigEndian.Uint32(b[recSeq:]), ack: binary.BigEndian.Uint32(b[recAck:]), hasSeq: true,
		recent: b[recRecent] != 0,
	}, true
}

func (s *kernelSource) Close() error {
	var errs []error
	for _, l := range s.links {
		errs = append(errs, l.Close())
	}
	for _, p := range s.progs {
		errs = append(errs, p.Close())
	}
	if s.ring != nil {
		errs = append(errs, s.ring.Close())
	}
	for _, m := range []*ebpf.Map{s.maps.ring, s.maps.vips, s.maps.closed, s.maps.lost} {
		if m != nil {
			errs = append(errs, m.Close())
		}
	}
	return errors.Join(errs...)
}
