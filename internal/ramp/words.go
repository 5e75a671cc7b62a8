package ramp

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// shortDuration writes d without zero minutes and seconds: 24h, 1h30m.
func shortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}

// about writes d as people would: 40 min, 5 h, 12 days.
func about(d time.Duration) string {
	switch {
	case d < 90*time.Minute:
		return fmt.Sprintf("%d min", max(1, int(math.Ceil(d.Minutes()))))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(math.Ceil(d.Hours())))
	}
	return fmt.Sprintf("%d days", int(math.Ceil(d.Hours()/24)))
}

// thousands writes n in two significant digits, with commas: 3,100.
func thousands(x float64) string {
	n := int64(math.Ceil(x))
	unit := int64(1)
	for n/unit >= 100 {
		unit *= 10
	}
	n = (n + unit - 1) / unit * unit
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// percent writes a share: 25 %, 0.5 %.
func percent(x float64) string {
	return strconv.FormatFloat(math.Round(x*1e4)/1e2, 'g', -1, 64) + " %"
}

// value writes x in the unit of m.
func (m Metric) value(x float64) string {
	switch {
	case m.quantile() > 0:
		return fmt.Sprintf("%.1f ms", x)
	case m == Resets:
		return fmt.Sprintf("%.3g a minute", x)
	}
	return percent(x)
}

// unit is what the metric's evidence counts.
func (m Metric) unit() string {
	switch m {
	case ProbeFailures:
		return "probes"
	case PageFailures:
		return "page loads"
	case Resets:
		return "connection-minutes"
	}
	return "views"
}

var metricWords = map[Metric]string{
	Optimal: "share optimal", P50: "median latency", P90: "p90 latency", ProbeFailures: "share of failed probes",
	PageFailures: "share of failed page loads", Resets: "rate of resets", Load: "load",
}

func metricNames() string {
	names := make([]string, len(Metrics))
	for i, m := range Metrics {
		names[i] = string(m)
	}
	return strings.Join(names, ", ")
}

// where tells whom a check is about.
func (c *Check) where() string {
	switch {
	case c.Others:
		return " in the other networks"
	case c.Network != 0:
		return fmt.Sprintf(" in AS%d", c.Network)
	}
	return ""
}

// breach says what was found.
func (c *Check) breach() string {
	s := fmt.Sprintf("%s%s: %s against %s in the control arm, worse by more than %s", metricWords[c.Metric], c.where(),
		c.Metric.value(c.Treatment), c.Metric.value(c.Control), c.Metric.value(c.Margin))
	if c.Metric.quantile() > 0 {
		return s + fmt.Sprintf(" (%s to %s more of its page views are slower than the control arm's quantile)", percent(max(0, c.Low)), percent(min(1, c.High)))
	}
	return s + fmt.Sprintf(" (difference %s to %s)", c.Metric.value(c.Low), c.Metric.value(c.High))
}

// needs says what is missing until c is decided.
func (c *Check) needs() string {
	if c.Verdict == TooFew {
		n := min(c.Units[Control], c.Units[Treatment])
		arm := "treatment"
		if c.Units[Control] < c.Units[Treatment] {
			arm = "control"
		}
		return fmt.Sprintf("%s%s: %d units in the %s arm, %d wanted", metricWords[c.Metric], c.where(), n, arm, MinUnits)
	}
	why := fmt.Sprintf("to tell whether %s%s is worse by %s", metricWords[c.Metric], c.where(), c.Metric.value(c.Margin))
	switch {
	case c.looksBad:
		return "needs more views " + why + ": so far it looks as bad as that"
	case math.IsInf(c.missing, 1):
		return "needs more units " + why + ": more views of these would not tell"
	}
	s := fmt.Sprintf("needs %s more %s", thousands(c.missing), c.Metric.unit())
	if c.rate > 0 {
		if left := c.missing / c.rate; left < 1e7 {
			s += ", about " + about(time.Duration(left*float64(time.Second)))
		}
	}
	return s + ", " + why
}
