package ramp

import (
	"testing"
	"time"

	"catchment/internal/edge"
)

var testStart = time.Date(2026, 11, 2, 0, 0, 0, 0, time.UTC)

func binOf(ms float64) int { return edge.Bin(ms) }

func TestBlackout(t *testing.T) {
	f := func(b Blackout, at string, want bool) {
		t.Helper()
		when, err := time.Parse("Mon 2006-01-02 15:04", at)
		if err != nil || when.Format("Mon") != at[:3] {
			t.Fatal(at, err)
		}
		if why := b.check(); why != "" {
			t.Fatal(why)
		}
		if got := b.in(when); got != want {
			t.Errorf("%s at %s: %v", b.String(), at, got)
		}
	}
	day := Blackout{From: "09:00", Until: "17:00"}
	f(day, "Mon 2026-11-02 08:59", false)
	f(day, "Mon 2026-11-02 09:00", true)
	f(day, "Mon 2026-11-02 17:00", false)
	night := Blackout{Days: []string{"fri"}, From: "22:00", Until: "06:00"}
	f(night, "Fri 2026-11-06 05:00", false)
	f(night, "Fri 2026-11-06 23:00", true)
	f(night, "Sat 2026-11-07 05:59", true)
	f(night, "Sat 2026-11-07 22:00", false)
	west := Blackout{Days: []string{"sun"}, From: "00:00", Until: "24:00", Zone: Duration(-8 * time.Hour)}
	f(west, "Sun 2026-11-01 07:59", false)
	f(west, "Sun 2026-11-01 08:00", true)
	f(west, "Mon 2026-11-02 07:59", true)
	for _, bad := range []Blackout{
		{From: "9:00", Until: "17:00"},
		{From: "24:00", Until: "06:00"},
		{From: "06:00", Until: "06:00"},
		{Days: []string{"mo"}, From: "06:00", Until: "07:00"},
		{From: "06:00", Until: "07:00", Zone: Duration(20 * time.Hour)},
	} {
		if bad.check() == "" {
			t.Errorf("%+v was accepted", bad)
		}
	}
}
