package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"catchment/internal/downloadlog"
	"catchment/internal/edge"
	"catchment/internal/geo"
	"catchment/internal/resetlog"
	"catchment/internal/tokens"
)

// handIn has two networks' agents hand in a week of downloads: those of
// AS 64496 are well, those of AS 64497 lose one of ten over the VIP, all the
// time, and of few large packets any.
func handIn(t *testing.T, data string) {
	t.Helper()
	places := filepath.Join(t.TempDir(), "places.csv")
	const text = "prefix,continent,country,subdivision,city,asn,as_name,lat,lon\n203.0.113.0/24,NA,US,IL,,64496,Example Access,,\n198.51.100.0/24,EU,DE,,,64497,Example Netz,,\n"
	if err := os.WriteFile(places, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := geo.Open(geo.Config{Places: places})
	if err != nil {
		t.Fatal(err)
	}
	known, _, err := tokens.Parse(strings.NewReader("synth a a-0123456789abcdefghijkl\npop lax lax-0123456789abcdefghijkl\n"))
	if err != nil {
		t.Fatal(err)
	}
	log, err := downloadlog.New(downloadlog.Config{Dir: data, Tokens: known, MinFreeBytes: 1}, db, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		t.Fatal(err)
	}
	begin, serial := time.Now().Add(-7*24*time.Hour).UTC().Truncate(time.Second), 0
	for _, from := range []string{"203.0.113.7:4000", "198.51.100.7:4000"} {
		bad := strings.HasPrefix(from, "198")
		var batch []edge.Download
		send := func() {
			body, err := json.Marshal(batch)
			if err != nil {
				t.Fatal(err)
			}
			r := httptest.NewRequest(http.MethodPost, "/v1/downloads", bytes.NewReader(body))
			r.Header.Set("Authorization", "Bearer a-0123456789abcdefghijkl")
			r.RemoteAddr = from
			w := httptest.NewRecorder()
			if log.Handler().ServeHTTP(w, r); w.Code != http.StatusNoContent {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
			batch = nil
		}
		for i := range 1000 {
			d := edge.Download{
				V: 1, Agent: from, Kind: edge.SlowDownload, Start: begin.Add(time.Duration(i) * 10 * time.Minute), Target: "vip:global", Address: "192.0.2.1", Family: 4,
				Asked: edge.OverHTTPS, Outcome: edge.DownloadOK, PoP: "iad", PoPEnd: "iad", Connect: 20, Duration: 75000, Bytes: 30000,
			}
			look := d
			look.Kind, look.Served = edge.LookDownload, []edge.PoPID{"iad", "iad"}
			if bad && i%10 == 0 {
				d.Outcome, d.Stage, d.Errno, d.Duration = edge.DownloadReset, edge.DownloadBody, "ECONNRESET", 30000
				look.Served, look.Flips = []edge.PoPID{"iad", "lax"}, 1
			}
			control := d
			control.Target, control.Address, control.Outcome, control.Stage, control.Errno, control.Duration = "pop:iad", "192.0.2.2", edge.DownloadOK, "", "", 75000
			for _, x := range []edge.Download{d, control, look} {
				serial++
				x.ID = fmt.Sprint("t-", serial)
				batch = append(batch, x)
			}
			if len(batch) > edge.MaxDownloads-3 {
				send()
			}
		}
		send()
	}
	resets, err := resetlog.New(resetlog.Config{Dir: data, Tokens: known, MinFreeBytes: 1}, db, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().UTC()
	body, err := json.Marshal(edge.Resets{
		PoP: "lax", Method: edge.ResetsByKernel, Run: "r", Seq: 1, From: now, Until: now,
		Resets: []edge.Reset{{Kind: edge.MidFlow, VIP: "global", Client: netip.MustParsePrefix("198.51.100.0/24"), Count: 9, First: now, Last: now}},
	})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodPost, "/v1/resets", bytes.NewReader(body))
	r.Header.Set("Authorization", "Bearer lax-0123456789abcdefghijkl")
	w := httptest.NewRecorder()
	if resets.Handler().ServeHTTP(w, r); w.Code != http.StatusOK {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
}

func TestReportStability(t *testing.T) {
	data := t.TempDir()
	if out := mustReport(t, "stability", "--data", data, "--format", "json"); !strings.Contains(out, `"answers":[],`) || !strings.HasSuffix(out, "\"groups\":[]\n}\n") {
		t.Errorf("of nothing: %s", out)
	}
	if out := mustReport(t, "flips", "--data", data); !strings.Contains(out, "no agent has handed in anything") {
		t.Errorf("of nothing: %s", out)
	}
	handIn(t, data)
	table := mustReport(t, "stability", "--data", data)
	first, _, _ := strings.Cut(table, "\n")
	const want = "Is TCP over global as stable as over unicast? No, not for 1 of 2 groups that were watched for long enough: DE AS64497 Example Netz (packets balanced)." +
		" In 1,000 minutes of connection 41.2 more broke than over unicast (95 %: 33.4 to 50.2 more)." +
		" A group that lost 2 % of downloads of 75 s would have been found with 95 %."
	if first != want {
		t.Errorf("got  %s\nwant %s\n%s", first, want, table)
	}
	type group struct {
		Group                    map[string]any
		ASName                   string `json:"as_name"`
		Verdict, Pattern, Course string
		VIP, Unicast             struct {
			Downloads, Broken int
			Rate              struct {
				PerMinute float64 `json:"per_minute"`
				Low, High float64
			}
		}
		Ratio                struct{ Ratio, Low *float64 }
		Pairs, Flips, Resets int
		Outcomes             map[string]int
		Share                struct{ Share float64 }
		Between              []string
		Cost                 float64
		PoPs                 []struct{ PoP string }
	}
	var all struct {
		Answers []struct{ Answer string }
		Groups  []group
	}
	if err := json.Unmarshal([]byte(mustReport(t, "stability", "--data", data, "--format", "json")), &all); err != nil {
		t.Fatal(err)
	}
	rows := all.Groups
	if len(all.Answers) != 1 || all.Answers[0].Answer != want {
		t.Errorf("in JSON: %+v", all.Answers)
	}
	if out := mustReport(t, "stability", "--data", data, "--format", "csv", "--table", "answers"); !strings.HasPrefix(out, "vip,answer,groups,unstable,") || !strings.Contains(out, want) {
		t.Errorf("in CSV: %s", out)
	}
	if len(rows) != 2 {
		t.Fatalf("%+v", rows)
	}
	r := rows[0]
	if r.Verdict != "unstable" || r.Pattern != "packets balanced" || r.Course != "continuous" || r.ASName != "Example Netz" || r.Group["country"] != "DE" ||
		r.VIP.Downloads != 1000 || r.VIP.Broken != 100 || r.Unicast.Broken != 0 || r.Outcomes["reset"] != 100 || r.Pairs != 1000 || r.Flips != 100 || r.Resets != 9 ||
		r.Ratio.Ratio != nil || r.Ratio.Low == nil || *r.Ratio.Low < 20 {
		t.Errorf("%+v", r)
	}
	if r := rows[1]; r.Verdict != "stable" || r.Pattern != "" || r.Resets != 0 || r.VIP.Rate.PerMinute != 0 || r.VIP.Rate.High > 0.004 {
		t.Errorf("%+v", r)
	}
	if out := mustReport(t, "stability", "--data", data, "--by", "", "--format", "csv"); strings.Count(out, "\n") != 2 || !strings.Contains(out, "\nglobal,unstable,") {
		t.Errorf("%s", out)
	}
	if out := mustReport(t, "stability", "--data", data, "--since", "1h"); strings.Contains(out, "unstable  ") {
		t.Errorf("of the last hour: %s", out)
	}
	rows = nil
	if err := json.Unmarshal([]byte(mustReport(t, "flips", "--data", data, "--format", "json")), &rows); err != nil {
		t.Fatal(err)
	}
	if len(rows) != 1 || rows[0].Group["asn"] != 64497.0 || rows[0].Share.Share != 0.1 || len(rows[0].Between) != 2 || rows[0].Between[1] != "lax" || len(rows[0].PoPs) != 2 {
		t.Errorf("%+v", rows)
	}
	for _, kind := range []string{"stability", "flips"} {
		for _, format := range []string{"table", "markdown", "csv"} {
			if out := mustReport(t, kind, "--data", data, "--format", format); !strings.Contains(out, "64497") {
				t.Errorf("%s, %s: %s", kind, format, out)
			}
		}
		for _, args := range [][]string{{}, {"--data", data, "x"}, {"--data", data, "--by", "pop"}, {"--data", data, "--limit", "-1"}, {"--data", data, "--format", "x"}, {"--data", data, "--since", "x"}} {
			if _, _, err := reportOf(t, append([]string{kind}, args...)...); !errors.Is(err, errUsage) {
				t.Errorf("%s %q: %v; want a usage error", kind, args, err)
			}
		}
	}
	if _, _, err := reportOf(t, "stability", "--data", data, "--table", "x"); !errors.Is(err, errUsage) {
		t.Errorf("an unknown table: %v", err)
	}
	if _, _, err := reportOf(t, "stability", "--data", data, "--tolerable", "3"); !errors.Is(err, errUsage) {
		t.Errorf("more is tolerable than alarming: %v", err)
	}
}
