package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// parseWhen parses an instant as flags such as --since take it: RFC 3339, a
// day (its first instant, UTC), or a duration back from now. Durations are
// Go's, with days in front if wanted: 90m, 24h, 7d, 1d12h. Empty is the zero
// time: no limit.
func parseWhen(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), nil
		}
	}
	if ago, ok := parseAgo(s); ok {
		return now.Add(-ago).UTC(), nil
	}
	return time.Time{}, fmt.Errorf("%q is not a time (want 2026-11-01, 2026-11-01T12:00:00Z, or how long ago: 24h, 7d)", s)
}

// maxAgoDays keeps a duration within time.Duration, which ends after 292 years.
const maxAgoDays = 100_000

func parseAgo(s string) (time.Duration, bool) {
	var ago time.Duration
	if days, rest, ok := strings.Cut(s, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 32)
		if err != nil || n > maxAgoDays {
			return 0, false
		}
		ago, s = time.Duration(n)*24*time.Hour, rest
		if s == "" {
			return ago, true
		}
	}
	rest, err := time.ParseDuration(s)
	if err != nil || rest < 0 || ago+rest < 0 {
		return 0, false
	}
	return ago + rest, true
}
