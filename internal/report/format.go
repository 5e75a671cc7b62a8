package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// none stands in a table for a figure that there is not.
const none = "–"

// percent writes a share as percent with one decimal.
func percent(share float64) string {
	if math.IsNaN(share) {
		return none
	}
	return strconv.FormatFloat(100*share, 'f', 1, 64)
}

// interval writes a share and its 95 % interval, in percent: "70.2 ±0.4", with
// the side that reaches further, or "98.7–100" where that would leave 0–100.
func interval(share, low, high float64) string {
	if math.IsNaN(share) {
		return none
	}
	if half := max(share-low, high-share); half <= min(share, 1-share) {
		if half >= 0.0995 {
			return fmt.Sprintf("%.1f ±%.0f", 100*share, 100*half) // tenths would say nothing
		}
		return fmt.Sprintf("%.1f ±%.1f", 100*share, 100*half)
	}
	return strings.ReplaceAll(fmt.Sprintf("%.1f–%.1f", 100*low, 100*high), "100.0", "100")
}

// latency writes a latency of a table: tenths matter only when it is low.
func latency(ms float64) string {
	switch {
	case math.IsNaN(ms):
		return none
	case ms != 0 && ms < 9.95:
		return strconv.FormatFloat(ms, 'f', 1, 64)
	default:
		return strconv.FormatFloat(ms, 'f', 0, 64)
	}
}

// grouped writes a count with commas: 52,310.
func grouped(n uint64) string {
	s := strconv.FormatUint(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// number writes a figure of the footer without trailing zeros.
func number(v float64) string { return strconv.FormatFloat(v, 'g', 6, 64) }

// rounded writes a figure for a program: without an exponent or noise in the
// last digits, empty for NaN.
func rounded(v float64, digits int) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return ""
	}
	scale := math.Pow10(digits)
	if r := math.Round(v*scale) / scale; r != 0 {
		return strconv.FormatFloat(r, 'f', -1, 64)
	}
	return "0"
}

// Digits after the point in CSV and JSON: a share to a ten-thousandth of a
// point, a latency to a microsecond.
const (
	shareDigits  = 6
	millisDigits = 3
)

func csvShare(v float64) string  { return rounded(v, shareDigits) }
func csvMillis(v float64) string { return rounded(v, millisDigits) }
func csvCount(n uint64) string   { return strconv.FormatUint(n, 10) }

// short cuts s to n characters.
func short(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}
