package control

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"catchment/internal/edge"
	"catchment/internal/steer"
)

// form is how the API shows and changes one kind of object.
type form struct {
	path string // under /api/v1/
	id   string // the pattern's wildcards; empty: there is only one object
	kind kind
	// make returns the object that a request asks for, which replaces the
	// former one, if there was one.
	make func(q *request, former json.RawMessage) (any, *apiError)
	most int // objects of the kind
	// less returns what is left of an object without one of its values, for
	// ?value= of a DELETE; nil if that is nothing. May be nil.
	less func(former json.RawMessage, value string) any
	// check refuses a change, unless it is forced. May be nil.
	check func(c *Control, next *edge.Snapshot, q *request) *apiError
}

// forms are all that can be changed.
var forms = [...]form{
	{path: "drains", id: "{id}", kind: drains, make: makeDrain, most: 4096, check: (*Control).checkDrain},
	{path: "sheds", id: "{id}", kind: sheds, make: makeShed, most: 4096},
	{path: "announcements", id: "{id}", kind: announcements, make: makeAnnouncement, most: 4096, check: (*Control).checkAnnouncement},
	{path: "shares", id: "{id}", kind: ramps, make: makeRamp, most: 100},
	{path: "pins", id: "{id}", kind: pins, make: makePin, most: 10_000},
	{path: "weights", id: "{service}/{id}", kind: weights, make: makeWeight, most: 10_000},
	{path: "policy", kind: policies, make: makePolicy, most: 1},
	{path: "acme", id: "{id}", kind: challenges, make: makeChallenge, most: 1000, less: lessChallenge},
}

// request is one change that an operator asks for.
type request struct {
	w    http.ResponseWriter
	r    *http.Request
	form form
	who  string
	id   string
	now  time.Time
	text []byte // the body
	common
}

// common is what every body has.
type common struct {
	Why   string `json:"why"`
	Force bool   `json:"force"`
}

// checkWhy makes sure that the audit trail will say something.
func (c *common) checkWhy() *apiError {
	c.Why = strings.TrimSpace(c.Why)
	switch {
	case c.Why == "":
		return refuse(http.StatusBadRequest, "why", "is missing: the audit trail wants a reason")
	case len(c.Why) > 1000 || !utf8.ValidString(c.Why) || strings.ContainsFunc(c.Why, unicode.IsControl):
		return refuse(http.StatusBadRequest, "why", "want at most 1000 bytes on one line")
	}
	return nil
}

// body decodes the request's body into v, which embeds a pointer to q.common.
func (q *request) body(v any) *apiError {
	if err := decode(q.text, v); err != nil {
		return err
	}
	return q.checkWhy()
}

func (c *Control) put(q *request) *apiError {
	if q.form.id != "" && !validObjectID(q.id) {
		return refuse(http.StatusBadRequest, "id", "%q: want 1 to 255 of a-z, 0-9, '-', '_', '.'", q.id)
	}
	var err *apiError
	if q.text, err = readText(q.w, q.r, maxBody); err != nil {
		return err
	}
	value, err := c.set(q)
	if err == nil {
		writeJSON(q.w, http.StatusOK, listed{q.id, value})
	}
	return err
}

func (c *Control) set(q *request) (json.RawMessage, *apiError) {
	c.mu.Lock()
	defer c.mu.Unlock()
	former, _ := c.state.find(q.form.kind, q.id)
	value, err := q.form.make(q, former.Value)
	if err != nil {
		return nil, err
	}
	text, e := json.Marshal(value)
	if e != nil {
		return nil, refuse(http.StatusBadRequest, "", "%v", e)
	}
	if former.Value == nil && len(c.state.objects[q.form.kind]) >= q.form.most {
		return nil, refuse(http.StatusConflict, "", "there are %d already, the most there can be", q.form.most)
	}
	return text, c.commit(q, text)
}

func (c *Control) delete(q *request) *apiError {
	q.Why = q.r.URL.Query().Get("why") // some clients send no body with DELETE
	if q.Why == "" {
		var err *apiError
		if q.text, err = readText(q.w, q.r, maxBody); err != nil {
			return err
		}
		if len(q.text) == 0 {
			return refuse(http.StatusBadRequest, "why", "is missing: want it in the body, or as ?why=")
		}
		if err := q.body(&struct{ *common }{&q.common}); err != nil {
			return err
		}
	} else if err := q.checkWhy(); err != nil {
		return err
	}
	if err := c.remove(q, q.r.URL.Query().Get("value")); err != nil {
		return err
	}
	q.w.WriteHeader(http.StatusNoContent)
	return nil
}

