package dash

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"catchment/internal/edge"
)

// query reads the parameters of a request. The first mistake is kept; an empty
// parameter is as good as none.
type query struct {
	values url.Values
	known  []string
	wrong  *refusal
}

func (q *query) text(name string) string {
	q.known = append(q.known, name)
	return strings.TrimSpace(q.values.Get(name))
}

func (q *query) fail(field, format string, args ...any) {
	if q.wrong == nil {
		q.wrong = refuse(400, field, format, args...)
	}
}

func (q *query) number(name string, otherwise, least, most int) int {
	text := q.text(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < least || n > most {
		q.fail(name, "%q is not a number from %d to %d", text, least, most)
	}
	return n
}

func (q *query) oneOf(name, otherwise string, all ...string) string {
	text := q.text(name)
	if text == "" {
		return otherwise
	}
	if !slices.Contains(all, text) {
		q.fail(name, "%q is not one of %s", text, strings.Join(all, ", "))
	}
	return text
}

func (q *query) scheme(otherwise edge.Scheme) edge.Scheme {
	return edge.Scheme(q.oneOf("scheme", string(otherwise), "unicast", "global", "regional"))
}

func (q *query) day(name string, otherwise edge.Day) edge.Day {
	text := q.text(name)
	if text == "" {
		return otherwise
	}
	// A time that is a whole day is one, as the command line takes it.
	if t, err := time.Parse(time.RFC3339, text); err == nil && t.Equal(edge.DayOf(t).Time()) {
		return edge.DayOf(t)
	}
	d, err := edge.ParseDay(text)
	if err != nil {
		q.fail(name, "%q is not a UTC day such as 2026-11-01; for parts of days there is `catchment report`", text)
	}
	return d
}

// done returns what is wrong, parameters that nothing asked for among it.
func (q *query) done() *refusal {
	for name := range q.values {
		if !slices.Contains(q.known, name) {
			q.fail(name, "there is no such parameter (want some of %s)", strings.Join(q.known, ", "))
		}
	}
	return q.wrong
}

// period is the UTC days [first, last].
type period struct{ first, last edge.Day }

func (p period) String() string { return fmt.Sprintf("%s..%s", p.first, p.last) }

const (
	defaultDays = 7
	maxDays     = 400
)

// period reads days and to, or since and until.
func (q *query) period(now time.Time) period {
	today := edge.DayOf(now)
	p := period{last: q.day("to", today)}
	if until := q.day("until", p.last+1); q.values.Get("until") != "" {
		p.last = until - 1
	}
	p.first = q.day("since", p.last+1-edge.Day(q.number("days", defaultDays, 1, maxDays)))
	switch {
	case q.values.Get("since") != "" && q.values.Get("days") != "":
		q.fail("since", "goes without days")
	case p.first > p.last:
		q.fail("since", "there is no day from %s to %s", p.first, p.last)
	case p.last-p.first >= maxDays:
		q.fail("since", "want at most %d days", maxDays)
	}
	return p
}

// selection is which cells an answer is about.
type selection struct {
	continent, country, subdivision string
	asn                             uint32
	byASN                           bool
}

func (q *query) selection() (s selection) {
	s.continent, s.country, s.subdivision = q.text("continent"), q.text("country"), q.text("subdivision")
	if text := q.text("asn"); text != "" {
		digits := text
		if len(text) > 2 && strings.EqualFold(text[:2], "AS") {
			digits = text[2:]
		}
		n, err := strconv.ParseUint(digits, 10, 32)
		if err != nil {
			q.fail("asn", "%q is not an AS number", text)
		}
		s.asn, s.byASN = uint32(n), true
	}
	return s
}

// only returns what takes the cells of s; nil takes all.
func (s selection) only() func(*edge.Cell) bool {
	if s == (selection{}) {
		return nil
	}
	return func(c *edge.Cell) bool {
		return (s.continent == "" || c.Continent == s.continent) && (s.country == "" || c.Country == s.country) &&
			(s.subdivision == "" || c.Subdivision == s.subdivision) && (!s.byASN || c.ASN == s.asn)
	}
}
