package resetlog

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
	"github.com/google/go-cmp/cmp/cmpopts"

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

const tokenFile = "pop iad iad-0123456789abcdefghijkl\npop lax lax-0123456789abcdefghijkl\npop gru gru-0123456789abcdefghijkl\ndns ns1 dns-0123456789abcdefghijkl\n"

func open(t *testing.T, dir string, edit func(*Config)) *Log {
	t.Helper()
	known, _, err := tokens.Parse(strings.NewReader(tokenFile))
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

// hand hands in a body as a PoP.
func hand(l *Log, id string, body []byte) (int, edge.ResetsAnswer, string) {
	r := httptest.NewRequest(http.MethodPost, "/v1/resets", bytes.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+id+"-0123456789abcdefghijkl")
	w := httptest.NewRecorder()
	l.Handler().ServeHTTP(w, r)
	var a edge.ResetsAnswer
	if w.Code == http.StatusOK {
		if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
			return 0, a, err.Error()
		}
	}
	return w.Code, a, w.Body.String()
}

func text(t *testing.T, b *edge.Resets) []byte {
	t.Helper()
	text, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// batchOf is one of a PoP with a reset of each of the connections.
func batchOf(pop edge.PoPID, seq uint64, flows ...edge.FlowHash) *edge.Resets {
	now := time.Now().UTC()
	b := &edge.Resets{PoP: pop, Method: edge.ResetsByKernel, Run: "r", Seq: seq, Key: edge.DayOf(now), From: now.Add(-time.Second), Until: now}
	if len(flows) > 0 {
		b.Resets = []edge.Reset{{Kind: edge.MidFlow, VIP: "global", Client: client, Count: uint64(len(flows)), First: now.Add(-time.Second), Last: now, Flows: flows}}
	}
	return b
}

func must(t *testing.T, l *Log, b *edge.Resets) edge.ResetsAnswer {
	t.Helper()
	code, a, body := hand(l, string(b.PoP), text(t, b))
	if code != http.StatusOK {
		t.Fatalf("%s: %d %s", b.PoP, code, body)
	}
	return a
}

func read(t *testing.T, dir string, since, until time.Time) (all []edge.ResetRecord) {
	t.Helper()
	for r, err := range Read(dir, since, until) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, *r)
	}
	return all
}

// What a PoP hands in is on disk when it is answered, once, with its place; and
// the other PoPs are asked about it, once each.
func TestLog(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, nil)
	b := batchOf("lax", 1, 11, 12)
	b.Overflow = 3
	if a := must(t, l, b); len(a.Ask) != 0 || len(a.Keys) != 2 || a.Keys[0].Day != edge.DayOf(time.Now()) || a.Keys[0].Key == a.Keys[1].Key {
		t.Errorf("lax was answered %+v; want two keys and no questions", a)
	}
	must(t, l, b) // again, as its answer was lost
	ask := []edge.AskFlows{{Day: b.Key, Flows: []edge.FlowHash{11, 12}}}
	if a := must(t, l, batchOf("gru", 1)); !cmp.Equal(a.Ask, ask) {
		t.Errorf("gru was asked %+v; want %+v", a.Ask, ask)
	}
	if a := must(t, l, batchOf("gru", 2)); len(a.Ask) != 0 {
		t.Errorf("gru was asked %+v again", a.Ask)
	}
	must(t, l, batchOf("iad", 1))
	o := batchOf("iad", 2)
	o.Open = []edge.OpenFlow{{Flow: 12, Key: b.Key, VIP: "global", Client: client, Unheard: true}}
	must(t, l, o)

	where := edge.Place{Country: "US", ASN: 64496, ASName: "Example"}
	want := []edge.ResetRecord{
		{PoP: "lax", Method: edge.ResetsByKernel, Key: b.Key, Place: where, Reset: &b.Resets[0]},
		{PoP: "lax", Method: edge.ResetsByKernel, Overflow: 3},
		{PoP: "iad", Method: edge.ResetsByKernel, Place: where, Open: &o.Open[0]},
	}
	ignore := []cmp.Option{cmpopts.IgnoreFields(edge.ResetRecord{}, "Received"), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })}
	all := read(t, dir, time.Time{}, time.Time{})
	if diff := cmp.Diff(want, all, ignore...); diff != "" {
		t.Error(diff)
	}

	// In ranges, and after a crash in the middle of a line.
	mid := all[2].Received
	if n := len(read(t, dir, mid, time.Time{})); n != 1 {
		t.Errorf("%d records since the last; want 1", n)
	}
	if n := len(read(t, dir, time.Time{}, mid)); n != 2 {
		t.Errorf("%d records until the last; want 2", n)
	}
	files, _ := filepath.Glob(filepath.Join(dir, "resets", "*", "*.ndjson"))
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
	keys := must(t, l, batchOf("gru", 3, 13)).Keys
	if all := read(t, dir, time.Time{}, time.Time{}); len(all) != 4 || all[3].PoP != "gru" {
		t.Errorf("after a crash there are %d records; want 4", len(all))
	}
	if again := must(t, open(t, dir, nil), batchOf("lax", 9)).Keys; !cmp.Equal(keys, again) {
		t.Error("the keys did not survive")
	}
}

