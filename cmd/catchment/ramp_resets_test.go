package main

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"catchment/internal/edge"
	"catchment/internal/resetlog"
	"catchment/internal/tokens"
)

// TestRampResets: connections that the network tore away, and no others, come
// out of the log; a PoP that should have told and did not is an error.
func TestRampResets(t *testing.T) {
	data := t.TempDir()
	known, _, err := tokens.Parse(strings.NewReader("pop iad iad-0123456789abcdefghijkl\npop lax lax-0123456789abcdefghijkl\n"))
	if err != nil {
		t.Fatal(err)
	}
	log, err := resetlog.New(resetlog.Config{Dir: data, Tokens: known, MinFreeBytes: 1}, nil, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().UTC()
	hand := func(pop edge.PoPID, seq uint64, until time.Time, method edge.ResetMethod, all ...edge.Reset) {
		t.Helper()
		for i := range all {
			all[i].First, all[i].Last = now, now
		}
		body, err := json.Marshal(edge.Resets{PoP: pop, Method: method, Run: "r", Seq: seq, Key: edge.DayOf(now), From: until.Add(-time.Second), Until: until, Resets: all})
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest(http.MethodPost, "/v1/resets", bytes.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+string(pop)+"-0123456789abcdefghijkl")
		w := httptest.NewRecorder()
		if log.Handler().ServeHTTP(w, r); w.Code != http.StatusOK {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	}
	health := []edge.Health{{PoP: "iad", State: edge.Up}, {PoP: "lax", State: edge.Up}, {PoP: "gru", State: edge.Down}}
	from := rampResets{data, log.Heard, func() *edge.Snapshot {
		speaks := &edge.BGP{}
		return &edge.Snapshot{Health: health, Fleet: &edge.Fleet{PoPs: []edge.PoP{{ID: "iad", BGP: speaks}, {ID: "lax", BGP: speaks}, {ID: "gru", BGP: speaks}, {ID: "syd"}}}}
	}}
	read := func() (all map[netip.Prefix]float64, err error) {
		all = map[netip.Prefix]float64{}
		for x, err := range from.Resets(t.Context(), now.Add(-time.Minute), now.Add(time.Minute)) {
			if err != nil {
				return nil, err
			}
			all[x.Client] += x.Count
		}
		return all, nil
	}
	fails := func(with string) {
		t.Helper()
		if _, err := read(); err == nil || !strings.Contains(err.Error(), with) {
			t.Errorf("%v, want %q", err, with)
		}
	}
	a, b := netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("2001:db8:1::/48")
	fails("iad: nothing was heard of its reset watcher")
	hand("iad", 1, now, edge.ResetsByKernel,
		edge.Reset{Kind: edge.MidFlow, VIP: "global", Client: a, Count: 9, Flows: []edge.FlowHash{1, 2}}, // two connections
		edge.Reset{Kind: edge.MidFlow, VIP: "global", Client: b, Count: 30, Flows: []edge.FlowHash{1, 2, 3, 4, 5, 6, 7, 8}},
		edge.Reset{Kind: edge.MidFlow, Doubt: edge.DoubtScan, VIP: "global", Client: a, Count: 1000},
		edge.Reset{Kind: edge.TimedOut, VIP: "global", Client: a, Count: 7},
		edge.Reset{Kind: edge.Excess, Count: 5})
	fails("lax: nothing was heard of its reset watcher")
	hand("lax", 1, now.Add(-time.Hour), edge.ResetsByPacket)
	fails("lax: nothing was heard of its reset watcher since")
	hand("lax", 2, now, edge.ResetsByCounters)
	fails("lax: its reset watcher only counts")
	hand("lax", 3, now, edge.ResetsByPacket, edge.Reset{Kind: edge.MidFlow, VIP: "global", Client: a, Count: 3})
	got, err := read()
	if err != nil || len(got) != 2 || got[a] != 2+3 || got[b] != 30 {
		t.Errorf("%v %v", got, err)
	}
}
