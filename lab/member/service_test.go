package member_test

import (
	"bufio"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"catchment/internal/announce"
)

// TestService: the VIP's routes are there exactly while its checks find the
// service well; those of a VIP that depends on others, and the PoP's own prefix,
// are let be.
func TestService(t *testing.T) {
	const port4 = "203.0.113.128/25"
	t.Parallel()
	s := newSite(t, 1)
	r := s.routers[0]
	s.write("fleet.yaml", world{
		routers: 1, checking: quickly,
		vips: `  - {id: port, addresses: [203.0.113.129], prefixes: [` + port4 + `], health: port}`,
		health: `      - {name: tcp, tcp: "` + serviceAddr + `", rise: 1, fall: 10, every: 200ms}
      - {name: disk, exec: [/bin/true], rise: 1, fall: 10, every: 1s}
    health_groups: [{id: port, checks: [tcp, disk]}]`,
	}.file())
	p := s.start()
	p.established()
	r.hears(port4, "community", "BGP.as_path: 64500\n")
	r.hears(own4, "community", "BGP.as_path: 64500\n")
	p.until("a check that is down", func(st announce.Status) bool { return strings.Contains(wanted(st, vip4).Reason, "web: ") })
	for _, prefix := range []string{vip4, vip6} {
		if out := r.route(prefix); out != "" {
			t.Errorf("%s is announced while the service is down:\n%s", prefix, out)
		}
	}

	at := s.service.is(well)
	first := r.there(vip4, at)
	if _, ok := s.addresses()[lo4]; !ok {
		t.Errorf("%s is announced, and not on lo: %v", vip4, s.addresses())
	}
	r.there(vip6, at)
	if flags, ok := s.addresses()[lo6]; !ok || strings.Contains(flags, "tentative") || strings.Contains(flags, "dadfailed") {
		t.Errorf("%s is announced, and on lo there is %v", vip6, s.addresses())
	}
	for _, addr := range []string{vipAddr4 + ":80", "[" + vipAddr6 + "]:80"} {
		if pop := s.fetch(addr).Header.Get("X-Pop"); pop != "iad" {
			t.Errorf("%s answers as %q", addr, pop)
		}
	}
	r.hears(vip4, "community", "BGP.as_path: 64500\n", "BGP.next_hop: "+popAddr(0)+"\n")
	t.Logf("figures: well %v before the route is in the router's kernel", first.Sub(at).Round(time.Millisecond))

	for name, mode := range map[string]int32{"answers 503": failing, "hangs": hanging} {
		at := s.service.is(mode)
		took := r.gone(vip4, at).Sub(at)
		r.gone(vip6, at)
		t.Logf("figures: service %s: route gone after %v, at most %v is meant", name, took.Round(time.Millisecond), quickly.countsFor()+50*time.Millisecond)
		if took > quickly.countsFor()+time.Second { // the second is a busy machine's
			t.Errorf("service %s: route gone only after %v", name, took)
		}
		if _, ok := s.addresses()[lo4]; !ok {
			t.Error("the address is gone with the route: connections that still come would be lost")
		}
		at = s.service.is(well)
		r.there(vip4, at)
		r.there(vip6, at)
	}
	for _, prefix := range []string{own4, port4} {
		if changes := r.changes(prefix, first); len(changes) > 0 {
			t.Errorf("%s changed: %v", prefix, changes)
		}
	}
}

// fetch asks an address of the PoP, from the first router.
func (s *site) fetch(addr string) *http.Response {
	s.t.Helper()
	c, err := s.dial(0, addr)
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := c.Write([]byte("GET /o HTTP/1.1\r\nHost: www.edge.example\r\nConnection: close\r\n\r\n")); err != nil {
		s.t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp
}

// TestProcess: routes go with the process, however it ends, and are back at
// once when it is.
func TestProcess(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1)
	r := s.routers[0]
	s.ip(s.pop, "addr add "+lo4+" dev lo") // not ours to remove
	s.write("fleet.yaml", world{routers: 1}.file())
	at := s.service.is(well)
	p := s.start()
	r.there(vip4, at)

	at = p.kill()
	took := r.gone(vip4, at).Sub(at)
	t.Logf("figures: killed: route gone after %v", took.Round(time.Millisecond))
	if took > 2*time.Second { // 250 ms are meant, on a machine of one's own
		t.Errorf("route gone only %v after the process was killed", took)
	}

	// Checks that take long to decide do not hold up what was announced, nor is
	// that announced before there is an address again to answer.
	s.write("fleet.yaml", world{routers: 1, rise: 100}.file())
	s.ip(s.pop, "addr del "+lo6+" dev lo")
	at = time.Now()
	p = s.start()
	took = r.there(vip6, at).Sub(at)
	if _, ok := s.addresses()[lo6]; !ok {
		t.Errorf("%s is announced, and not on lo: %v", vip6, s.addresses())
	}
	r.there(vip4, at)
	t.Logf("figures: started again: route back after %v", took.Round(time.Millisecond))
	if took > 100*patiently.every/2 {
		t.Errorf("back only after %v: it waited for the checks", took)
	}

	at = p.stop()
	r.gone(vip4, at)
	r.gone(own4, at)
	if all := s.addresses(); len(all) != 1 || all[lo4] == "" {
		t.Errorf("on lo there is %v, want what was there before", all)
	}
	if entries, err := os.ReadDir(s.data()); err != nil {
		t.Error(err)
	} else {
		for _, e := range entries {
			if info, err := e.Info(); err == nil && info.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s has mode %v: others may use it", filepath.Join(s.data(), e.Name()), info.Mode())
			}
		}
	}
}

// TestFailStatic: without a control node to ask, nothing is withdrawn; what is
// announced asks for any other PoP, loudly.
func TestFailStatic(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1)
	r := s.routers[0]
	s.write("fleet.yaml", world{routers: 1, announce: "guard: {wait: 200ms}"}.file())
	s.service.is(well)
	p := s.start()
	r.hears(vip4, "community", "BGP.as_path: 64500\n")

	at := s.service.is(failing)
	r.hears(vip4, "", "BGP.as_path: 64500 64500 64500 64500\n", "(65535,0)")
	r.hears(vip6, "", "BGP.as_path: 64500 64500 64500 64500\n", "(65535,0)")
	st := p.until("a degraded VIP", func(st announce.Status) bool { return len(st.Report.VIPs) == 1 && st.Report.VIPs[0].Degraded })
	if w := wanted(st, vip4); !w.Announced || !strings.Contains(w.Reason, "web: ") {
		t.Errorf("it says %+v", w)
	}
	eventually(t, "an ERROR in the log", func() (string, bool) {
		log := p.log.String()
		for line := range strings.Lines(log) {
			if strings.Contains(line, "level=ERROR") && strings.Contains(line, "degraded") {
				return line, true
			}
		}
		return log, false
	})
	if _, text := p.admin("/metrics"); !strings.Contains(text, "catchment_member_") {
		t.Error("there are no metrics catchment_member_…")
	}
	s.service.is(well)
	r.hears(vip4, "65535,0", "BGP.as_path: 64500\n")
	for _, e := range r.changes(vip4, at) {
		if e.deleted {
			t.Errorf("the route was withdrawn at %v", e.at)
		}
	}
}
