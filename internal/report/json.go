package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
)

// object is a JSON object whose keys keep their order. Its values are
// objects, lists, texts, numbers, strings, bools, uint64, share, millis, figure and exact.
type object []member

type member struct {
	key   string
	value any
}

type list []object

// texts and numbers are lists of plain values.
type (
	texts   []string
	numbers []uint32
)

// share, millis and figure are figures of JSON, rounded; NaN is null. (What
// encoding/json does for values that marshal themselves takes several times as
// long as all the analysis, for a report by network.)
type (
	share  float64 // 0 to 1
	millis float64
	figure float64 // any other
	exact  string  // one that was rounded by whoever made it; empty is null
)

// appendJSON appends v to b.
func appendJSON(b []byte, v any) []byte {
	switch v := v.(type) {
	case object:
		b = append(b, '{')
		for i, m := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendString(b, m.key), ':')
			b = appendJSON(b, m.value)
		}
		return append(b, '}')
	case list:
		b = append(b, '[')
		for i, x := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendJSON(b, x)
		}
		return append(b, ']')
	case texts:
		b = append(b, '[')
		for i, s := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendString(b, s)
		}
		return append(b, ']')
	case numbers:
		b = append(b, '[')
		for i, n := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = strconv.AppendUint(b, uint64(n), 10)
		}
		return append(b, ']')
	case string:
		return appendString(b, v)
	case uint64:
		return strconv.AppendUint(b, v, 10)
	case share:
		return appendOrNull(b, csvShare(float64(v)))
	case millis:
		return appendOrNull(b, csvMillis(float64(v)))
	case figure:
		return appendOrNull(b, csvMillis(float64(v)))
	case exact:
		return appendOrNull(b, string(v))
	case bool:
		return strconv.AppendBool(b, v)
	default:
		return appendString(b, fmt.Sprint(v))
	}
}

func appendOrNull(b []byte, s string) []byte {
	if s == "" {
		s = "null"
	}
	return append(b, s...)
}

func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return appendEscaped(b, s)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

// appendEscaped leaves <, > and & as they are.
func appendEscaped(b []byte, s string) []byte {
	var buf bytes.Buffer
	e := json.NewEncoder(&buf)
	e.SetEscapeHTML(false)
	if e.Encode(s) != nil { // a string never fails
		return append(b, `""`...)
	}
	return append(b, bytes.TrimSuffix(buf.Bytes(), []byte{'\n'})...)
}
