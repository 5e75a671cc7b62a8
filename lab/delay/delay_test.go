package delay_test

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"catchment/lab/delay"
)

var (
	client4 = netip.MustParseAddr("203.0.113.7")
	client6 = netip.MustParseAddr("2001:db8:c::7")
	iad4    = netip.MustParseAddr("192.0.2.10")
	iad6    = netip.MustParseAddr("2001:db8:a::10")
	gru4    = netip.MustParseAddr("192.0.2.20")
	vip4    = netip.MustParseAddr("198.51.100.1")
)

// network returns an empty network, or skips the test where there can be none.
func network(t *testing.T) *delay.Network {
	t.Helper()
	n, err := delay.New(1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	probe, err := delay.NewNamespace()
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skipf("needs root: %v", err)
	}
	probe.Close()
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	return n
}

func site(t *testing.T, n *delay.Network, name string, link delay.Link, addrs ...netip.Addr) *delay.Site {
	t.Helper()
	s, err := n.AddSite(name, link, addrs...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// greet accepts connections at port 80 of every address of the site, writes
// the site's name and closes.
func greet(t *testing.T, s *delay.Site) {
	t.Helper()
	l, err := s.Listen("tcp", ":80")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			io.WriteString(c, s.Name+" "+c.LocalAddr().String())
			c.Close()
		}
	}()
}

// reach connects to port 80 of addr, and returns the greeting and how long the
// connection took.
func reach(t *testing.T, from *delay.Site, addr netip.Addr) (greeting string, connect time.Duration) {
	t.Helper()
	start := time.Now()
	c, err := from.Dial(&net.Dialer{Timeout: 5 * time.Second}, "tcp", netip.AddrPortFrom(addr, 80).String())
	if err != nil {
		t.Fatal(err)
	}
	connect = time.Since(start)
	defer c.Close()
	b, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	return string(b), connect
}

func TestConnectTime(t *testing.T) {
	n := network(t)
	client := site(t, n, "client", delay.Link{}, client4, client6)
	iad := site(t, n, "iad", delay.Link{}, iad4, iad6)
	greet(t, iad)
	for _, c := range []struct {
		rtt  time.Duration
		addr netip.Addr
	}{
		{0, iad4},
		{5 * time.Millisecond, iad4},
		{20 * time.Millisecond, iad4},
		{20 * time.Millisecond, iad6},
		{100 * time.Millisecond, iad4},
	} {
		iad.SetLink(delay.Link{RTT: c.rtt})
		over := make([]time.Duration, 15)
		for i := range over {
			_, took := reach(t, client, c.addr)
			over[i] = took - c.rtt
		}
		slices.Sort(over)
		least, median := over[0], over[len(over)/2]
		t.Logf("RTT %v to %v: connect takes %v more at least, %v more in the median", c.rtt, c.addr, least, median)
		// The least tells how exact the delay is; the median, how busy the machine.
		if least < 0 || least > time.Millisecond {
			t.Errorf("RTT %v to %v: connect is off by %v at least", c.rtt, c.addr, least)
		}
	}
	s := n.Stats()
	t.Log(s)
	if s.Realtime != nil {
		t.Log(s.Realtime)
	}
}

func TestAnycast(t *testing.T) {
	n := network(t)
	client := site(t, n, "client", delay.Link{}, client4)
	iad := site(t, n, "iad", delay.Link{RTT: 2 * time.Millisecond}, iad4, vip4)
	gru := site(t, n, "gru", delay.Link{RTT: 8 * time.Millisecond}, gru4, vip4)
	greet(t, iad)
	greet(t, gru)
	want := func(addr netip.Addr, greeting string, rtt time.Duration) {
		t.Helper()
		got, took := reach(t, client, addr)
		if got != greeting || took < rtt {
			t.Errorf("%v greets with %q in %v, want %q in %v or more", addr, got, took, greeting, rtt)
		}
	}
	want(iad4, "iad 192.0.2.10:80", 2*time.Millisecond)
	want(gru4, "gru 192.0.2.20:80", 8*time.Millisecond)
	want(vip4, "iad 198.51.100.1:80", 2*time.Millisecond)
	n.Route(client, vip4, gru)
	want(vip4, "gru 198.51.100.1:80", 8*time.Millisecond)
}

// A flip resets the connection: the other site's kernel has never heard of it.
func TestFlipResets(t *testing.T) {
	n := network(t)
	client := site(t, n, "client", delay.Link{}, client4)
	var flipped *delay.Site
	for _, name := range []string{"iad", "gru"} {
		s := site(t, n, name, delay.Link{}, vip4)
		l, err := s.Listen("tcp", ":80") // the kernel accepts; nobody answers
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		flipped = s
	}
	c, err := client.Dial(&net.Dialer{Timeout: time.Second}, "tcp", "198.51.100.1:80")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	n.Route(client, vip4, flipped)
	c.SetDeadline(time.Now().Add(2 * time.Second))
	c.Write([]byte("x"))
	if _, err := c.Read(make([]byte, 1)); err == nil || !strings.Contains(err.Error(), "reset") {
		t.Errorf("read after the flip: %v, want a reset", err)
	}
}

