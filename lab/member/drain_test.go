package member_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"catchment/internal/announce"
)

// TestDrain goes through a drain that is ordered at the PoP, and back. Nothing
// that was under way is cut off.
func TestDrain(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1)
	r := s.routers[0]
	s.write("fleet.yaml", world{routers: 1}.file())
	s.service.is(well)
	p := s.start()
	r.hears(vip4, "community", "BGP.as_path: 64500\n")
	p.refuses("restore", "nothing to restore")
	if code, text := p.admin("/draining"); code != http.StatusOK || strings.TrimSpace(text) != "no" {
		t.Errorf("/draining in service: %d %q", code, text)
	}

	idle, slow := s.open(vipAddr4+":80"), s.open(vipAddr4+":80")
	defer idle.Close()
	defer slow.Close()
	if resp := idle.get(t, "/o"); resp.Close {
		t.Error("connections are closed in service")
	}
	slow.send(t, "/slow?seconds=3")
	if resp := slow.head(t); resp.StatusCode != http.StatusOK {
		t.Fatalf("/slow: %s", resp.Status)
	}

	at := p.order("drain", "power work")
	p.phase(announce.Connections)
	p.refuses("drain", "under way")
	if code, text := p.admin("/draining"); code != http.StatusServiceUnavailable || !strings.Contains(text, "draining") {
		t.Errorf("/draining: %d %q", code, text)
	}
	if resp := idle.get(t, "/o"); !resp.Close {
		t.Error("a connection is kept open for the next request")
	}
	if _, err := io.Copy(io.Discard, slow.body); err != nil {
		t.Errorf("the download was cut off: %v", err)
	}
	if changes := r.changes(vip4, at); len(changes) > 0 {
		t.Errorf("routes changed while connections were open: %v", changes)
	}
	slow.Close() // its answer began before the order, and so it was not closed with it

	r.hears(vip4, "", "BGP.as_path: 64500 64500 64500 64500\n", "(65535,0)")
	r.gone(vip4, at)
	r.gone(vip6, at)
	p.phase(announce.Drained)
	if changes := r.changes(own4, at); len(changes) > 0 {
		t.Errorf("the PoP's own prefix changed: %v", changes)
	}
	st, err := p.status()
	if err != nil {
		t.Fatal(err)
	}
	var told strings.Builder
	for _, e := range st.Events {
		fmt.Fprintln(&told, e.Text)
	}
	for _, want := range []string{"power work", "now connections", "no connection is open", "now graceful-shutdown", "now settle", "now withdrawn", "now drained"} {
		if !strings.Contains(told.String(), want) {
			t.Errorf("the events lack %q:\n%s", want, told.String())
		}
	}

	// It stays drained, whatever becomes of the process and the service.
	p.kill()
	at = time.Now()
	p = s.start()
	p.established()
	p.until("a check that is up", func(st announce.Status) bool { return strings.Contains(wanted(st, vip4).Reason, "drained") })
	s.service.is(failing)
	p.tells("check web is down")
	s.service.is(well)
	p.tells("check web is up")
	if changes := r.changes(vip4, at); len(changes) > 0 {
		t.Errorf("a drained PoP announces: %v", changes)
	}

	at = p.order("restore", "power is back")
	r.hears(vip4, "", "BGP.as_path: 64500 64500 64500 64500\n", "(65535,0)")
	r.hears(vip4, "65535,0", "BGP.as_path: 64500\n")
	r.there(vip6, at)
	p.phase("")
	if code, _ := p.admin("/draining"); code != http.StatusOK {
		t.Errorf("/draining after restore: %d", code)
	}
}

// TestAbort undoes a drain half way, and skips a phase of another.
func TestAbort(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1)
	r := s.routers[0]
	s.write("fleet.yaml", world{routers: 1}.file())
	s.service.is(well)
	p := s.start()
	r.hears(vip4, "community", "BGP.as_path: 64500\n")
	held := s.open(vipAddr4 + ":80") // keeps the phase connections from its end
	defer held.Close()
	held.get(t, "/o")

	at := p.order("drain", "by mistake")
	p.phase(announce.Connections)
	p.order("abort", "sorry")
	p.phase("")
	if changes := r.changes(vip4, at); len(changes) > 0 {
		t.Errorf("routes changed for a drain that was aborted before it touched them: %v", changes)
	}

	at = p.order("drain", "in earnest")
	p.phase(announce.Connections)
	p.order("skip", "no time")
	r.hears(vip4, "", "(65535,0)")
	p.order("abort", "after all not")
	r.hears(vip4, "65535,0", "BGP.as_path: 64500\n")
	p.phase("")
	for _, e := range r.changes(vip4, at) {
		if e.deleted {
			t.Error("the route was withdrawn on the way back from a graceful shutdown")
		}
	}
}

// client is a connection to the PoP that requests are sent on.
type client struct {
	net.Conn
	in   *bufio.Reader
	body io.ReadCloser
}

func (s *site) open(addr string) *client {
	s.t.Helper()
	c, err := s.dial(0, addr)
	if err != nil {
		s.t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(2 * patience))
	return &client{Conn: c, in: bufio.NewReader(c)}
}

func (c *client) send(t *testing.T, path string) {
	t.Helper()
	if _, err := io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: www.edge.example\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
}

func (c *client) head(t *testing.T) *http.Response {
	t.Helper()
	resp, err := http.ReadResponse(c.in, nil)
	if err != nil {
		t.Fatal(err)
	}
	c.body = resp.Body
	return resp
}

func (c *client) get(t *testing.T, path string) *http.Response {
	t.Helper()
	c.send(t, path)
	resp := c.head(t)
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatal(err)
	}
	return resp
}
