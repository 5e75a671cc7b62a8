package demo

import (
	"context"
	"errors"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"catchment/internal/edge"
)

// TestTrafficRates holds the generated views to the published rates.
func TestTrafficRates(t *testing.T) {
	const views = 70_000
	traffic := NewTraffic(1)
	type count struct{ n, unicast, global float64 }
	counts := map[string]*count{}
	ids := map[string]bool{}
	for range views {
		b := traffic.View(time.Unix(0, 0))
		ids[b.ID] = true
		key := b.Place.Country + b.Place.Subdivision
		c := counts[key]
		if c == nil {
			c = &count{}
			counts[key] = c
		}
		best := ""
		least := math.Inf(1)
		for _, p := range b.Probes {
			if id, own := p.Target.PoP(); own && p.RTT < least {
				best, least = string(id), p.RTT
			}
		}
		v := b.View()
		c.n++
		if string(v.Served[edge.Unicast.Index()]) == best {
			c.unicast++
		}
		if string(v.Served[edge.Global.Index()]) == best {
			c.global++
		}
	}
	if len(ids) != views {
		t.Errorf("%d views have %d ids", views, len(ids))
	}
	for _, g := range geographies() {
		key := g.place.Country + g.place.Subdivision
		c := counts[key]
		if c == nil {
			t.Fatalf("no view from %s", key)
		}
		for _, r := range []struct {
			scheme    string
			got, want float64
		}{{"unicast", c.unicast / c.n, g.unicast}, {"global", c.global / c.n, g.global}} {
			if sd := math.Sqrt(r.want * (1 - r.want) / c.n); math.Abs(r.got-r.want) > 4*sd {
				t.Errorf("%s %s: %.3f optimal, published %.2f", key, r.scheme, r.got, r.want)
			}
		}
	}
}

func TestHandler(t *testing.T) {
	var broken error
	table := func(context.Context) ([]byte, error) { return []byte("[]"), broken }
	rest := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "collector") })
	h, err := Handler(table, rest)
	if err != nil {
		t.Fatal(err)
	}
	get := func(path string, status int, contains string) *httptest.ResponseRecorder {
		t.Helper()
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if w.Code != status || !strings.Contains(w.Body.String(), contains) {
			t.Errorf("%s: %d %.60q", path, w.Code, w.Body)
		}
		return w
	}
	page := get("/", 200, "rum.js")
	if got := page.Header().Get("Server-Timing"); got != `pop;desc="iad"` {
		t.Errorf("the page names its PoP as %q", got)
	}
	if csp := page.Header().Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'self'") || strings.Contains(csp, "unsafe") {
		t.Errorf("CSP %q", csp)
	}
	get("/demo.js", 200, "refresh")
	get("/table.json", 200, "[]")
	get("/v1/plan", 200, "collector")
	broken = errors.New("no segment yet")
	get("/table.json", 503, "no segment yet")
}
