package main

import (
	"strings"
	"testing"
	"time"
)

func TestParseWhen(t *testing.T) {
	now := time.Date(2026, 11, 8, 12, 0, 0, 0, time.FixedZone("", 3600))
	good := func(s, want string) {
		t.Helper()
		got, err := parseWhen(s, now)
		if err != nil || got.Format(time.RFC3339Nano) != want {
			t.Errorf("%q: %s, %v, want %s", s, got.Format(time.RFC3339Nano), err, want)
		}
	}
	good("2026-11-01", "2026-11-01T00:00:00Z")
	good("2026-11-01T12:30:00Z", "2026-11-01T12:30:00Z")
	good("2026-11-01T12:30:00.25-05:00", "2026-11-01T17:30:00.25Z")
	good("24h", "2026-11-07T11:00:00Z")
	good("7d", "2026-11-01T11:00:00Z")
	good("1d12h30m", "2026-11-06T22:30:00Z")
	good("0d", "2026-11-08T11:00:00Z")
	good("0s", "2026-11-08T11:00:00Z")
	good("", "0001-01-01T00:00:00Z")

	bad := func(s string) {
		t.Helper()
		if got, err := parseWhen(s, now); err == nil || !strings.Contains(err.Error(), "want 2026-11-01") {
			t.Errorf("%q: %v, %v", s, got, err)
		}
	}
	for _, s := range []string{
		"yesterday", "7", "-1h", "-7d", "1d-12h", "d", "dh", "1.5d", "7d ", "2026-13-01", "2026-11-01 12:00", "99999999999d",
		"100001d", "100000d2562047h",
	} {
		bad(s)
	}
}
