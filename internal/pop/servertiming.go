package pop

import (
	"cmp"
	"strconv"
	"strings"
)

// timing is one metric of a Server-Timing header.
type timing struct {
	name    string
	desc    string
	dur     float64 // milliseconds; 0 if there is none
	quoted  bool    // desc was a quoted-string and not a token
	badDur  string  // the text of dur, where it is not a number
	hasDesc bool
}

// parseTimings reads the values of Server-Timing as browsers do (W3C Server
// Timing): leniently, and the first parameter of a name counts.
func parseTimings(values []string) []timing {
	var all []timing
	for _, metric := range splitOutsideQuotes(strings.Join(values, ","), ',') {
		parts := splitOutsideQuotes(metric, ';')
		t := timing{name: strings.TrimSpace(parts[0])}
		if t.name == "" {
			continue
		}
		hasDur := false
		for _, p := range parts[1:] {
			key, text, _ := strings.Cut(p, "=")
			text, quoted := unquote(strings.TrimSpace(text))
			switch strings.ToLower(strings.TrimSpace(key)) {
			case "desc":
				if !t.hasDesc {
					t.desc, t.quoted, t.hasDesc = text, quoted, true
				}
			case "dur":
				if hasDur {
					continue
				}
				hasDur = true
				ms, err := strconv.ParseFloat(text, 64)
				if err != nil {
					t.badDur = cmp.Or(text, "(empty)")
					continue
				}
				t.dur = ms
			}
		}
		all = append(all, t)
	}
	return all
}

// splitOutsideQuotes splits s at sep, but not within a quoted-string (RFC 9110,
// section 5.6.4).
func splitOutsideQuotes(s string, sep byte) []string {
	var parts []string
	start, quoted := 0, false
	for i := 0; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == sep && !quoted:
			parts = append(parts, s[start:i])
			start = i + 1
		}
	}
	return append(parts, s[start:])
}

// unquote returns the content of a quoted-string, or s itself.
func unquote(s string) (content string, quoted bool) {
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return s, false
	}
	var b strings.Builder
	for i := 1; i < len(s)-1; i++ {
		if s[i] == '\\' && i < len(s)-2 {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String(), true
}

// timingOf returns the first metric of that name, which is the one that
// scripts look at, and how many there are.
func timingOf(all []timing, name string) (first timing, n int) {
	for _, t := range all {
		if t.name != name {
			continue
		}
		if n == 0 {
			first = t
		}
		n++
	}
	return first, n
}
