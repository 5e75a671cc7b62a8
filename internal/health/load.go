package health

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"catchment/internal/edge"
)

// loadTimeout is for one reading.
const loadTimeout = 5 * time.Second

// meter reads a PoP's load from where the fleet file says.
type meter struct {
	source edge.Load
	http   *http.Client

	total float64 // of the counter at the last reading
	at    time.Time
}

func newMeter(source edge.Load) *meter {
	return &meter{source: source, http: newHTTPClient(source.Prometheus + source.URL)}
}

// read returns the load in requests/s; ok is false where nothing can be said
// yet, since a rate takes two readings.
func (m *meter) read(ctx context.Context) (load float64, ok bool, err error) {
	switch {
	case m.source.Prometheus != "":
		page, err := read(ctx, m.http, m.source.Prometheus, loadTimeout)
		if err != nil {
			return 0, false, err
		}
		total, err := sumOf(page, m.source.Metric)
		if err != nil {
			return 0, false, err
		}
		load, ok = m.rate(total, time.Now())
		return load, ok, nil
	case m.source.URL != "":
		page, err := read(ctx, m.http, m.source.URL, loadTimeout)
		if err != nil {
			return 0, false, err
		}
		load, err = number(page)
		return load, err == nil, err
	case len(m.source.Exec) > 0:
		load, err = run(ctx, m.source.Exec)
		return load, err == nil, err
	}
	return 0, false, nil
}

// rate returns what the counter rose by per second since the last reading. One
// that fell was started anew at 0 meanwhile.
func (m *meter) rate(total float64, now time.Time) (float64, bool) {
	before, at := m.total, m.at
	m.total, m.at = total, now
	passed := now.Sub(at).Seconds()
	if at.IsZero() || passed <= 0 {
		return 0, false
	}
	if total < before {
		before = 0
	}
	return (total - before) / passed, true
}

func run(ctx context.Context, argv []string) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.WaitDelay = time.Second // for what it left behind with the pipe
	var out limited
	cmd.Stdout = &out
	if err := cmd.Run(); err != nil {
		return 0, fmt.Errorf("%s: %w", argv[0], err)
	}
	return number(out.text)
}

// limited keeps the first KiB of what is written.
type limited struct{ text []byte }

func (l *limited) Write(p []byte) (int, error) {
	l.text = append(l.text, p[:min(len(p), 1024-len(l.text))]...)
	return len(p), nil
}

// number reads a page that is one number, 0 or more.
func number(page []byte) (float64, error) {
	text := string(bytes.TrimSpace(page[:min(len(page), 1024)]))
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || !(v >= 0) || math.IsInf(v, 0) {
		return 0, fmt.Errorf("%q is not a number of requests/s", text[:min(len(text), 40)])
	}
	return v, nil
}

var errNoMetric = errors.New("the page has no such metric")

// sumOf returns the sum of a metric's samples over its labels, in the text
// format of Prometheus (also OpenMetrics): NAME{LABELS} VALUE [TIMESTAMP].
func sumOf(page []byte, metric string) (float64, error) {
	sum, found := 0.0, false
	for line := range strings.Lines(string(page)) {
		rest, ok := strings.CutPrefix(line, metric)
		if !ok {
			continue
		}
		if strings.HasPrefix(rest, "{") {
			if rest, ok = afterLabels(rest[1:]); !ok {
				continue
			}
		} else if rest == "" || rest[0] != ' ' && rest[0] != '\t' {
			continue // a longer name
		}
		words := strings.Fields(rest)
		if len(words) == 0 {
			continue
		}
		v, err := strconv.ParseFloat(words[0], 64)
		if err != nil || !(v >= 0) || math.IsInf(v, 0) {
			return 0, fmt.Errorf("%s has the value %.40q, which no counter can have", metric, words[0])
		}
		sum, found = sum+v, true
	}
	if !found {
		return 0, fmt.Errorf("%s: %w", metric, errNoMetric)
	}
	return sum, nil
}

// afterLabels returns what follows the brace that ends the labels; label
// values are quoted, and may hold braces and escaped quotes.
func afterLabels(s string) (string, bool) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == '}' && !quoted:
			return s[i+1:], true
		}
	}
	return "", false
}