func TestRefused(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, nil)
	for id, want := range map[string]int{"dns": http.StatusUnauthorized, "nobody": http.StatusUnauthorized, "iad": http.StatusBadRequest} {
		if code, _, body := hand(l, id, text(t, batchOf("lax", 1))); code != want {
			t.Errorf("lax by %s: %d %s; want %d", id, code, body, want)
		}
	}
	if code, _, _ := hand(l, "lax", bytes.Repeat([]byte(" "), maxBody+1)); code != http.StatusRequestEntityTooLarge {
		t.Errorf("too large: %d", code)
	}
	for want, edit := range map[string]func(*edge.Resets){
		"method: ":                    func(b *edge.Resets) { b.Method = "magic" },
		"run: ":                       func(b *edge.Resets) { b.Run = "" },
		"seq: ":                       func(b *edge.Resets) { b.Seq = 0 },
		"key: ":                       func(b *edge.Resets) { b.Key += 5 },
		"from, until: ":               func(b *edge.Resets) { b.Until = b.From.Add(-1) },
		"resets: ":                    func(b *edge.Resets) { b.Resets = make([]edge.Reset, edge.MaxResets+1) },
		"open: ":                      func(b *edge.Resets) { b.Open = make([]edge.OpenFlow, edge.MaxOpenFlows+1) },
		"open[0]: ":                   func(b *edge.Resets) { b.Open = make([]edge.OpenFlow, 1) },
		"resets[0].kind: ":            func(b *edge.Resets) { b.Resets[0].Kind = "x" },
		"resets[0].doubt: ":           func(b *edge.Resets) { b.Resets[0].Doubt = "x" },
		"resets[0].kind: excess":      func(b *edge.Resets) { b.Resets[0].Kind = edge.Excess },
		"resets[0].vip: ":             func(b *edge.Resets) { b.Resets[0].VIP = "A b" },
		"resets[0].client: ":          func(b *edge.Resets) { b.Resets[0].Client = netip.MustParsePrefix("203.0.113.7/32") },
		"resets[0].client: want a pr": func(b *edge.Resets) { b.Resets[0].Client = netip.Prefix{} },
		"resets[0].count: ":           func(b *edge.Resets) { b.Resets[0].Count = 0 },
		"resets[0].first, last: ":     func(b *edge.Resets) { b.Resets[0].First = time.Now().Add(-1000 * time.Hour) },
		"resets[0].flows: ":           func(b *edge.Resets) { b.Resets[0].Flows = make([]edge.FlowHash, edge.MaxResetFlows+1) },
	} {
		b := batchOf("lax", 1, 1)
		edit(b)
		if code, _, body := hand(l, "lax", text(t, b)); code != http.StatusBadRequest || !strings.HasPrefix(body, want) {
			t.Errorf("%d %s; want %s", code, body, want)
		}
	}
	if all := read(t, dir, time.Time{}, time.Time{}); len(all) != 0 {
		t.Errorf("%d records were kept", len(all))
	}
}

// A day's log does not grow without bound, and a disk that is nearly full is
// left alone.
func TestBounds(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, func(c *Config) { c.MaxDayBytes = 5000 })
	for seq := range uint64(100) {
		must(t, l, batchOf("lax", seq+1, 1))
	}
	n := len(read(t, dir, time.Time{}, time.Time{}))
	if n < 5 || n > 5000/100 {
		t.Errorf("%d records in 5,000 bytes", n)
	}
	must(t, open(t, dir, func(c *Config) { c.MaxDayBytes = 5000 }), batchOf("gru", 1, 1))
	if again := len(read(t, dir, time.Time{}, time.Time{})); again != n {
		t.Errorf("%d records after a restart; want %d", again, n)
	}
	l = open(t, dir, func(c *Config) { c.MinFreeBytes = 1 << 62 })
	if code, _, body := hand(l, "iad", text(t, batchOf("iad", 1, 1))); code != http.StatusServiceUnavailable {
		t.Errorf("without disk space: %d %s", code, body)
	}
	if code, _, body := hand(l, "iad", text(t, batchOf("iad", 2))); code != http.StatusOK {
		t.Errorf("nothing to write, without disk space: %d %s", code, body)
	}
}

