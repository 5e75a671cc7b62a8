package follow

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"catchment/internal/edge"
)

const token = "aaaaaaaaaaaaaaaaaaaaaa-1"

var quiet = slog.New(slog.DiscardHandler)

// control stands for a control node: it answers as one does, and can be away.
type control struct {
	mu      sync.Mutex
	body    []byte // guarded by mu; of the snapshot
	version uint64 // guarded by mu
	away    bool   // guarded by mu
	packed  bool   // guarded by mu
	asked   []string
	next    chan struct{}
}

func newControl() *control { return &control{next: make(chan struct{})} }

func (c *control) publish(version uint64, body []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.version, c.body = version, body
	close(c.next)
	c.next = make(chan struct{})
}

func (c *control) setAway(away bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.away = away
}

func (c *control) lastAsked() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.asked[len(c.asked)-1]
}

func (c *control) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer "+token {
		http.Error(w, "who are you?", http.StatusUnauthorized)
		return
	}
	after, err := strconv.ParseUint(r.URL.Query().Get("after"), 10, 64)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	hold := time.After(Hold)
	for {
		c.mu.Lock()
		c.asked = append(c.asked, r.URL.RawQuery)
		version, body, next, packed := c.version, c.body, c.next, c.packed
		c.mu.Unlock()
		if version > after {
			if packed {
				w.Header().Set("Content-Encoding", "gzip")
				z := gzip.NewWriter(w)
				z.Write(body)
				z.Close()
				return
			}
			w.Write(body)
			return
		}
		select {
		case <-next:
		case <-r.Context().Done():
			return
		case <-hold:
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
}

// RoundTrip is the control node without a network, for tests in bubbles.
func (c *control) RoundTrip(r *http.Request) (*http.Response, error) {
	c.mu.Lock()
	away := c.away
	c.mu.Unlock()
	if away {
		return nil, errors.New("connection refused")
	}
	w := httptest.NewRecorder()
	c.ServeHTTP(w, r)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return w.Result(), nil
}

func snapshot(version uint64) []byte {
	text, err := json.Marshal(&edge.Snapshot{
		Version: version, Made: time.Date(2026, 11, 1, 12, 0, int(version%60), 0, time.UTC),
		Fleet: &edge.Fleet{Zone: "edge.example"},
	})
	if err != nil {
		panic(err)
	}
	return text
}

// applied is what a role would do with snapshots.
type applied struct {
	mu       sync.Mutex
	versions []uint64
	bad      map[uint64]bool // refused
}

func (a *applied) apply(s *edge.Snapshot) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.bad[s.Version] {
		return errors.New("makes no sense")
	}
	a.versions = append(a.versions, s.Version)
	return nil
}

func (a *applied) last() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.versions) == 0 {
		return 0
	}
	return a.versions[len(a.versions)-1]
}

// inBubble returns a follower of c without a network.
func inBubble(t *testing.T, c *control, file string, a *applied) (*Follower, *prometheus.Registry) {
	t.Helper()
	reg := prometheus.NewRegistry()
	f, err := New(&Client{"https://control.example", token, &http.Client{Transport: c}}, file, a.apply, quiet, reg)
	if err != nil {
		t.Fatal(err)
	}
	return f, reg
}

func value(t *testing.T, reg *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		if f.GetName() == name {
			for _, m := range f.Metric {
				sum += m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
		}
	}
	return sum
}

func stored(t *testing.T, file string) uint64 {
	t.Helper()
	s, err := ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return s.Version
}

