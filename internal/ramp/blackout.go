package ramp

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

var weekdays = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"} // as time.Weekday

const day = 24 * time.Hour

// check returns what is wrong with b.
func (b *Blackout) check() string {
	for _, d := range b.Days {
		if !slices.Contains(weekdays, d) {
			return fmt.Sprintf("%q is not a day", d)
		}
	}
	for _, s := range []string{b.From, b.Until} {
		if _, ok := timeOfDay(s); !ok {
			return fmt.Sprintf("%q is not a time of day", s)
		}
	}
	if b.From == "24:00" || b.From == b.Until {
		return "it lasts for no time"
	}
	if z := time.Duration(b.Zone); z < -14*time.Hour || z > 14*time.Hour {
		return "the zone is out of range"
	}
	return ""
}

// timeOfDay reads 15:04, up to 24:00.
func timeOfDay(s string) (time.Duration, bool) {
	if s == "24:00" {
		return day, true
	}
	t, err := time.Parse("15:04", s)
	return time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute, err == nil && len(s) == 5
}

// in reports whether b is on at t.
func (b *Blackout) in(t time.Time) bool {
	local := t.UTC().Add(time.Duration(b.Zone))
	into := local.Sub(local.Truncate(day))
	from, _ := timeOfDay(b.From)
	until, _ := timeOfDay(b.Until)
	on := func(d time.Weekday) bool {
		return len(b.Days) == 0 || slices.Contains(b.Days, weekdays[d])
	}
	if from < until {
		return on(local.Weekday()) && into >= from && into < until
	}
	yesterday := (local.Weekday() + 6) % 7
	return on(local.Weekday()) && into >= from || on(yesterday) && into < until
}

// String returns b as in "fri, sat 18:00–06:00 UTC-5h".
func (b *Blackout) String() string {
	days := cmp.Or(strings.Join(b.Days, ", "), "daily")
	zone := "UTC"
	if z := time.Duration(b.Zone); z > 0 {
		zone += "+" + shortDuration(z)
	} else if z < 0 {
		zone += shortDuration(z)
	}
	return fmt.Sprintf("%s %s–%s %s", days, b.From, b.Until, zone)
}

// blackout returns the one that is on at t, if any.
func (p *Plan) blackout(t time.Time) *Blackout {
	for i := range p.Blackout {
		if p.Blackout[i].in(t) {
			return &p.Blackout[i]
		}
	}
	return nil
}
