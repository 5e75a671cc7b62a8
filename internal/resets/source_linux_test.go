package resets

import (
	"encoding/binary"
	"errors"
	"log/slog"
	"net/netip"
	"runtime"
	"strings"
	"testing"

	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"

	"catchment/internal/edge"
)

// withCapabilities runs f on a thread with no other capabilities than those.
func withCapabilities(t *testing.T, f func(), caps ...uint) {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		var bits [2]unix.CapUserData
		for _, c := range caps {
			bits[c/32].Effective |= 1 << (c % 32)
			bits[c/32].Permitted |= 1 << (c % 32)
		}
		err := unix.Capset(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &bits[0])
		if err == nil {
			f()
		}
		done <- err
	}()
	if err := <-done; errors.Is(err, unix.EPERM) {
		t.Skip("missing: root")
	} else if err != nil {
		t.Fatal(err)
	}
}

// The best method that is permitted is used, and what the others lack is said.
func TestMethods(t *testing.T) {
	for _, c := range []struct {
		name   string
		caps   []uint
		want   edge.ResetMethod
		failed map[edge.ResetMethod]string
	}{
		{"all that eBPF needs", []uint{unix.CAP_BPF, unix.CAP_PERFMON}, edge.ResetsByKernel, nil},
		{"CAP_NET_RAW", []uint{unix.CAP_NET_RAW}, edge.ResetsByPacket, map[edge.ResetMethod]string{edge.ResetsByKernel: "want CAP_BPF and CAP_PERFMON"}},
		{"CAP_BPF alone", []uint{unix.CAP_BPF}, edge.ResetsByCounters, map[edge.ResetMethod]string{edge.ResetsByKernel: "CAP_PERFMON", edge.ResetsByPacket: "want CAP_NET_RAW"}},
		{"nothing", nil, edge.ResetsByCounters, map[edge.ResetMethod]string{edge.ResetsByKernel: "want CAP_BPF and CAP_PERFMON", edge.ResetsByPacket: "want CAP_NET_RAW"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.want == edge.ResetsByKernel && !permitted(t) {
				return
			}
			w, err := New(Config{PoP: "iad"}, nil, slog.New(slog.DiscardHandler), nil)
			if err != nil {
				t.Fatal(err)
			}
			withCapabilities(t, func() { err = w.Open() }, c.caps...)
			if err != nil {
				t.Fatal(err)
			}
			defer w.close()
			s := w.Status()
			if s.Method != c.want || len(s.Failed) != len(c.failed) {
				t.Errorf("%+v; want %s", s, c.want)
			}
			for m, why := range c.failed {
				if !strings.Contains(s.Failed[m], why) {
					t.Errorf("%s: %q; want %q in it", m, s.Failed[m], why)
				}
			}
		})
	}
}

