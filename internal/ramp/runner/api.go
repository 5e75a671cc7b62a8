package runner

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"catchment/internal/edge"
	"catchment/internal/ramp"
	"catchment/internal/tokens"
)

// Bounds of requests and answers.
const (
	maxDeclaration = 1 << 20
	maxCommand     = 64 << 10
	maxLooks       = 1000
)

// orders are the commands of the API.
var orders = map[string]ramp.Order{"pause": ramp.Pause, "resume": ramp.Resume, "set": ramp.Set, "rollback": ramp.Abort}

// API serves /api/v1/ramps for operators, who may do everything, and viewers,
// who may read. docs/ramps.md lists it.
func (r *Runner) API() http.Handler {
	mux := http.NewServeMux()
	read := func(pattern string, h func(q *http.Request) (any, error)) {
		mux.HandleFunc("GET "+pattern, func(w http.ResponseWriter, q *http.Request) {
			if _, ok := r.cfg.Tokens.Allow(w, q, tokens.Operator, tokens.Viewer); ok {
				answer(w, http.StatusOK, func() (any, error) { return h(q) })
			}
		})
	}
	change := func(pattern string, status int, h func(q *http.Request, who string) (any, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, q *http.Request) {
			if who, ok := r.cfg.Tokens.Allow(w, q, tokens.Operator); ok {
				q.Body = http.MaxBytesReader(w, q.Body, maxDeclaration)
				answer(w, status, func() (any, error) { return h(q, who) })
			}
		})
	}
	const all, one = "/api/v1/ramps", "/api/v1/ramps/{id}"
	read(all, func(*http.Request) (any, error) { return r.Summaries() })
	read(one, func(q *http.Request) (any, error) { return r.Status(q.PathValue("id")) })
	read(one+"/plan", r.getPlan)
	read(one+"/log", r.getLog)
	read(one+"/chart", r.getChart)
	change("POST "+all, http.StatusCreated, r.postPlan)
	change("POST "+all+"/rollback", http.StatusOK, r.postRollBackAll)
	change("POST "+one+"/{order}", http.StatusOK, r.postOrder)
	change("DELETE "+one, http.StatusOK, r.deleteRamp)
	mux.HandleFunc("/", func(w http.ResponseWriter, q *http.Request) {
		writeJSON(w, http.StatusNotFound, map[string]string{"error": fmt.Sprintf("there is no %s %s", q.Method, q.URL.Path)})
	})
	return mux
}

// csvAnswer is written as it is.
type csvAnswer struct{ chart *Chart }