// Days go when their retention is over, keys when the day after is; questions
// when they are a minute old.
func TestTime(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		l := open(t, dir, func(c *Config) { c.Retention = 48 * time.Hour })
		first := must(t, l, batchOf("lax", 1, 1)).Keys
		time.Sleep(askFor + time.Second)
		if a := must(t, l, batchOf("gru", 1)); len(a.Ask) != 0 {
			t.Errorf("gru was asked %+v, too late", a.Ask)
		}
		time.Sleep(24 * time.Hour)
		second := must(t, l, batchOf("lax", 2, 2)).Keys
		if first[1] != second[0] || first[0] == second[1] {
			t.Errorf("keys %v, then %v; want tomorrow's to be today's", first, second)
		}
		if err := l.days.DropOld(l.cfg.Retention, time.Now()); err != nil {
			t.Fatal(err)
		}
		if n := len(read(t, dir, time.Time{}, time.Time{})); n != 2 {
			t.Errorf("%d records on the second day; want 2", n)
		}
		time.Sleep(48 * time.Hour)
		must(t, l, batchOf("lax", 3, 3))
		if err := l.days.DropOld(l.cfg.Retention, time.Now()); err != nil {
			t.Fatal(err)
		}
		if all := read(t, dir, time.Time{}, time.Time{}); len(all) != 2 || all[0].Reset.Flows[0] != 2 {
			t.Errorf("%d records on the fourth day; want the last 2", len(all))
		}
		kept, err := os.ReadFile(filepath.Join(dir, "keys", "resets.json"))
		if err != nil {
			t.Fatal(err)
		}
		old, _ := first[0].Key.MarshalText()
		if bytes.Contains(kept, old) {
			t.Error("the first day's key is still there")
		}
		if info, err := os.Stat(filepath.Join(dir, "keys", "resets.json")); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("the keys' file: %v, %v", info.Mode(), err)
		}
	})
}

// Many questions are asked in turns, the latest of them.
func TestAsking(t *testing.T) {
	var a asking
	now := time.Now()
	next := edge.FlowHash(0)
	for range mostAsked {
		b := batchOf("lax", 1)
		b.Resets = []edge.Reset{{Kind: edge.MidFlow, Last: now, Flows: []edge.FlowHash{next, next + 1}}}
		next += 2
		a.add(b, now)
	}
	scan := batchOf("lax", 1)
	scan.Resets = []edge.Reset{{Kind: edge.MidFlow, Doubt: edge.DoubtScan, Last: now, Flows: []edge.FlowHash{1 << 40}}}
	a.add(scan, now)
	if got := a.of("lax", now); got != nil {
		t.Errorf("lax is asked %v about its own", got)
	}
	want := next - mostAsked
	for range mostAsked / edge.MaxOpenFlows {
		got := a.of("iad", now)
		if len(got) != 1 || len(got[0].Flows) != edge.MaxOpenFlows {
			t.Fatalf("iad is asked %d times", len(got))
		}
		for _, h := range got[0].Flows {
			if h != want {
				t.Fatalf("iad is asked for %d; want %d", h, want)
			}
			want++
		}
	}
	if got := a.of("iad", now); got != nil {
		t.Errorf("then iad is asked %v", got)
	}
}

func FuzzDecode(f *testing.F) {
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	f.Add([]byte(`{"pop":"lax","method":"ebpf","run":"r","seq":1,"key":20758,"from":"2026-11-01T11:59:57Z","until":"2026-11-01T12:00:00Z","resets":[{"kind":"reset","vip":"global","client":"203.0.113.0/24","count":2,"first":"2026-11-01T11:59:58Z","last":"2026-11-01T11:59:59Z","flows":["00000000000000ff"]}]}`))
	f.Add([]byte(`{"pop":"lax","method":"packet","run":"r","seq":1,"from":"2026-11-01T11:59:57Z","until":"2026-11-01T12:00:00Z","open":[{"flow":"00000000000000ff","key":20758,"vip":"global","client":"2001:db8::/48"}]}`))
	f.Add([]byte(`{"flows":["zz"]} {}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		b, err := decode(bytes.NewReader(body))
		if err != nil || check(b, now) != nil {
			return
		}
		for _, r := range b.Resets {
			if r.Kind != edge.Excess && (r.Client.Bits() > 48 || r.Client.Addr().Is4() && r.Client.Bits() > 24) {
				t.Errorf("a client of %d bits", r.Client.Bits())
			}
		}
		text, err := json.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		again, err := decode(bytes.NewReader(text))
		if err != nil || check(again, now) != nil {
			t.Errorf("%s is not read again: %v", text, err)
		}
	})
}
