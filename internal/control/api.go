package control

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"catchment/internal/edge"
	"catchment/internal/steer"
	"catchment/internal/tokens"
)

// maxBody bounds the body of an operator's request.
const maxBody = 64 << 10

// API serves /api/v1 for operators, who may do everything, and viewers, who
// may read. docs/control.md lists it.
func (c *Control) API() http.Handler {
	mux := http.NewServeMux()
	read := func(pattern string, h func(w http.ResponseWriter, r *http.Request)) {
		mux.HandleFunc("GET /api/v1/"+pattern, func(w http.ResponseWriter, r *http.Request) {
			if _, ok := c.allow(w, r, tokens.Operator, tokens.Viewer); ok {
				h(w, r)
			}
		})
	}
	read("snapshot", c.getSnapshot)
	read("health", c.getHealth)
	read("explain", c.getExplain)
	read("audit", c.getAudit)
	read("pops", c.getPoPs)
	read("pops/{id}", c.getPoP)
	read("vips", c.getVIPs)
	mux.HandleFunc("GET /api/v1/backup", c.getBackup)
	mux.HandleFunc("POST /api/v1/drains/{id}/skip", c.postSkip)
	for _, f := range forms {
		read(f.path, func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, c.list(f)) })
		if f.id != "" {
			read(f.path+"/"+f.id, func(w http.ResponseWriter, r *http.Request) { c.getObject(w, r, f) })
		}
		c.handleChanges(mux, f)
	}
	mux.HandleFunc("/api/v1/", func(w http.ResponseWriter, r *http.Request) {
		refuse(http.StatusNotFound, "", "there is no %s %s", r.Method, r.URL.Path).write(w)
	})
	return mux
}

// handleChanges mounts PUT and DELETE.
func (c *Control) handleChanges(mux *http.ServeMux, f form) {
	path := "/api/v1/" + f.path
	if f.id != "" {
		path += "/" + f.id
	}
	for method, do := range map[string]func(*request) *apiError{http.MethodPut: c.put, http.MethodDelete: c.delete} {
		mux.HandleFunc(method+" "+path, func(w http.ResponseWriter, r *http.Request) {
			who, ok := c.allow(w, r, tokens.Operator)
			if !ok {
				return
			}
			q := &request{w: w, r: r, form: f, who: who.id, id: objectID(r), now: time.Now().UTC().Round(0)}
			if err := do(q); err != nil {
				err.write(w)
			}
		})
	}
}

// objectID joins the wildcards of a pattern.
func objectID(r *http.Request) string {
	id := r.PathValue("id")
	if service := r.PathValue("service"); service != "" {
		return service + "/" + id
	}
	return id
}

// listed is an object as the API shows it.
type listed struct {
	ID    string          `json:"id"`
	Value json.RawMessage `json:"value"`
}

func (c *Control) now() *state {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state
}

func (c *Control) list(f form) []listed {
	list := []listed{}
	for _, o := range c.now().objects[f.kind] {
		list = append(list, listed{o.ID, o.Value})
	}
	return list
}

func (c *Control) getObject(w http.ResponseWriter, r *http.Request, f form) {
	o, ok := c.now().find(f.kind, objectID(r))
	if !ok {
		refuse(http.StatusNotFound, "", "there is no %s %q", f.kind, objectID(r)).write(w)
		return
	}
	writeJSON(w, http.StatusOK, listed{o.ID, o.Value})
}

func (c *Control) getSnapshot(w http.ResponseWriter, r *http.Request) {
	p := c.current.Load()
	if p == nil {
		refuse(http.StatusServiceUnavailable, "", "%v", errNone).write(w)
		return
	}
	p.send(w, r)
}

// healthNow is what is known of a PoP at the moment.
type healthNow struct {
	edge.Health
	Reported time.Time        `json:"reported,omitzero"` // the last report
	Load     *float64         `json:"load,omitempty"`    // requests/s
	Capacity float64          `json:"capacity,omitempty"`
	Silent   bool             `json:"silent,omitempty"` // neither reports nor probes: State is held
	Probes   map[string]probe `json:"probes,omitempty"` // by name server
}