func answer(w http.ResponseWriter, status int, h func() (any, error)) {
	v, err := h()
	if x, ok := v.(csvAnswer); ok && err == nil {
		w.Header().Set("Content-Type", "text/csv; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		_ = x.chart.WriteCSV(w) // the reader went away
		return
	}
	if err == nil {
		writeJSON(w, status, v)
		return
	}
	var refused *RefusedError
	var declared ramp.Errors
	var large *http.MaxBytesError
	switch {
	case errors.Is(err, ErrUnknown):
		status = http.StatusNotFound
	case errors.Is(err, ErrTaken), errors.Is(err, ErrState), errors.Is(err, edge.ErrRampChanged):
		status = http.StatusConflict
	case errors.As(err, &large):
		status = http.StatusRequestEntityTooLarge
	case errors.As(err, &refused), errors.As(err, &declared):
		status = http.StatusUnprocessableEntity
	default:
		status = http.StatusInternalServerError
	}
	writeJSON(w, status, map[string]string{"error": err.Error()})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil { // no value of ours has a NaN or a cycle
		status, body = http.StatusInternalServerError, []byte(`{"error":"internal"}`)
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n'))
}

func (r *Runner) getPlan(q *http.Request) (any, error) {
	k, err := r.find(q.PathValue("id"))
	if err != nil {
		return nil, err
	}
	return k.plan, nil
}

func number(q *http.Request, name string, otherwise, least, most int64) (int64, error) {
	text := q.URL.Query().Get(name)
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < least || n > most {
		return 0, &RefusedError{fmt.Sprintf("%s: %q is not in %d to %d", name, text, least, most)}
	}
	return n, nil
}

func (r *Runner) getLog(q *http.Request) (any, error) {
	after, err := number(q, "after", -1, 0, 1<<62)
	if err != nil {
		return nil, err
	}
	limit, err := number(q, "limit", 100, 1, maxLooks)
	if err != nil {
		return nil, err
	}
	looks, last, err := r.Looks(q.PathValue("id"), after, int(limit))
	if err == nil && len(looks) == 0 {
		if _, err = r.find(q.PathValue("id")); err != nil {
			return nil, err
		}
	}
	return map[string]any{"looks": looks, "last": last}, err
}

func (r *Runner) getChart(q *http.Request) (any, error) {
	every := time.Hour
	if text := q.URL.Query().Get("every"); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil || d < time.Minute || d > 31*24*time.Hour {
			return nil, &RefusedError{fmt.Sprintf("every: %q is not a duration of 1m to 744h", text)}
		}
		every = d
	}
	chart, err := r.Chart(q.PathValue("id"), every)
	switch format := q.URL.Query().Get("format"); {
	case err != nil:
		return nil, err
	case format == "csv":
		return csvAnswer{chart}, nil
	case format != "" && format != "json":
		return nil, &RefusedError{fmt.Sprintf("format: %q is not json or csv", format)}
	}
	return chart, nil
}

// postPlan takes a declaration, YAML or JSON, as it is in a file.
func (r *Runner) postPlan(q *http.Request, who string) (any, error) {
	why, err := checkWhy(q.URL.Query().Get("why"))
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(q.Body)
	if err != nil {
		return nil, fmt.Errorf("runner: %w", err)
	}
	p, err := ramp.Parse("ramp", text)
	if err != nil {
		return nil, err
	}
	if err := r.Start(p, who, why); err != nil {
		return nil, err
	}
	return r.Status(p.ID)
}

// order is the body of a command.
type order struct {
	Geography string  `json:"geography"`
	Share     float64 `json:"share"`
	Why       string  `json:"why"`
}

func readOrder(q *http.Request) (o order, err error) {
	d := json.NewDecoder(io.LimitReader(q.Body, maxCommand))
	d.DisallowUnknownFields()
	if err := d.Decode(&o); err != nil {
		return o, &RefusedError{fmt.Sprintf("the request: %v (want {\"geography\": …, \"share\": …, \"why\": …})", err)}
	}
	if !(o.Share >= 0 && o.Share <= 1) {
		return o, &RefusedError{"share: want 0 to 1"}
	}
	o.Why, err = checkWhy(o.Why)
	return o, err
}

func (r *Runner) postOrder(q *http.Request, who string) (any, error) {
	id, name := q.PathValue("id"), q.PathValue("order")
	o, err := readOrder(q)
	if err != nil {
		return nil, err
	}
	if name == "abort" {
		if o.Geography != "" {
			return nil, &RefusedError{"geography: abort ends the whole ramp; rollback takes one geography back"}
		}
		return map[string]bool{"ended": true}, r.End(id, who, o.Why)
	}
	do, ok := orders[name]
	if !ok {
		return nil, &RefusedError{fmt.Sprintf("%q is not pause, resume, set, rollback or abort", name)}
	}
	decisions, err := r.Do(id, ramp.Command{Do: do, Geography: o.Geography, Share: o.Share, By: who, Why: o.Why})
	if err != nil {
		return nil, err
	}
	for i := range decisions {
		if d := &decisions[i]; d.Action == ramp.Refused {
			return nil, fmt.Errorf("runner: %s: %s: %w", id, d.Reason, ErrState)
		}
	}
	if len(decisions) == 0 {
		return nil, fmt.Errorf("runner: %s: there is nothing to %s: %w", id, name, ErrState)
	}
	return decisions, nil
}

func (r *Runner) postRollBackAll(q *http.Request, who string) (any, error) {
	o, err := readOrder(q)
	if err != nil {
		return nil, err
	}
	ids, err := r.RollBackAll(who, o.Why)
	return map[string]any{"rolled_back": ids}, err
}

func (r *Runner) deleteRamp(q *http.Request, who string) (any, error) {
	why, err := checkWhy(q.URL.Query().Get("why"))
	if err != nil {
		return nil, err
	}
	return map[string]bool{"ended": true}, r.Finish(q.PathValue("id"), who, why)
}