func TestBlackHole(t *testing.T) {
	n := network(t)
	client := site(t, n, "client", delay.Link{}, client4)
	iad := site(t, n, "iad", delay.Link{Down: true}, iad4)
	greet(t, iad)
	_, err := client.Dial(&net.Dialer{Timeout: 50 * time.Millisecond}, "tcp", "192.0.2.10:80")
	if timeout := net.Error(nil); !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("dialing into a black hole: %v, want a timeout", err)
	}
	iad.SetLink(delay.Link{})
	if got, _ := reach(t, client, iad4); got != "iad 192.0.2.10:80" {
		t.Errorf("after the link came back: greeting %q", got)
	}
	if s := n.Stats(); s.Dropped == 0 {
		t.Error("no packet counted as dropped")
	}
}

// volley sends count numbered datagrams to addr and returns the numbers that
// arrive, in their order.
func volley(t *testing.T, n *delay.Network, from, to *delay.Site, addr netip.Addr, count uint32) (got []uint32) {
	t.Helper()
	open := func(s *delay.Site, address string) (c net.PacketConn) {
		t.Helper()
		if err := s.Do(func() (err error) { c, err = net.ListenPacket("udp", address); return err }); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	in, out := open(to, netip.AddrPortFrom(addr, 9).String()), open(from, ":0")
	in.SetReadDeadline(time.Now().Add(10 * time.Second))
	send := func(i uint32) {
		t.Helper()
		if _, err := out.WriteTo(binary.BigEndian.AppendUint32(nil, i), in.LocalAddr()); err != nil {
			t.Fatal(err)
		}
	}
	for i := range count {
		send(i)
	}
	for s := n.Stats(); s.Delivered+s.Dropped < uint64(count); s = n.Stats() {
		runtime.Gosched()
	}
	from.SetLink(delay.Link{})
	to.SetLink(delay.Link{})
	send(count) // surely arrives: the end
	for {
		buf := make([]byte, 8)
		if _, _, err := in.ReadFrom(buf); err != nil {
			t.Fatal(err)
		}
		i := binary.BigEndian.Uint32(buf)
		if i == count {
			return got
		}
		got = append(got, i)
	}
}

func TestJitterKeepsOrder(t *testing.T) {
	n := network(t)
	client := site(t, n, "client", delay.Link{Jitter: 5 * time.Millisecond}, client4)
	iad := site(t, n, "iad", delay.Link{Jitter: 5 * time.Millisecond}, iad4)
	got := volley(t, n, client, iad, iad4, 100)
	if len(got) != 100 || !slices.IsSorted(got) {
		t.Errorf("of 100 datagrams %d arrived, as %v", len(got), got)
	}
}

func TestLossIsSeeded(t *testing.T) {
	var runs [2][]uint32
	for i := range runs {
		n := network(t)
		client := site(t, n, "client", delay.Link{Loss: 0.1}, client4)
		iad := site(t, n, "iad", delay.Link{Loss: 0.2}, iad4)
		runs[i] = volley(t, n, client, iad, iad4, 200)
	}
	if !slices.Equal(runs[0], runs[1]) {
		t.Errorf("the same seed lost other datagrams:\n%v\n%v", runs[0], runs[1])
	}
	// 200 × 0.9 × 0.8 = 144, with a standard deviation of 6.4.
	if n := len(runs[0]); n < 125 || n > 163 {
		t.Errorf("%d of 200 datagrams survived losses of 10 %% and 20 %%", n)
	}
}

// A site whose device was deleted is a black hole and keeps nobody busy: the
// descriptor is in error from then on, at which ppoll(2) does not sleep.
func TestDeviceGoes(t *testing.T) {
	n := network(t)
	client := site(t, n, "client", delay.Link{}, client4)
	gone := site(t, n, "iad", delay.Link{}, iad4)
	greet(t, site(t, n, "gru", delay.Link{}, gru4))
	cmd := exec.Command("ip", "link", "delete", "lab0")
	if err := gone.Start(cmd); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Dial(&net.Dialer{Timeout: 50 * time.Millisecond}, "tcp", "192.0.2.10:80"); err == nil {
		t.Error("connected to a site without a device")
	}
	var before, after syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &before)
	for range 20 {
		reach(t, client, gru4)
	}
	time.Sleep(200 * time.Millisecond) // of idleness, which must cost next to nothing
	syscall.Getrusage(syscall.RUSAGE_SELF, &after)
	used := time.Duration(after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano())
	if used > 150*time.Millisecond {
		t.Errorf("%v of CPU time in 200 ms of idleness", used)
	}
}

// What was started at a site dies with the network.
func TestCloseKills(t *testing.T) {
	n := network(t)
	s := site(t, n, "iad", delay.Link{}, iad4)
	cmd := exec.Command("sleep", "60")
	if err := s.Start(cmd); err != nil {
		t.Fatal(err)
	}
	n.Close()
	if err := cmd.Wait(); err == nil || err.Error() != "signal: killed" {
		t.Errorf("a process at a closed site: %v, want it killed", err)
	}
}
