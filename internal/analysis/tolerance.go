package analysis

import (
	"fmt"
	"strconv"
	"strings"
)

// Tolerance is how much slower than the best a PoP may be and still count as
// optimal: the larger of Ms and Share of the best PoP's latency.
type Tolerance struct {
	Ms    float64
	Share float64 // 0.1 is a tenth of the best PoP's latency
}

// DefaultTolerance is max(5 ms, 10 %): under it two PoPs are alike to a user,
// and within what medians of 20 samples can tell apart.
var DefaultTolerance = Tolerance{Ms: 5, Share: 0.1}

// ParseTolerance reads "0", "5ms", "10%" or "5ms,10%", the larger of both.
func ParseTolerance(s string) (Tolerance, error) {
	var t Tolerance
	bad := fmt.Errorf("tolerance %q: want 0, 5ms, 10%% or 5ms,10%%", s)
	if strings.TrimSpace(s) == "0" {
		return t, nil
	}
	parts := strings.Split(s, ",")
	if len(parts) > 2 {
		return t, bad
	}
	var haveMs, haveShare bool
	for _, part := range parts {
		part = strings.TrimSpace(part)
		var field *float64
		scale := 1.0
		if n, ok := strings.CutSuffix(part, "ms"); ok && !haveMs {
			part, field, haveMs = n, &t.Ms, true
		} else if n, ok := strings.CutSuffix(part, "%"); ok && !haveShare {
			part, field, scale, haveShare = n, &t.Share, 100, true
		} else {
			return Tolerance{}, bad
		}
		v, err := strconv.ParseFloat(strings.TrimSpace(part), 64)
		if err != nil || !(v >= 0) || v > 60000 {
			return Tolerance{}, bad
		}
		*field = v / scale
	}
	return t, nil
}

// String is what ParseTolerance reads.
func (t Tolerance) String() string {
	ms := strconv.FormatFloat(t.Ms, 'g', -1, 64) + "ms"
	share := strconv.FormatFloat(100*t.Share, 'g', 6, 64) + "%"
	switch {
	case t.Ms == 0 && t.Share == 0:
		return "0"
	case t.Share == 0:
		return ms
	case t.Ms == 0:
		return share
	default:
		return ms + "," + share
	}
}

// within reports whether a PoP at ms is as good as the best one at best.
func (t Tolerance) within(ms, best float64) bool {
	return ms <= best+max(t.Ms, t.Share*best)
}
