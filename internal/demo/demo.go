// Package demo is what `catchment demo` shows: a fleet of 18 PoPs on a generated
// Internet, as ports of 127.0.0.1, two weeks of page views of its users, and the
// page.
package demo

import (
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"math"
	"net/http"
	"net/netip"
	"strings"

	"catchment/internal/edge"
)

//go:embed page
var pageFiles embed.FS

//go:embed fleet.yaml
var fleetFile []byte

// FleetFile returns the demo's fleet file.
func FleetFile() []byte { return fleetFile }

// Page is what the demo's page shows beside what the browser measures. All of
// them return JSON.
type Page struct {
	Visitor *Visitor
	Table   func(context.Context) ([]byte, error) // the report by country, and by state of the US
	History func() (stored, total int)            // page views of the past
}

// visit is how the page describes the visitor's lot.
type visit struct {
	PoPs     int                 `json:"pops"`
	Networks int                 `json:"networks"`
	Place    edge.Place          `json:"place"`
	Leads    map[edge.Scheme]led `json:"leads"`
}

type led struct {
	PoP  edge.PoPID `json:"pop"`
	City string     `json:"city"`
	RTT  float64    `json:"rtt"` // ms
}

// Path is where the page is.
const Path = "/measure/"

// Handler serves the page under Path, with the headers by which it names the
// PoP that served it, and what it shows as JSON.
func (p *Page) Handler() (http.Handler, error) {
	dir, err := fs.Sub(pageFiles, "page")
	if err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	files := http.StripPrefix(strings.TrimSuffix(Path, "/"), http.FileServerFS(dir))
	served, _ := p.Visitor.Reached(edge.Unicast)
	pop := string(p.Visitor.w.Fleet.PoPs[max(0, served)].ID)
	mux := http.NewServeMux()
	for _, name := range []string{"{$}", "demo.js", "demo.css"} {
		mux.HandleFunc("GET "+Path+name, func(w http.ResponseWriter, r *http.Request) {
			h := w.Header()
			// What PoPs are probed at is a port of the same host.
			h.Set("Content-Security-Policy", "default-src 'self'; connect-src 'self' http://127.0.0.1:*; img-src data:; frame-ancestors 'none'; base-uri 'none'")
			h.Set("X-Content-Type-Options", "nosniff")
			h.Set("Cache-Control", "no-store")
			h.Set("X-PoP", pop)
			h.Set("Server-Timing", fmt.Sprintf("pop;desc=%q", pop))
			files.ServeHTTP(w, r)
		})
	}
	answer := func(name string, body func(context.Context) ([]byte, error)) {
		mux.HandleFunc("GET "+Path+name, func(w http.ResponseWriter, r *http.Request) {
			text, err := body(r.Context())
			if err != nil {
				http.Error(w, err.Error(), http.StatusServiceUnavailable)
				return
			}
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Cache-Control", "no-store")
			_, _ = w.Write(text) // the reader went away
		})
	}
	answer("table.json", p.Table)
	answer("visitor.json", func(context.Context) ([]byte, error) { return json.Marshal(p.Visitor.visit()) })
	answer("history.json", func(context.Context) ([]byte, error) {
		stored, total := p.History()
		return json.Marshal(map[string]int{"stored": stored, "total": total})
	})
	return mux, nil
}

func (v *Visitor) visit() visit {
	f := v.w.Fleet
	s := visit{PoPs: len(f.PoPs), Networks: v.w.Topology.Len(), Place: v.Lookup(netip.Addr{}), Leads: map[edge.Scheme]led{}}
	for _, scheme := range edge.Schemes {
		if pop, _ := v.Reached(scheme); pop >= 0 {
			s.Leads[scheme] = led{f.PoPs[pop].ID, f.PoPs[pop].Place.City, math.Round(float64(v.RTT(pop)) / 1e6)}
		}
	}
	return s
}
