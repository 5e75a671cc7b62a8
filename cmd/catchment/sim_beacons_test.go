package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"

	"catchment/internal/edge"
	"catchment/internal/sim/people"
	"catchment/internal/sim/views"
)

// simBeaconsOf runs the command in a small world.
func simBeaconsOf(t *testing.T, args ...string) (out, stderr string, err error) {
	t.Helper()
	return worldOf(t, simBeacons(), append([]string{"--from", "2026-11-01", "--days", "2"}, args...)...)
}

// TestSimBeacons: standard output, a file, a packed file and a store get the
// same page views, and reports can read them.
func TestSimBeacons(t *testing.T) {
	const n = 5000
	views := []string{"--views", fmt.Sprint(n), "--seed", "3"}
	text, stderr, err := simBeaconsOf(t, views...)
	if err != nil || strings.Count(text, "\n") != n {
		t.Fatalf("%v, %d lines: %s", err, strings.Count(text, "\n"), stderr)
	}

	dir := t.TempDir()
	plain, packed := filepath.Join(dir, "b.ndjson"), filepath.Join(dir, "b.ndjson.gz")
	for _, file := range []string{plain, packed} {
		if _, stderr, err = simBeaconsOf(t, append(views, "--out", file)...); err != nil {
			t.Fatalf("%v: %s", err, stderr)
		}
	}
	if got, err := os.ReadFile(plain); err != nil || string(got) != text {
		t.Errorf("the file differs from standard output: %v", err)
	}
	f, err := os.Open(packed)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(z); err != nil || string(got) != text {
		t.Errorf("the packed file differs: %v", err)
	}

	data := filepath.Join(dir, "data")
	for _, want := range []string{"5000 views stored in ", "0 views stored, 5000 known already"} {
		if _, stderr, err = simBeaconsOf(t, append(views, "--data", data)...); err != nil || !strings.Contains(stderr, want) {
			t.Errorf("%v: %q (want %q)", err, stderr, want)
		}
	}
	var stored, sent []string
	for line := range strings.Lines(mustExport(t, "--data", data)) {
		stored = append(stored, idOf(t, line))
	}
	for line := range strings.Lines(text) {
		sent = append(sent, idOf(t, line))
	}
	slices.Sort(stored) // segments are written side by side
	slices.Sort(sent)
	if diff := cmp.Diff(sent, stored); diff != "" {
		t.Error(diff)
	}
	var rows []struct{ Views int }
	if err := json.Unmarshal([]byte(mustReport(t, "assignment", "--data", data, "--by", "", "--format", "json")), &rows); err != nil {
		t.Fatal(err)
	}
	if len(rows) != 1 || rows[0].Views != n {
		t.Errorf("the report has %+v", rows)
	}
}

func idOf(t *testing.T, line string) string {
	t.Helper()
	var b edge.Beacon
	if err := json.Unmarshal([]byte(line), &b); err != nil {
		t.Fatal(err)
	}
	return b.ID
}

func TestSimBeaconsUsage(t *testing.T) {
	f := func(want string, args ...string) {
		t.Helper()
		_, stderr, err := simBeaconsOf(t, args...)
		if !errors.Is(err, errUsage) || !strings.Contains(stderr, want) {
			t.Errorf("%q: %v: %q (want %q)", args, err, stderr, want)
		}
	}
	f("--out or --data, not both", "--out", "x", "--data", "y")
	f("not beside both", "--until", "2026-11-04")
	f("--from: edge: day", "--from", "tomorrow")
	f("Public is 2 (want 0 to 1)", "--public", "2")
	f("Timeout is -1 (want 0 to 1)", "--timeouts", "-1")
	f("want POP@TIME/DURATION", "--outage", "iad")
	f("want POP@TIME/DURATION", "--outage", "iad@2026-11-01T10:00:00Z/0s")
	f(`the fleet has no PoP "nowhere"`, "--outage", "nowhere@2026-11-01T10:00:00Z/2h")
	f("unexpected argument", "x")
	if _, _, err := simBeaconsOf(t, "--topology", "nowhere"); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

// TestSimBeaconsDays: what --from, --until and --days make of each other.
func TestSimBeaconsDays(t *testing.T) {
	now := time.Date(2026, 11, 20, 15, 0, 0, 0, time.UTC)
	f := func(from, until string, days int, wantFrom string, wantDays int) {
		t.Helper()
		b := &beaconFlags{from: from, until: until, days: days, people: people.DefaultModel(1), views: views.DefaultModel(1)}
		if err := b.checkDays(newFlags(stdio{err: io.Discard}, "x", "x", "x"), now); err != nil {
			t.Fatal(err)
		}
		if got := b.views.From.String(); got != wantFrom || b.views.Days != wantDays {
			t.Errorf("from %q until %q days %d: %d from %s, want %d from %s", from, until, days, b.views.Days, got, wantDays, wantFrom)
		}
	}
	f("", "", 0, "2026-11-19", 1)
	f("", "", 7, "2026-11-13", 7)
	f("2026-11-01", "", 3, "2026-11-01", 3)
	f("2026-11-01", "2026-11-08", 0, "2026-11-01", 7)
	f("", "2026-11-08", 2, "2026-11-06", 2)
}
