package health

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"catchment/internal/edge"
)

// wants tries a check and expects an error that holds want, or none.
func wants(t *testing.T, h edge.HealthCheck, want string) {
	t.Helper()
	if h.Timeout == 0 {
		h.Timeout = 5 * time.Second
	}
	err := newTry(&h)(t.Context())
	if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
		t.Errorf("%+v: %v, want %q", h, err, want)
	}
}

func TestTryTCP(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	wants(t, edge.HealthCheck{TCP: l.Addr().String()}, "")
	wants(t, edge.HealthCheck{TCP: closedPort(t)}, "connection refused")
}

func TestTryExec(t *testing.T) {
	wants(t, edge.HealthCheck{Exec: []string{"/bin/true"}}, "")
	wants(t, edge.HealthCheck{Exec: []string{"/bin/false"}}, "/bin/false: exit status 1")
	wants(t, edge.HealthCheck{Exec: []string{"/bin/sh", "-c", "echo disk is full >&2; echo more >&2; exit 3"}}, "exit status 3: disk is full")
	wants(t, edge.HealthCheck{Exec: []string{"/bin/sh", "-c", "yes >&2"}, Timeout: 50 * time.Millisecond}, "not done after 50ms")
	wants(t, edge.HealthCheck{Exec: []string{"/bin/sh", "-c", "sleep 1000 >&2 & exit 0"}}, "")
	wants(t, edge.HealthCheck{Exec: []string{"/no/such/command"}}, "no such file")
}

// TestTryExecKillsAll: what a command left behind ends with its time.
func TestTryExecKillsAll(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pid")
	wants(t, edge.HealthCheck{
		Exec:    []string{"/bin/sh", "-c", "sleep 1000 & echo $! > " + file + "; wait"},
		Timeout: 300 * time.Millisecond,
	}, "not done after 300ms")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	for range 500 { // init has to reap it
		stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		if err != nil || strings.Contains(string(stat), ") Z ") {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	_ = syscall.Kill(pid, syscall.SIGKILL)
	t.Error("the command's child lives on")
}

// TestTryDNS asks a name server that answers, one that says no, one that says
// something else first, and none.
func TestTryDNS(t *testing.T) {
	answer := func(rcode dnsmessage.RCode, records ...dnsmessage.ResourceBody) func(q *dnsmessage.Message) []dnsmessage.Message {
		return func(q *dnsmessage.Message) []dnsmessage.Message {
			m := dnsmessage.Message{Header: dnsmessage.Header{ID: q.ID, Response: true, RCode: rcode}, Questions: q.Questions}
			for _, body := range records {
				m.Answers = append(m.Answers, dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: q.Questions[0].Name, Class: dnsmessage.ClassINET}, Body: body})
			}
			return []dnsmessage.Message{m}
		}
	}
	a, cname := &dnsmessage.AResource{A: [4]byte{192, 0, 2, 1}}, &dnsmessage.CNAMEResource{CNAME: dnsmessage.MustNewName("other.example.")}
	well := answer(dnsmessage.RCodeSuccess, cname, a)
	for name, test := range map[string]struct {
		serve func(q *dnsmessage.Message) []dnsmessage.Message
		want  string
	}{
		"well":  {well, ""},
		"no":    {answer(dnsmessage.RCodeServerFailure), "www.example.: answered with ServerFailure"},
		"none":  {answer(dnsmessage.RCodeSuccess, cname), "www.example.: answered without a record of the type"},
		"quiet": {func(*dnsmessage.Message) []dnsmessage.Message { return nil }, "i/o timeout"},
		"forged first": {func(q *dnsmessage.Message) []dnsmessage.Message {
			other := answer(dnsmessage.RCodeNameError)(q)
			other[0].ID++
			return append(other, well(q)...)
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			wants(t, edge.HealthCheck{DNS: &edge.DNSCheck{Server: nameServer(t, test.serve), Name: "www.example", Type: "A"}, Timeout: 300 * time.Millisecond}, test.want)
		})
	}
}

func nameServer(t *testing.T, serve func(q *dnsmessage.Message) []dnsmessage.Message) string {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	go func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			var q dnsmessage.Message
			if q.Unpack(buf[:n]) != nil {
				continue
			}
			for _, m := range serve(&q) {
				if packed, err := m.Pack(); err == nil {
					_, _ = c.WriteTo(packed, from)
				}
			}
		}
	}()
	return c.LocalAddr().String()
}

func FuzzAnswers(f *testing.F) {
	q := dnsmessage.Question{Name: dnsmessage.MustNewName("www.example."), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}
	m := dnsmessage.Message{Header: dnsmessage.Header{ID: 7, Response: true}, Questions: []dnsmessage.Question{q}}
	packed, err := m.Pack()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(packed)
	f.Fuzz(func(t *testing.T, packet []byte) {
		if done, err := answers(packet, 7, q); err != nil && !done {
			t.Errorf("an answer of no account, and %v", err)
		}
	})
}

// TestGroups: a PoP is down if a group is, or a check that is in none.
func TestGroups(t *testing.T) {
	p := &edge.PoP{
		Health: []edge.HealthCheck{{Name: "a", Rise: 1, Fall: 1}, {Name: "b", Rise: 1, Fall: 1}, {Name: "c", Rise: 1, Fall: 1}},
		HealthGroups: []edge.HealthGroup{
			{ID: "any", Need: 1, Checks: []string{"a", "b"}},
		},
	}
	f := func(results, want string) {
		t.Helper()
		c := newChecks(p, quiet, make(chan struct{}, 1), nil)
		for i, r := range results {
			switch r {
			case '+':
				c.note(i, nil)
			case '-':
				c.note(i, errors.New("no"))
			}
		}
		state, why := c.state()
		if got := strings.TrimSuffix(string(state)+" "+why, " "); got != want {
			t.Errorf("%s: %s, want %s", results, got, want)
		}
	}
	f("+++", "up")
	f("-++", "up")
	f("+?+", "up")
	f("-?+", "unknown the checks of any have not been made often enough")
	f("--+", "down any: 0 of 2 checks are up, want 1: b: no")
	f("++-", "down c: no")
	f("++?", "unknown c has not been checked often enough")
	f("--?", "down any: 0 of 2 checks are up, want 1: b: no")
}

// TestTell: every result is told, also those that change nothing, and no check
// is made later than its period.
func TestTell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &edge.PoP{ID: "iad", Health: []edge.HealthCheck{{Name: "web", TCP: closedPort(t), Rise: 1, Fall: 1, Every: time.Second, Timeout: time.Second / 2}}}
		var mu sync.Mutex
		var at []time.Duration
		began := time.Now()
		c := newChecks(p, quiet, make(chan struct{}, 1), func(check string, err error) {
			mu.Lock()
			defer mu.Unlock()
			if check != "web" || err == nil {
				t.Errorf("%s: %v", check, err)
			}
			at = append(at, time.Since(began))
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { c.run(ctx); close(done) }()
		time.Sleep(10 * time.Second)
		cancel()
		<-done
		for i := range at {
			if early, late := time.Duration(i)*900*time.Millisecond, time.Duration(i)*time.Second; at[i] < early || at[i] > late {
				t.Errorf("check %d came after %v, want %v to %v", i, at[i], early, late)
			}
		}
		if len(at) < 10 || len(at) > 12 {
			t.Errorf("%d checks in 10 s", len(at))
		}
	})
}
