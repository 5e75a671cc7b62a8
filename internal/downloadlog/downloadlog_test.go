package downloadlog

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"catchment/internal/edge"
	"catchment/internal/tokens"
)

var client = netip.MustParsePrefix("203.0.113.0/24")

type places struct{}

func (places) Lookup(a netip.Addr) edge.Place {
	if client.Contains(a) {
		return edge.Place{Country: "US", ASN: 64496, ASName: "Example", Lat: 1, Lon: 2}
	}
	return edge.Place{}
}

func open(t *testing.T, dir string, edit func(*Config)) *Log {
	t.Helper()
	known, _, err := tokens.Parse(strings.NewReader("synth fra fra-0123456789abcdefghijkl\npop iad iad-0123456789abcdefghijkl\n"))
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{Dir: dir, Tokens: known, MinFreeBytes: 1}
	if edit != nil {
		edit(&cfg)
	}
	l, err := New(cfg, places{}, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// hand hands in a body from 203.0.113.7.
func hand(l *Log, id string, body []byte) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/v1/downloads", bytes.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+id+"-0123456789abcdefghijkl")
	r.RemoteAddr = "203.0.113.7:40000"
	w := httptest.NewRecorder()
	l.Handler().ServeHTTP(w, r)
	return w
}

func text(t *testing.T, batch []edge.Download) []byte {
	t.Helper()
	b, err := json.Marshal(batch)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// some returns downloads that go by the ids given.
func some(ids ...string) (batch []edge.Download) {
	for _, id := range ids {
		batch = append(batch, edge.Download{
			V: 1, ID: id, Agent: "fra-1", Kind: edge.SlowDownload, Start: time.Now().UTC().Truncate(time.Millisecond), Target: "vip:global",
			Address: "198.51.100.1", Family: 4, Asked: edge.OverHTTPS, Outcome: edge.DownloadReset, Stage: edge.DownloadBody,
			PoP: "iad", PoPEnd: "iad", Length: 75000, Duration: 16034, TCP: &edge.DownloadTCP{RTT: 10.2},
		})
	}
	return batch
}

func must(t *testing.T, l *Log, batch []edge.Download) {
	t.Helper()
	if w := hand(l, "fra", text(t, batch)); w.Code != http.StatusNoContent {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
}

func read(t *testing.T, dir string, since, until time.Time) (ids string, all []edge.DownloadRecord) {
	t.Helper()
	for r, err := range Read(dir, since, until) {
		if err != nil {
			t.Fatal(err)
		}
		ids += r.Download.ID + " "
		all = append(all, *r)
	}
	return strings.TrimSpace(ids), all
}

// What an agent hands in is on disk when it is answered, once, with the place
// and the network of the address that it came from; also after a restart, and
// after a crash in the middle of a line.
func TestLog(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, nil)
	batch := some("a", "b", "b")
	must(t, l, batch)
	must(t, l, batch)
	ids, all := read(t, dir, time.Time{}, time.Time{})
	if ids != "a b" {
		t.Fatalf("records %q; want a, b", ids)
	}
	if diff := cmp.Diff(&batch[0], all[0].Download, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
	if r := all[0]; r.Client != client || r.Place != (edge.Place{Country: "US", ASN: 64496, ASName: "Example"}) || time.Since(r.Received) > time.Minute {
		t.Errorf("%+v", r)
	}
	files, _ := filepath.Glob(filepath.Join(dir, "downloads", "*", "*.ndjson"))
	if len(files) != 1 {
		t.Fatalf("files %v", files)
	}
	f, err := os.OpenFile(files[0], os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(f, `{"received":"20`)
	f.Close()
	l = open(t, dir, nil)
	must(t, l, append(some("a", "b"), some("c")...))
	if ids, _ := read(t, dir, time.Time{}, time.Time{}); ids != "a b c" {
		t.Errorf("after a crash: records %q; want a, b, c", ids)
	}
	begun := batch[0].Start
	if ids, _ := read(t, dir, begun.Add(time.Hour), time.Time{}); ids != "" {
		t.Errorf("of later: %q", ids)
	}
	if ids, _ := read(t, dir, time.Time{}, begun); ids != "" {
		t.Errorf("of before: %q", ids)
	}
}

func TestRefused(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, nil)
	for _, id := range []string{"iad", "nobody"} {
		if w := hand(l, id, text(t, some("a"))); w.Code != http.StatusUnauthorized {
			t.Errorf("by %s: %d %s", id, w.Code, w.Body)
		}
	}
	if w := hand(l, "fra", bytes.Repeat([]byte(" "), maxBody+1)); w.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("too large: %d", w.Code)
	}
	for want, edit := range map[string]func(*edge.Download){
		"[1].v: ":        func(d *edge.Download) { d.V = 2 },
		"[1].id: ":       func(d *edge.Download) { d.ID = "" },
		"[1].agent: ":    func(d *edge.Download) { d.Agent = strings.Repeat("x", 257) },
		"[1].kind: ":     func(d *edge.Download) { d.Kind = "x" },
		"[1].start: ":    func(d *edge.Download) { d.Start = time.Now().Add(-31 * 24 * time.Hour) },
		"[1].target: ":   func(d *edge.Download) { d.Target = "global" },
		"[1].address: ":  func(d *edge.Download) { d.Address = "x" },
		"[1].af: ":       func(d *edge.Download) { d.Family = 6 },
		"[1].asked: ":    func(d *edge.Download) { d.Asked = "gopher" },
		"[1].proto: ":    func(d *edge.Download) { d.Spoke = strings.Repeat("x", 257) },
		"[1].tls: ":      func(d *edge.Download) { d.TLS = strings.Repeat("x", 257) },
		"[1].local: ":    func(d *edge.Download) { d.Local = netip.MustParsePrefix("203.0.113.7/32") },
		"[1].outcome: ":  func(d *edge.Download) { d.Outcome = "" },
		"[1].stage: ":    func(d *edge.Download) { d.Stage = "x" },
		"[1].errno: ":    func(d *edge.Download) { d.Errno = strings.Repeat("x", 257) },
		"[1].error: ":    func(d *edge.Download) { d.Error = strings.Repeat("x", 257) },
		"[1].status: ":   func(d *edge.Download) { d.Status = 7 },
		"[1].pop: ":      func(d *edge.Download) { d.PoP = "A b" },
		"[1].pop_end: ":  func(d *edge.Download) { d.PoPEnd = "A b" },
		"[1].vip: ":      func(d *edge.Download) { d.VIP = "A b" },
		"[1].served: ":   func(d *edge.Download) { d.Served = []edge.PoPID{"A b"} },
		"[1].flips: ":    func(d *edge.Download) { d.Served, d.Flips = []edge.PoPID{"iad"}, 1 },
		"[1].bytes: ":    func(d *edge.Download) { d.Bytes = -1 },
		"[1].stalls: ":   func(d *edge.Download) { d.Stalls = -1 },
		"[1].length: ":   func(d *edge.Download) { d.Length = 1e12 },
		"[1].connect: ":  func(d *edge.Download) { d.Connect = -1 },
		"[1].duration: ": func(d *edge.Download) { d.Duration = -1 },
		"[1].gap: ":      func(d *edge.Download) { d.Gap = -1 },
		"[1].tcp: ":      func(d *edge.Download) { d.TCP.RTT = -1 },
	} {
		batch := some("a", "b")
		edit(&batch[1])
		if w := hand(l, "fra", text(t, batch)); w.Code != http.StatusBadRequest || !strings.HasPrefix(w.Body.String(), want) {
			t.Errorf("%d %s; want %s", w.Code, w.Body, want)
		}
	}
	for body, want := range map[string]string{
		"{}":                             "want an array",
		"[]":                             "want 1 record or more",
		"[null]":                         "[0]: null",
		`[{"v":"x"}]`:                    "[0]: json",
		string(text(t, some("a"))) + "1": "more than one value",
		"[" + strings.Repeat("{},", edge.MaxDownloads) + "{}]": "more than 256 records",
	} {
		if w := hand(l, "fra", []byte(body)); w.Code != http.StatusBadRequest || !strings.HasPrefix(w.Body.String(), want) {
			t.Errorf("%.40s: %d %s; want %s", body, w.Code, w.Body, want)
		}
	}
	if ids, _ := read(t, dir, time.Time{}, time.Time{}); ids != "" {
		t.Errorf("%q was kept", ids)
	}
}

// A day's log does not grow without bound, and a disk that is nearly full is
// left alone: agents keep what they have.
func TestBounds(t *testing.T) {
	for name, edit := range map[string]func(*Config){
		"day":  func(c *Config) { c.MaxDayBytes = 100 },
		"disk": func(c *Config) { c.MinFreeBytes = 1 << 62 },
	} {
		dir := t.TempDir()
		w := hand(open(t, dir, edit), "fra", text(t, some("a")))
		if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
			t.Errorf("%s: %d %v", name, w.Code, w.Header())
		}
		must(t, open(t, dir, nil), some("a"))
		if ids, _ := read(t, dir, time.Time{}, time.Time{}); ids != "a" {
			t.Errorf("%s: then %q; want a", name, ids)
		}
	}
}

// Days are dropped when their retention is over; what was spooled for days is
// still found by when it began.
func TestTime(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		l := open(t, dir, func(c *Config) { c.Retention = 48 * time.Hour })
		begun := time.Now()
		late := some("late")
		must(t, l, some("a"))
		time.Sleep(72 * time.Hour)
		must(t, l, late)
		if ids, _ := read(t, dir, begun, begun.Add(time.Hour)); ids != "a late" {
			t.Errorf("%q; want both", ids)
		}
		if err := l.days.DropOld(l.cfg.Retention, time.Now()); err != nil {
			t.Fatal(err)
		}
		if ids, _ := read(t, dir, time.Time{}, time.Time{}); ids != "late" {
			t.Errorf("%q after the retention; want the second", ids)
		}
	})
}

