package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"catchment/internal/edge"
	"catchment/internal/geo"
	"catchment/internal/resetlog"
	"catchment/internal/tokens"
)

// What PoPs hand in to the control node is what the report tells.
func TestReportResets(t *testing.T) {
	dir := t.TempDir()
	places := filepath.Join(dir, "places.csv")
	if err := os.WriteFile(places, []byte("prefix,continent,country,subdivision,city,asn,as_name,lat,lon\n203.0.113.0/24,NA,US,IL,,64496,Example Access,,\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := geo.Open(geo.Config{Places: places})
	if err != nil {
		t.Fatal(err)
	}
	known, _, err := tokens.Parse(strings.NewReader("pop iad iad-0123456789abcdefghijkl\npop lax lax-0123456789abcdefghijkl\n"))
	if err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(dir, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	if out := mustReport(t, "resets", "--data", data, "--format", "json"); out != "[]\n" {
		t.Errorf("of nothing: %s", out)
	}
	log, err := resetlog.New(resetlog.Config{Dir: data, Tokens: known, MinFreeBytes: 1}, db, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		t.Fatal(err)
	}
	hand := func(b edge.Resets) (a edge.ResetsAnswer) {
		t.Helper()
		now := time.Now().UTC()
		b.Method, b.Run, b.Seq, b.From, b.Until = edge.ResetsByKernel, "r", 1, now, now
		for i := range b.Resets {
			b.Resets[i].First, b.Resets[i].Last = now, now
		}
		text, err := json.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest(http.MethodPost, "/v1/resets", bytes.NewReader(text))
		r.Header.Set("Authorization", "Bearer "+string(b.PoP)+"-0123456789abcdefghijkl")
		w := httptest.NewRecorder()
		log.Handler().ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
			t.Fatal(err)
		}
		return a
	}
	client, today := netip.MustParsePrefix("203.0.113.0/24"), edge.DayOf(time.Now())
	hand(edge.Resets{PoP: "lax", Key: today, Resets: []edge.Reset{
		{Kind: edge.MidFlow, VIP: "global", Client: client, Count: 5, Flows: []edge.FlowHash{1, 2}},
		{Kind: edge.MidFlow, Doubt: edge.DoubtScan, VIP: "global", Client: netip.MustParsePrefix("192.0.2.0/24"), Count: 7},
	}})
	hand(edge.Resets{PoP: "iad", Open: []edge.OpenFlow{{Flow: 2, Key: today, VIP: "global", Client: client}}})

	var rows []struct {
		Group                                map[string]any
		Resets, Sampled, Confirmed, Doubtful int
		PerHour                              float64 `json:"per_hour"`
	}
	if err := json.Unmarshal([]byte(mustReport(t, "resets", "--data", data, "--since", "2h", "--by", "vip,from,to,country,subdivision,asn", "--format", "json")), &rows); err != nil {
		t.Fatal(err)
	}
	if len(rows) != 2 {
		t.Fatalf("%+v", rows)
	}
	r, g := rows[0], rows[0].Group
	if r.Resets != 5 || r.Sampled != 2 || r.Confirmed != 1 || r.PerHour != 2.5 ||
		g["vip"] != "global" || g["from"] != "iad" || g["to"] != "lax" || g["country"] != "US" || g["subdivision"] != "IL" || g["asn"] != 64496.0 {
		t.Errorf("%+v", r)
	}
	if rows[1].Resets != 0 || rows[1].Doubtful != 7 {
		t.Errorf("%+v; want the scan", rows[1])
	}
	if out := mustReport(t, "resets", "--data", data, "--until", "1h"); !strings.Contains(out, "No PoP has handed in anything.") {
		t.Errorf("of before: %s", out)
	}
	for _, args := range [][]string{{}, {"--data", data, "x"}, {"--data", data, "--by", "pop"}, {"--data", data, "--limit", "-1"}, {"--data", data, "--format", "x"}, {"--data", data, "--since", "x"}} {
		if _, _, err := reportOf(t, append([]string{"resets"}, args...)...); !errors.Is(err, errUsage) {
			t.Errorf("%q: %v; want a usage error", args, err)
		}
	}
}
