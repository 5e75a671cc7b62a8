package control

import (
	"encoding/json"
	"net/http"
	"time"

	"catchment/internal/announce"
	"catchment/internal/edge"
	"catchment/internal/tokens"
)

// postSkip has a PoP end the present phase of its drain, or of the way back:
// POST drains/{pop}/skip {"phase": …, "why": …}. The PoP is told with each
// answer until it tells of another phase; a control node that is restarted
// meanwhile forgets.
func (c *Control) postSkip(w http.ResponseWriter, r *http.Request) {
	who, ok := c.allow(w, r, tokens.Operator)
	if !ok {
		return
	}
	q := &request{w: w, r: r, who: who.id, id: r.PathValue("id"), now: time.Now().UTC().Round(0)}
	var b struct {
		*common
		Phase announce.Phase `json:"phase"`
	}
	b.common = &q.common
	var err *apiError
	if q.text, err = readText(w, r, maxBody); err == nil {
		err = q.body(&b)
	}
	if err == nil {
		err = c.skip(q, b.Phase)
	}
	if err != nil {
		err.write(w)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (c *Control) skip(q *request, phase announce.Phase) *apiError {
	c.mu.Lock()
	defer c.mu.Unlock()
	pop := edge.PoPID(q.id)
	if _, ok := c.fleet.PoP(pop); !ok {
		return refuse(http.StatusNotFound, "pop", "there is no PoP %q", q.id)
	}
	status := c.guardian.of(pop)
	switch {
	case status == nil:
		return refuse(http.StatusConflict, "pop", "nothing has been heard of what %s announces", pop)
	case phase == "":
		return refuse(http.StatusBadRequest, "phase", "is missing: which one is to be skipped")
	case phaseOf(&status.Status) != phase || phase == announce.Drained:
		return refuse(http.StatusConflict, "phase", "%s is %s", pop, phaseName(phaseOf(&status.Status)))
	}
	text, e := json.Marshal(map[string]announce.Phase{"phase": phase})
	if e != nil {
		return refuse(http.StatusInternalServerError, "", "%v", e)
	}
	if err := c.audit(q, "skip", string(drains)+"/"+q.id, text); err != nil {
		return err
	}
	c.guardian.skip(pop, announce.Skip{Phase: phase, Why: q.Why})
	return nil
}

func phaseName(p announce.Phase) string {
	switch p {
	case "":
		return "not being drained"
	case announce.Drained:
		return "drained"
	}
	return "in phase " + string(p)
}

// skip has a phase skipped.
func (g *guardian) skip(pop edge.PoPID, s announce.Skip) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.skips[pop] = s
}

// audit notes what changes nothing in the state. The caller holds mu.
func (c *Control) audit(q *request, action, object string, after json.RawMessage) *apiError {
	next, err := c.db.noted(c.state, Entry{Time: q.now, Who: q.who, Action: action, Object: object, After: after, Why: q.Why})
	if err != nil {
		c.log.Error("audit trail not written", "error", err)
		return refuse(http.StatusInternalServerError, "", "the state cannot be written")
	}
	c.state = next
	c.metrics.audit.Set(float64(next.audited))
	c.log.Info("noted", "action", action, "who", q.who, "object", object, "why", q.Why)
	return nil
}
