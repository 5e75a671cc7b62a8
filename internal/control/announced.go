package control

import (
	"encoding/json"
	"math"
	"net/http"
	"time"

	"catchment/internal/announce"
	"catchment/internal/edge"
	"catchment/internal/tokens"
)

// maxStatus bounds what a PoP says of its announcements, in bytes.
const maxStatus = 256 << 10

// serveAnnounce takes how things stand at a PoP (announce.Status), and answers
// what it asks for (announce.Reply). Keys that are not known are passed over:
// a PoP of a later version must be able to ask.
func (c *Control) serveAnnounce(w http.ResponseWriter, r *http.Request) {
	who, ok := c.allow(w, r, tokens.PoP)
	if !ok {
		return
	}
	text, e := readText(w, r, maxStatus)
	if e != nil {
		e.write(w)
		return
	}
	var s announce.Status
	if err := json.Unmarshal(text, &s); err != nil {
		refuse(http.StatusBadRequest, "", "%v", err).write(w)
		return
	}
	id := edge.PoPID(who.id)
	if e := checkStatus(&s, id); e != nil {
		e.write(w)
		return
	}
	now, was := time.Now(), c.guardian.isAway(id)
	reply, ok := c.guardian.take(&s, c.Snapshot(), now)
	if !ok {
		refuse(http.StatusForbidden, "", "the token's id %q is no PoP of the fleet", who.id).write(w)
		return
	}
	if was != c.guardian.isAway(id) {
		c.wake()
	}
	reply.DNS = c.dnsSeen(id, now)
	writeJSON(w, http.StatusOK, &reply)
}

func checkStatus(s *announce.Status, id edge.PoPID) *apiError {
	switch {
	case s.Report.PoP != id:
		return refuse(http.StatusForbidden, "report.pop", "%q, but the token is of %q", s.Report.PoP, id)
	case s.Report.Sent.IsZero():
		return refuse(http.StatusBadRequest, "report.sent", "is missing")
	case len(s.Events) > announce.MaxEvents:
		return refuse(http.StatusBadRequest, "events", "%d are more than %d", len(s.Events), announce.MaxEvents)
	case s.Connections < -1:
		return refuse(http.StatusBadRequest, "connections", "%d (want a number, or -1 where it is not known)", s.Connections)
	case s.Traffic != -1 && !(s.Traffic >= 0) || math.IsInf(s.Traffic, 0):
		return refuse(http.StatusBadRequest, "traffic", "%v (want requests/s, or -1 where they are not known)", s.Traffic)
	}
	return nil
}