// The ids that are kept in memory are bounded, and the latest.
func TestRecent(t *testing.T) {
	r := recent{}
	if err := r.load(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	const n = 3 * mostRecent
	for i := range n {
		r.add(fmt.Sprint(i))
	}
	if len(r.young)+len(r.older) > 2*mostRecent || !r.has(fmt.Sprint(n-1)) || !r.has(fmt.Sprint(n-mostRecent)) || r.has("0") {
		t.Errorf("%d and %d ids", len(r.young), len(r.older))
	}
}

func FuzzDecode(f *testing.F) {
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	f.Add([]byte(`[{"v":1,"id":"c5-rk","agent":"fra-1","kind":"slow","start":"2026-11-01T12:00:00.123Z","target":"vip:global","address":"198.51.100.1","af":4,"asked":"https","proto":"http/1.1","tls":"TLS 1.3","local":"203.0.113.0/24","outcome":"reset","stage":"body","errno":"ECONNRESET","pop":"iad","pop_end":"iad","vip":"global","length":75000,"connect":10.2,"duration":16034,"bytes":400,"gap":15022,"stalls":1,"tcp":{"rtt":10.2,"rttvar":0.3,"min_rtt":10.1,"retrans":1,"ooo":0,"mss":1448,"rcv_mss":536}}]`))
	f.Add([]byte(`[{"v":1,"id":"c5-rl","agent":"fra-1","kind":"look","start":"2026-11-01T12:00:00Z","target":"pop:iad","address":"2001:db8::1","af":6,"asked":"h2","outcome":"ok","served":["iad","!","lax"],"flips":1,"bytes":3}]`))
	f.Add([]byte(`[null,{"v":1e99}] {}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		batch, err := decode(bytes.NewReader(body))
		if err != nil || check(batch, now) != nil {
			return
		}
		b, err := json.Marshal(batch)
		if err != nil {
			t.Fatal(err)
		}
		again, err := decode(bytes.NewReader(b))
		if err != nil || check(again, now) != nil {
			t.Errorf("%s is not read again: %v", b, err)
		}
	})
}