func (c *Control) getHealth(w http.ResponseWriter, _ *http.Request) {
	list := []healthNow{}
	c.mu.Lock()
	now := time.Now()
	for i := range c.fleet.PoPs {
		list = append(list, c.healthNow(&c.fleet.PoPs[i], now))
	}
	c.mu.Unlock()
	writeJSON(w, http.StatusOK, list)
}

// healthNow returns what is known of a PoP. The caller holds mu.
func (c *Control) healthNow(pop *edge.PoP, now time.Time) healthNow {
	p := c.health.of(pop.ID)
	h := healthNow{Health: p.Health, Reported: p.reported, Silent: p.silent, Capacity: pop.Capacity, Probes: map[string]probe{}}
	if load, ok := c.health.load(p.PoP, now); ok {
		h.Load = &load
	}
	for by, x := range p.probes {
		h.Probes[by] = *x
	}
	return h
}

// MarshalJSON shows what a name server finds.
func (x probe) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		State edge.HealthState `json:"state"`
		OK    bool             `json:"ok"`
		Times int              `json:"times"` // in a row
		At    time.Time        `json:"at"`
		Why   string           `json:"why,omitempty"`
	}{x.state, x.ok, x.n, x.at, x.why})
}

// getExplain tells how an answer comes about: as text, or as JSON for
// ?format=json or whoever accepts only that.
func (c *Control) getExplain(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	query := steer.Query{Service: strings.TrimSuffix(strings.ToLower(q.Get("service")), ".")}
	for _, f := range []struct {
		field string
		to    *netip.Addr
	}{{"client", &query.Client}, {"resolver", &query.Resolver}} {
		text := q.Get(f.field)
		if text == "" {
			continue
		}
		var err error
		if *f.to, err = netip.ParseAddr(text); err != nil {
			refuse(http.StatusBadRequest, f.field, "%q is not an address", text).write(w)
			return
		}
	}
	if !query.Client.IsValid() && !query.Resolver.IsValid() {
		refuse(http.StatusBadRequest, "client", "want a client, a resolver or both").write(w)
		return
	}
	format := q.Get("format")
	if format == "" && strings.Contains(r.Header.Get("Accept"), "application/json") {
		format = "json"
	}
	plan, err := c.plan()
	if err != nil {
		refuse(http.StatusServiceUnavailable, "", "%v", err).write(w)
		return
	}
	x, err := plan.Explain(query)
	switch {
	case err != nil:
		refuse(http.StatusNotFound, "service", "%v", err).write(w)
	case format == "json":
		writeJSON(w, http.StatusOK, x)
	case format == "" || format == "text":
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		fmt.Fprint(w, x)
	default:
		refuse(http.StatusBadRequest, "format", "%q is not text or json", format).write(w)
	}
}

// maxEntries bounds one answer.
const maxEntries = 1000

// getAudit lists up to ?limit= entries after ?after=; without it the last ones.
func (c *Control) getAudit(w http.ResponseWriter, r *http.Request) {
	after, limit := int64(-1), 100
	var err error
	if text := r.URL.Query().Get("after"); text != "" {
		if after, err = strconv.ParseInt(text, 10, 63); err != nil || after < 0 {
			refuse(http.StatusBadRequest, "after", "%q is not a sequence number", text).write(w)
			return
		}
	}
	if text := r.URL.Query().Get("limit"); text != "" {
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 || limit > maxEntries {
			refuse(http.StatusBadRequest, "limit", "%q is not in 1 to %d", text, maxEntries).write(w)
			return
		}
	}
	entries, err := c.db.audit(after, limit)
	if err != nil {
		c.log.Error("audit trail not read", "error", err)
		refuse(http.StatusInternalServerError, "", "the audit trail cannot be read").write(w)
		return
	}
	writeJSON(w, http.StatusOK, entries)
}
