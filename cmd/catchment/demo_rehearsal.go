package main

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"catchment/internal/demo"
	"catchment/internal/edge"
	"catchment/internal/ramp"
	"catchment/internal/rehearsal"
)

// rehearsedRamp is the ramp that the demo has behind it: a ramp takes days, and
// nobody watches a demo for so long.
const rehearsedRamp = "rehearsal"

// rehearsed adds to the API of ramps one that was rehearsed on the demo's world
// in the last two weeks, once that is through. It can be read only.
type rehearsed struct {
	ramps http.Handler
	past  atomic.Pointer[http.Handler] // nil: it is not through
}

// run rehearses: a quarter of a minute of work.
func (h *rehearsed) run(ctx context.Context, w *demo.World, log *slog.Logger) error {
	p, err := ramp.Parse("us.yaml", rehearsal.PlanFile())
	if err != nil {
		return err
	}
	p.ID = rehearsedRamp
	r, err := rehearsal.Run(ctx, rehearsal.Config{
		World: rehearsal.World{Fleet: w.Fleet, People: w.People, Outcome: w.Outcome}, Plan: p,
		Seed: 1, From: edge.DayOf(time.Now()) - 14, Days: 14, Views: 80_000, Every: time.Hour, Countries: []string{"US"}, Stale: 0.01,
		Harms: []rehearsal.Harm{{Geography: "tx", From: 0.25, PoP: "sea", Ms: 40}},
	}, nil)
	switch {
	case ctx.Err() != nil:
		return nil
	case err != nil:
		return err
	}
	log.Info("a ramp was rehearsed", "result", r.String())
	h.past.Store(&r.API)
	return nil
}

func (h *rehearsed) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	past := h.past.Load()
	one := r.PathValue("id") == rehearsedRamp
	switch {
	case past == nil || !one && (r.PathValue("id") != "" || r.Method != http.MethodGet):
		h.ramps.ServeHTTP(w, r)
	case one && r.Method == http.MethodGet:
		(*past).ServeHTTP(w, r)
	case one:
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusConflict)
		_, _ = w.Write([]byte(`{"error":"this ramp was rehearsed, and is over: start one of your own"}`))
	default:
		h.list(w, r, *past)
	}
}

// list answers with the ramps of both.
func (h *rehearsed) list(w http.ResponseWriter, r *http.Request, past http.Handler) {
	var all []json.RawMessage
	for _, from := range []http.Handler{h.ramps, past} {
		var answer taken
		from.ServeHTTP(&answer, r)
		var some []json.RawMessage
		if err := json.Unmarshal(answer.body.Bytes(), &some); err != nil { // a refusal is an object
			h.ramps.ServeHTTP(w, r) // whatever is the matter, it says so
			return
		}
		all = append(all, some...)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(all)
}

// taken is an answer that goes nowhere yet.
type taken struct {
	header http.Header
	body   bytes.Buffer
}

func (t *taken) Header() http.Header {
	if t.header == nil {
		t.header = http.Header{}
	}
	return t.header
}
func (t *taken) Write(b []byte) (int, error) { return t.body.Write(b) }
func (*taken) WriteHeader(int)               {}