func (c *Control) remove(q *request, value string) *apiError {
	c.mu.Lock()
	defer c.mu.Unlock()
	former, ok := c.state.find(q.form.kind, q.id)
	if !ok {
		return refuse(http.StatusNotFound, "", "there is no %s %q", q.form.kind, q.id)
	}
	if value != "" && q.form.less != nil {
		if rest := q.form.less(former.Value, value); rest != nil {
			text, err := json.Marshal(rest)
			if err != nil {
				return refuse(http.StatusBadRequest, "", "%v", err)
			}
			return c.commit(q, text)
		}
	}
	return c.commit(q, nil)
}

// commit makes a change if the snapshot with it would compile. The caller
// holds mu.
func (c *Control) commit(q *request, value json.RawMessage) *apiError {
	if ramp, _, declared := strings.Cut(q.id, "/"); declared && q.form.kind == ramps {
		return refuse(http.StatusConflict, "id", "this share is that of the declared ramp %s (see /api/v1/ramps/%s)", ramp, ramp)
	}
	if err := c.checkNames(q.form.kind, value); err != nil {
		return err
	}
	next := c.candidate(c.fleet, c.state.with(q.form.kind, q.id, value, 1<<63), q.now)
	if _, err := steer.Compile(next, nil); err != nil {
		return refuse(http.StatusUnprocessableEntity, "", "%v", err)
	}
	if value != nil && q.form.check != nil && !q.Force {
		if err := q.form.check(c, next, q); err != nil {
			return err
		}
	}
	after, err := c.db.apply(c.state, change{q.form.kind, q.id, value, q.who, q.Why}, q.now)
	if err != nil {
		c.log.Error("change not written", "error", err)
		return refuse(http.StatusInternalServerError, "", "the state cannot be written")
	}
	c.state = after
	c.metrics.audit.Set(float64(after.audited))
	c.log.Info("changed", "who", q.who, "kind", string(q.form.kind), "id", q.id, "deleted", value == nil, "why", q.Why)
	c.wake()
	return nil
}

// checkNames refuses an object about something that is not in the fleet, which
// candidate would pass over.
func (c *Control) checkNames(k kind, value json.RawMessage) *apiError {
	if value == nil {
		return nil
	}
	var about struct {
		PoP     edge.PoPID `json:"pop"`
		Service string     `json:"service"`
		Name    string     `json:"name"`
	}
	_ = json.Unmarshal(value, &about) // it was made here
	_, pop := c.fleet.PoP(about.PoP)
	service := slices.ContainsFunc(c.fleet.Services, func(s edge.Service) bool { return s.Name == about.Service })
	switch {
	case about.PoP != "" && !pop:
		return refuse(http.StatusUnprocessableEntity, "pop", "there is no PoP %q", about.PoP)
	case (about.Service != "" || k == ramps) && !service:
		return refuse(http.StatusUnprocessableEntity, "service", "there is no service %q", about.Service)
	case k == challenges && !under(about.Name, c.fleet.Zone):
		return refuse(http.StatusUnprocessableEntity, "name", "%q is not in the zone %s", about.Name, c.fleet.Zone)
	case k == announcements:
		return c.checkExceptions(value)
	}
	return nil
}

func validObjectID(id string) bool {
	return id != "" && len(id) <= 255 && !strings.ContainsFunc(id, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && !strings.ContainsRune("-_./", r)
	})
}

// group is some PoPs, one of which has to be there for something.
type group struct {
	name string
	pops []edge.PoPID
}

func groups(f *edge.Fleet) []group {
	var all, own []edge.PoPID
	for i := range f.PoPs {
		all = append(all, f.PoPs[i].ID)
		if len(f.PoPs[i].Unicast) > 0 {
			own = append(own, f.PoPs[i].ID)
		}
	}
	list := []group{{"the fleet", all}}
	for _, s := range f.Services {
		if s.Scheme == edge.Unicast {
			list = append(list, group{"service " + s.Name, own})
		}
	}
	for _, r := range f.Regions {
		list = append(list, group{"region " + string(r.ID), r.PoPs})
	}
	return list
}

// can reports whether one of some PoPs may serve: it is not drained and not
// known to be down.
func can(s *edge.Snapshot, pops []edge.PoPID) bool {
	return slices.ContainsFunc(pops, func(id edge.PoPID) bool {
		return !slices.ContainsFunc(s.Drains, func(d edge.Drain) bool { return d.PoP == id }) &&
			!slices.ContainsFunc(s.Health, func(h edge.Health) bool { return h.PoP == id && h.State == edge.Down })
	})
}