// TestHundredSwaps: every snapshot is applied, in order, and the newest is on
// disk each time.
func TestHundredSwaps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "snapshot.json")
		c, a := newControl(), &applied{}
		f, reg := inBubble(t, c, file, a)
		ctx, cancel := context.WithCancel(t.Context())
		c.publish(1, snapshot(1))
		if err := f.First(ctx); err != nil {
			t.Fatal(err)
		}
		done := make(chan error)
		go func() { done <- f.Run(ctx) }()
		for v := uint64(2); v <= 101; v++ {
			time.Sleep(time.Second)
			c.publish(v, snapshot(v))
			time.Sleep(time.Second)
			synctest.Wait()
			if a.last() != v || stored(t, file) != v {
				t.Fatalf("version %d: applied %d, on disk %d", v, a.last(), stored(t, file))
			}
		}
		if len(a.versions) != 101 || value(t, reg, "catchment_snapshot_version") != 101 {
			t.Errorf("applied %d snapshots", len(a.versions))
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// TestControlAway: a follower starts from disk when nobody answers, says how
// old that is, and goes on when somebody does again.
func TestControlAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "snapshot.json")
		if err := writeFile(file, snapshot(7)); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file, time.Now(), time.Now()); err != nil { // of the bubble's clock
			t.Fatal(err)
		}
		c, a := newControl(), &applied{}
		c.setAway(true)
		f, reg := inBubble(t, c, file, a)
		ctx, cancel := context.WithCancel(t.Context())
		if err := f.First(ctx); err != nil || a.last() != 7 {
			t.Fatal(a.last(), err)
		}
		done := make(chan error)
		go func() { done <- f.Run(ctx) }()
		time.Sleep(time.Hour)
		if got := value(t, reg, "catchment_snapshot_age_seconds"); got < 3599 || got > 3601 {
			t.Errorf("age %v s", got)
		}
		if err := testutil.GatherAndCompare(reg, strings.NewReader(`# HELP catchment_snapshot_source 1 for where the snapshot in use came from: control, disk (the control node has not answered since start) or file.
# TYPE catchment_snapshot_source gauge
catchment_snapshot_source{source="control"} 0
catchment_snapshot_source{source="disk"} 1
catchment_snapshot_source{source="file"} 0
`), "catchment_snapshot_source"); err != nil {
			t.Error(err)
		}
		c.publish(8, snapshot(8))
		c.setAway(false)
		time.Sleep(maxRetry)
		synctest.Wait()
		if a.last() != 8 || stored(t, file) != 8 || value(t, reg, "catchment_snapshot_age_seconds") > maxRetry.Seconds() {
			t.Errorf("applied %d, on disk %d", a.last(), stored(t, file))
		}
		if !strings.Contains(c.lastAsked(), "after=8") {
			t.Errorf("asked for %s", c.lastAsked())
		}
		time.Sleep(time.Hour) // nothing new: 304 keeps it fresh
		if age := value(t, reg, "catchment_snapshot_age_seconds"); age > Hold.Seconds()+1 {
			t.Errorf("age %v s", age)
		}
		cancel()
		<-done
	})
}

// TestRefused: what cannot be used is neither applied nor kept, whatever is
// wrong with it, and is not asked for again.
func TestRefused(t *testing.T) {
	f := func(name string, body []byte, bad bool) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				file := filepath.Join(t.TempDir(), "snapshot.json")
				c, a := newControl(), &applied{bad: map[uint64]bool{9: bad}}
				f, reg := inBubble(t, c, file, a)
				c.publish(8, snapshot(8))
				ctx, cancel := context.WithCancel(t.Context())
				if err := f.First(ctx); err != nil {
					t.Fatal(err)
				}
				done := make(chan error)
				go func() { done <- f.Run(ctx) }()
				time.Sleep(time.Second)
				c.publish(9, body)
				time.Sleep(time.Minute)
				synctest.Wait()
				if a.last() != 8 || stored(t, file) != 8 || value(t, reg, "catchment_snapshot_version") != 8 {
					t.Errorf("applied %d, on disk %d", a.last(), stored(t, file))
				}
				refused := value(t, reg, "catchment_snapshot_refused_total")
				if refused < 1 || bad && refused > 1 {
					t.Errorf("refused %v", refused)
				}
				if bad && !strings.Contains(c.lastAsked(), "after=9") || bad && !strings.Contains(c.lastAsked(), "refused=9") {
					t.Errorf("asked for %s", c.lastAsked())
				}
				c.publish(10, snapshot(10))
				time.Sleep(time.Minute)
				synctest.Wait()
				if a.last() != 10 || stored(t, file) != 10 {
					t.Errorf("then applied %d, on disk %d", a.last(), stored(t, file))
				}
				cancel()
				<-done
			})
		})
	}
	f("cut off", snapshot(9)[:40], false)
	f("not JSON", []byte("<html>login</html>"), false)
	f("no fleet", []byte(`{"version":9}`), false)
	f("another type", []byte(`{"version":"9","fleet":{}}`), false)
	f("a lower version", snapshot(3), false)
	f("does not compile", snapshot(9), true)
}

