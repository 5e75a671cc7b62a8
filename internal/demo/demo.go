// Package demo is what `catchment demo` shows: a fleet of four PoPs on ports of
// 127.0.0.1, page views generated around the visitor's own, and the page.
package demo

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"net/http"
	"net/netip"
	"time"

	"catchment/internal/edge"
)

//go:embed page
var pageFiles embed.FS

//go:embed fleet.yaml
var fleetFile []byte

// FleetFile returns the demo's fleet file.
func FleetFile() []byte { return fleetFile }

// Here is where the demo places whoever opens its page: somewhere in Illinois,
// in a network of the generated traffic, so that the visitor's own page view
// can be judged.
func Here() edge.Place {
	p := us("IL")
	p.ASN, p.ASName = 64496, "Example Cable"
	p.Lat, p.Lon = 41.88, -87.63
	return p
}

// Places places every address Here.
type Places struct{}

// Lookup implements the collector's look-up.
func (Places) Lookup(netip.Addr) edge.Place { return Here() }

// RTT returns how far a PoP seems from the visitor.
func RTT(pop edge.PoPID) time.Duration {
	ms := geographies()[0].rtt[pop]
	return time.Duration(ms * float64(time.Millisecond))
}

// Reached returns the PoP that a scheme leads the visitor to. Global anycast
// goes wrong on purpose.
func Reached(s edge.Scheme) edge.PoPID {
	if s == edge.Global {
		return "lax"
	}
	return "iad"
}

// VIPOf returns the VIP behind a scheme's name, as the visitor reaches it.
func VIPOf(s edge.Scheme) edge.VIPID {
	switch s {
	case edge.Global:
		return "global"
	case edge.Regional:
		return "americas"
	}
	return ""
}

// Handler serves the page under /, with the headers by which it names the PoP
// that served it, the table as JSON, and everything else through rest (the
// collector). Table returns the report's JSON.
func Handler(table func(context.Context) ([]byte, error), rest http.Handler) (http.Handler, error) {
	page, err := fs.Sub(pageFiles, "page")
	if err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	files := http.FileServerFS(page)
	mux := http.NewServeMux()
	mux.Handle("/", rest)
	for _, path := range []string{"GET /{$}", "GET /demo.js", "GET /demo.css"} {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			h := w.Header()
			// What PoPs are probed at is a port of the same host.
			h.Set("Content-Security-Policy", "default-src 'self'; connect-src 'self' http://127.0.0.1:*; img-src data:; frame-ancestors 'none'; base-uri 'none'")
			h.Set("X-Content-Type-Options", "nosniff")
			h.Set("Cache-Control", "no-store")
			h.Set("X-PoP", string(Reached(edge.Unicast)))
			h.Set("Server-Timing", fmt.Sprintf("pop;desc=%q", Reached(edge.Unicast)))
			files.ServeHTTP(w, r)
		})
	}
	mux.HandleFunc("GET /table.json", func(w http.ResponseWriter, r *http.Request) {
		body, err := table(r.Context())
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		_, _ = w.Write(body) // the reader went away
	})
	return mux, nil
}

// Appender is the store.
type Appender interface {
	Append(ctx context.Context, beacons ...*edge.Beacon) (stored int, err error)
}

// History stores n page views spread evenly over the given time up to now.
func (t *Traffic) History(ctx context.Context, to Appender, now time.Time, n int, over time.Duration) error {
	const batch = 1000
	views := make([]*edge.Beacon, 0, batch)
	for i := range n {
		at := now.Add(-over * time.Duration(n-i) / time.Duration(n))
		views = append(views, t.View(at))
		if len(views) == batch || i == n-1 {
			if _, err := to.Append(ctx, views...); err != nil {
				return fmt.Errorf("demo: %w", err)
			}
			views = views[:0]
		}
	}
	return nil
}

// Live stores page views at a steady rate until ctx is done.
func (t *Traffic) Live(ctx context.Context, to Appender, perSecond int) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			if err := t.History(ctx, to, now, perSecond, time.Second); err != nil && ctx.Err() == nil {
				return err
			}
		}
	}
}
