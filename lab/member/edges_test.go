package member_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"catchment/internal/announce"
)

// TestDryRun says what would be announced to whom, and touches nothing.
func TestDryRun(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1)
	file := s.write("fleet.yaml", world{routers: 1}.file())
	out, err := run(s.pop, "", catchment(t), "pop", "--pop", "iad", "--fleet", file, "--data", s.data(), "--dry-run")
	if err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	for _, want := range []string{"iad, AS 64500, announces", vip4 + " (VIP global)", vip6 + " (VIP global)", own4 + " (unicast)", "to 192.0.2.1, AS 64496, transit", "to 2001:db8:0:1::1, AS 64496"} {
		if !strings.Contains(out, want) {
			t.Errorf("it lacks %q:\n%s", want, out)
		}
	}
	if all := s.addresses(); len(all) > 0 {
		t.Errorf("addresses on lo: %v", all)
	}
	if _, err := os.Stat(s.data()); err == nil {
		t.Error("it made the data directory")
	}
	if out := s.routers[0].route(own4); out != "" {
		t.Errorf("announced:\n%s", out)
	}
}

// TestUnprivileged: a PoP that may not put addresses on lo says what to do, and
// announces no VIP that it would not answer for; told not to, it does well
// without the right.
func TestUnprivileged(t *testing.T) {
	t.Parallel()
	require(t, "setpriv")
	s := newSite(t, 1)
	file := s.write("fleet.yaml", world{routers: 1}.file())
	pop := []string{"--bounding-set=-net_admin", "--inh-caps=-net_admin", catchment(t), "pop", "--pop", "iad", "--fleet", file, "--data", s.data(), "--listen", ":80", "--admin", admin}
	s.service.is(well)
	out, err := run(s.pop, "", "setpriv", pop...)
	if err == nil || !strings.Contains(out, "CAP_NET_ADMIN") || !strings.Contains(out, "--vip-interface") {
		t.Errorf("%v:\n%s", err, tail(out, 10))
	}
	if out := s.routers[0].route(vip4); out != "" {
		t.Errorf("announced, with no address to answer:\n%s", out)
	}
	s.ip(s.pop, "addr add "+lo4+" dev lo", "addr add "+lo6+" dev lo nodad")
	p := s.start("--vip-interface=")
	s.routers[0].hears(vip4, "community", "BGP.as_path: 64500\n")
	p.stop()
}

// TestWatchdog: systemd hears of the loop that decides.
func TestWatchdog(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1)
	s.write("fleet.yaml", world{routers: 1}.file())
	socket := filepath.Join(s.dir, "notify")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	p := s.startWith([]string{"NOTIFY_SOCKET=" + socket, "WATCHDOG_USEC=2000000"}, "--fleet", filepath.Join(s.dir, "fleet.yaml"))
	_ = c.SetReadDeadline(time.Now().Add(patience))
	buf := make([]byte, 4096)
	var last time.Time
	for fed := 0; fed < 3; {
		n, err := c.Read(buf)
		if err != nil {
			t.Fatalf("fed %d times, then %v\n%s", fed, err, tail(p.log.String(), 20))
		}
		if !strings.Contains(string(buf[:n]), "WATCHDOG=1") {
			continue
		}
		if gap := time.Since(last); fed > 0 && gap > 2*time.Second {
			t.Errorf("%v between two signs of life", gap)
		}
		last = time.Now()
		fed++
	}
}

// TestSilent: a PoP without bgp goes on as one that announces nothing.
func TestSilent(t *testing.T) {
	t.Parallel()
	s := newSite(t, 0)
	s.write("fleet.yaml", "zone: edge.example\npops: [{id: iad, place: {country: US, lat: 38.95, lon: -77.45}}]\nvips: [{id: global, addresses: ["+vipAddr4+"], prefixes: ["+vip4+"]}]\n")
	p := s.start()
	eventually(t, "a server", func() (string, bool) {
		c, err := s.pop.Dial(&net.Dialer{Timeout: time.Second}, "tcp", "127.0.0.1:80")
		if err != nil {
			return err.Error() + "\n" + p.log.String(), false
		}
		_ = c.Close()
		return "", true
	})
	if all := s.addresses(); len(all) > 0 {
		t.Errorf("addresses on lo: %v", all)
	}
	p.stop()
}

// TestFlapping: a check that goes up and down does not take the route with it
// more often than is allowed.
func TestFlapping(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1)
	r := s.routers[0]
	s.write("fleet.yaml", world{routers: 1, announce: "guard: {wait: 0s, unreachable: fail-open-withdraw}\n  flaps_per_hour: 2"}.file())
	at := s.service.is(well)
	p := s.start()
	for range 2 {
		r.there(vip4, at)
		r.gone(vip4, s.service.is(failing))
		at = s.service.is(well)
		p.tells("check web is up")
	}
	st := p.until("a budget that is used up", func(st announce.Status) bool {
		return strings.Contains(wanted(st, vip4).Reason, "2 are allowed")
	})
	if wanted(st, vip4).Announced {
		t.Error("announced with no withdrawal left")
	}
	if changes := r.changes(vip4, at); len(changes) > 0 {
		t.Errorf("announced with no withdrawal left: %v", changes)
	}
}