// TestDamagedDisk: a file that cannot be used is no reason not to start, only
// to wait for the control node.
func TestDamagedDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "snapshot.json")
		if err := writeFile(file, snapshot(7)[:50]); err != nil {
			t.Fatal(err)
		}
		c, a := newControl(), &applied{}
		c.setAway(true)
		f, _ := inBubble(t, c, file, a)
		first := make(chan error)
		go func() { first <- f.First(t.Context()) }()
		time.Sleep(time.Minute)
		synctest.Wait()
		if a.last() != 0 {
			t.Fatalf("applied %d", a.last())
		}
		c.publish(4, snapshot(4))
		c.setAway(false)
		if err := <-first; err != nil || a.last() != 4 || stored(t, file) != 4 {
			t.Error(a.last(), err)
		}
	})
}

func TestFirstEndsWithContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newControl()
		c.setAway(true)
		f, _ := inBubble(t, c, filepath.Join(t.TempDir(), "none.json"), &applied{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := f.First(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
}

// overTLS returns a client of a real listener.
func overTLS(t *testing.T, h http.Handler, secret string) *Client {
	t.Helper()
	server := httptest.NewTLSServer(h)
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	t.Cleanup(server.Close)
	dir := t.TempDir()
	ca := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	tokenFile := filepath.Join(dir, "token")
	if err := os.WriteFile(tokenFile, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	client, err := NewClient(server.URL, tokenFile, ca)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func TestOverTLS(t *testing.T) {
	c, a := newControl(), &applied{}
	c.packed = true
	c.publish(5, snapshot(5))
	f, err := New(overTLS(t, c, token), filepath.Join(t.TempDir(), "snapshot.json"), a.apply, quiet, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.First(t.Context()); err != nil || a.last() != 5 {
		t.Fatal(a.last(), err)
	}
	f, err = New(overTLS(t, c, token+"x"), filepath.Join(t.TempDir(), "snapshot.json"), a.apply, quiet, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.poll(t.Context()); err == nil || !strings.Contains(err.Error(), "401 Unauthorized: who are you?") || strings.Contains(err.Error(), token) {
		t.Error(err)
	}
}

// TestGzipBomb: what a small body unfolds to is bounded.
func TestGzipBomb(t *testing.T) {
	client := overTLS(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		zeros := make([]byte, 1<<20)
		for range 4 {
			z.Write(zeros)
		}
		z.Close()
	}), token)
	if _, err := client.Get(t.Context(), "/", 1<<20); err == nil || !strings.Contains(err.Error(), "more than 1048576 bytes") {
		t.Error(err)
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	client := overTLS(t, http.RedirectHandler("https://elsewhere.example/", http.StatusFound), token)
	if _, err := client.Get(t.Context(), "/", 100); err == nil || !strings.Contains(err.Error(), "redirects are not followed") {
		t.Error(err)
	}
}

func TestPost(t *testing.T) {
	var got string
	client := overTLS(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = fmt.Sprintf("%s %s %s %s", r.Method, r.URL.Path, r.Header.Get("Content-Type"), body)
		if r.URL.Path == "/no" {
			http.Error(w, "no such thing", http.StatusBadRequest)
		}
	}), token)
	if err := client.Post(t.Context(), "/v1/health", edge.HealthReport{State: edge.Up}); err != nil || got != `POST /v1/health application/json {"state":"up"}` {
		t.Error(got, err)
	}
	err := client.Post(t.Context(), "/no", 1)
	var status *StatusError
	if !errors.As(err, &status) || status.Code != 400 || err.Error() != "follow: /no: 400 Bad Request: no such thing" {
		t.Error(err)
	}
}

func TestCall(t *testing.T) {
	client := overTLS(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Method {
		case http.MethodDelete:
			w.WriteHeader(http.StatusNoContent)
		case http.MethodPost:
			io.Copy(w, r.Body)
		default:
			io.WriteString(w, "{")
		}
	}), token)
	var got edge.HealthReport
	if err := client.Call(t.Context(), http.MethodPost, "/", edge.HealthReport{State: edge.Down}, &got); err != nil || got.State != edge.Down {
		t.Error(got, err)
	}
	if err := client.Call(t.Context(), http.MethodDelete, "/", nil, &got); err != nil {
		t.Error(err)
	}
	if err := client.Call(t.Context(), http.MethodGet, "/", nil, &got); err == nil || !strings.HasPrefix(err.Error(), "follow: /: the answer: ") {
		t.Error(err)
	}
}

// TestDownload: what breaks off is no success.
func TestDownload(t *testing.T) {
	client := overTLS(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/none":
			w.WriteHeader(http.StatusForbidden)
			return
		case "/short":
			w.Header().Set("Content-Length", "2000000")
		}
		w.Write(make([]byte, 1_500_000))
	}), token)
	for path, want := range map[string]string{"/": "", "/short": "follow: /short: unexpected EOF", "/none": "follow: /none: 403 Forbidden: "} {
		got := ""
		n, err := client.Download(t.Context(), path, io.Discard)
		if err != nil {
			got = err.Error()
		}
		if got != want || path == "/" && n != 1_500_000 {
			t.Errorf("%s: %d bytes, %q, want %q", path, n, got, want)
		}
	}
}