// permitted reports whether the kernel permits tracepoints here; anything else
// that is wrong with them is a failure.
func permitted(t *testing.T) bool {
	t.Helper()
	s, err := openKernel(1)
	if errors.Is(err, unix.EPERM) || errors.Is(err, errNoBTF) {
		t.Log("left out: ", err)
		return false
	}
	if err != nil {
		t.Fatalf("%+v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	return true
}

// Kernels before 6.10 do not tell why they reset, and have one argument less.
func TestProgramWithoutReason(t *testing.T) {
	if !permitted(t) {
		return
	}
	l, err := kernelLayout()
	if err != nil {
		t.Fatal(err)
	}
	l.reason = nil
	s, err := openPrograms(&l, 1)
	if err != nil {
		t.Fatalf("%+v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestOffset(t *testing.T) {
	u16 := &btf.Int{Name: "u16", Size: 2}
	inner := &btf.Struct{Name: "inner", Size: 8, Members: []btf.Member{{Name: "a", Type: u16, Offset: 16}, {Name: "b", Type: &btf.Typedef{Name: "t", Type: u16}, Offset: 32}}}
	hidden := &btf.Union{Size: 8, Members: []btf.Member{{Name: "x", Type: u16}, {Type: &btf.Struct{Size: 8, Members: []btf.Member{{Name: "deep", Type: &btf.Const{Type: inner}, Offset: 24}}}}}}
	root := &btf.Struct{Name: "root", Size: 32, Members: []btf.Member{{Name: "first", Type: u16}, {Type: hidden, Offset: 64}}}
	for path, want := range map[string]int32{"first": 0, "x": 8, "deep": 11, "deep.a": 13, "deep.b": 15} {
		if got, err := offset(root, path); got != want || err != nil {
			t.Errorf("%s is at %d, %v; want %d", path, got, err, want)
		}
	}
	for _, path := range []string{"none", "deep.none", "x.y"} {
		if _, err := offset(root, path); err == nil {
			t.Errorf("%s was found", path)
		}
	}
}

func TestOutRsts(t *testing.T) {
	const text = "Ip: Forwarding DefaultTTL\nIp: 1 64\nTcp: RtoAlgorithm OutSegs RetransSegs InErrs OutRsts InCsumErrors\nTcp: 1 10 20 30 40 50\nUdp: InDatagrams\nUdp: 1\n"
	if n, err := outRsts([]byte(text)); n != 40 || err != nil {
		t.Errorf("%d, %v; want 40", n, err)
	}
	for _, text := range []string{"", "Tcp: OutRsts\n", "Tcp: A OutRsts\nTcp: 1\n", "Tcp: OutRsts\nTcp: -1\n"} {
		if n, err := outRsts([]byte(text)); err == nil {
			t.Errorf("%q: %d", text, n)
		}
	}
	s, err := openCounters(0)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.read(); err != nil {
		t.Errorf("a second reading: %v", err)
	}
}

func TestBaseline(t *testing.T) {
	b := baseline{learn: 60}
	for i := range 60 {
		if n := b.over(float64(i%3) * 50); n > 0 {
			t.Fatalf("second %d: %d over nothing learned", i, n)
		}
	}
	if b.mean < 49 || b.mean > 51 {
		t.Fatalf("the mean of 0, 50 and 100 is %v", b.mean)
	}
	if n := b.over(60); n != 0 {
		t.Errorf("60 is %d over 50", n)
	}
	if n := b.over(200); n != 150 {
		t.Errorf("200 is %d over 50; want 150", n)
	}
	for range 10 {
		b.over(1e6)
	}
	if b.mean > 60 {
		t.Errorf("a flood of 10 s made %v usual", b.mean)
	}
}

// segmentOf is an outgoing segment of a VIP to a client.
func segmentOf(six bool, flags byte) []byte {
	tcp := make([]byte, 20)
	binary.BigEndian.PutUint16(tcp, 443)
	binary.BigEndian.PutUint16(tcp[2:], 1000)
	binary.BigEndian.PutUint32(tcp[4:], 67890)
	tcp[13] = flags
	if six {
		ip := make([]byte, 40)
		ip[0], ip[6] = 0x60, unix.IPPROTO_TCP
		from, to := vip6.As16(), netip.MustParseAddr("2001:db8:c::7").As16()
		copy(ip[8:], from[:])
		copy(ip[24:], to[:])
		return append(ip, tcp...)
	}
	ip := make([]byte, 24) // with an option
	ip[0], ip[9] = 0x46, unix.IPPROTO_TCP
	from, to := vip4.As4(), [4]byte{203, 0, 113, 7}
	copy(ip[12:], from[:])
	copy(ip[16:], to[:])
	return append(ip, tcp...)
}

func TestParseReset(t *testing.T) {
	for _, six := range []bool{false, true} {
		want := reset("203.0.113.7:1000", 443).flow
		if six {
			want = reset("[2001:db8:c::7]:1000", 443).flow
		}
		f, ack, flags, ok := parseReset(segmentOf(six, flagRST))
		if f != want || ack != 67890 || flags != flagRST || !ok {
			t.Errorf("%v, %d, %x, %v; want %v", f, ack, flags, ok, want)
		}
	}
}

func FuzzParseReset(f *testing.F) {
	f.Add(segmentOf(false, flagRST))
	f.Add(segmentOf(true, flagRST|flagACK))
	f.Add([]byte{0x4f})
	f.Fuzz(func(t *testing.T, b []byte) {
		if x, _, _, ok := parseReset(b); ok && (!x.client.IsValid() || !x.vip.IsValid()) {
			t.Errorf("%v of %x", x, b)
		}
	})
}

func FuzzDecode(f *testing.F) {
	f.Add(make([]byte, recSize))
	f.Add(make([]byte, recSize-1))
	f.Fuzz(func(t *testing.T, b []byte) {
		if e, ok := decode(b); ok && e.flow.client.Addr().Is4In6() {
			t.Errorf("%v of %x", e.flow, b)
		}
	})
}