func TestNewClientRefuses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
		t.Fatal(err)
	}
	f := func(make func(string, string, string) (*Client, error), url, tokenFile, ca, want string) {
		t.Helper()
		_, err := make(url, tokenFile, ca)
		if text := fmt.Sprint(err); !strings.Contains(text, want) || want != "<nil>" && err == nil {
			t.Errorf("%s: %v, want %s", url, err, want)
		}
	}
	f(NewClient, "https://control.example:9443", file, "", "<nil>")
	f(NewClient, "https://control.example:9443/", file, "", "<nil>")
	f(NewClient, "http://control.example", file, "", "want an https URL")
	f(NewClient, "control.example:9443", file, "", "want an https URL")
	f(NewClient, "https://u:p@control.example", file, "", "want scheme, host and port only")
	f(NewClient, "https://control.example/v1", file, "", "want scheme, host and port only")
	f(NewClient, "https://control.example", file+"x", "", "no such file")
	f(NewClient, "https://control.example", file, file, "holds no certificate")
	f(NewAPIClient, "http://127.0.0.1:9100", file, "", "<nil>")
	f(NewAPIClient, "http://[::1]:9100", file, "", "<nil>")
	f(NewAPIClient, "http://192.0.2.1:9100", file, "", "want https, or http to a loopback address")
}

func FuzzDecode(f *testing.F) {
	f.Add(snapshot(3))
	f.Add([]byte(`{"version":1,"fleet":{"PoPs":[{"ID":"iad","Unicast":["192.0.2.1"]}]},"orders":[{"country":"US","pops":null}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := decode(data)
		if err == nil && (s.Version == 0 || s.Fleet == nil) {
			t.Error("a snapshot without version or fleet")
		}
	})
}
