package dash

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"catchment/internal/edge"
	"catchment/internal/report"
	"catchment/internal/sim"
)

// SimulatorAbout is how the simulator was made.
type SimulatorAbout struct {
	Report report.SimAbout
	Rate   float64 // requests/s of one user, to compare with capacities; 0: not known
}

const maxEdits = 20

// simulation bounds what the simulator costs: one run at a time.
type simulation struct{ mu sync.Mutex }

type placeMoved struct {
	Country string     `json:"country"`
	Users   millis     `json:"users"`
	Moved   millis     `json:"moved"`
	Before  edge.PoPID `json:"before"`
	After   edge.PoPID `json:"after"`
	RTT     millis     `json:"rtt"`
}

func (d *Dash) askWhatIf(_ *http.Request, q *query) *question {
	vip := edge.VIPID(q.text("vip"))
	if vip == "" {
		vip = sim.GlobalVIP
	}
	q.known = append(q.known, "edit")
	texts := q.values["edit"]
	if len(texts) == 0 || len(texts) > maxEdits {
		q.fail("edit", "want 1 to %d edits, such as withdraw iad", maxEdits)
	}
	var edits []sim.Edit
	for _, text := range texts {
		kind, rest, _ := strings.Cut(strings.TrimSpace(text), " ")
		e, err := sim.ParseEdit(sim.EditKind(kind), strings.TrimSpace(rest))
		if err != nil {
			q.fail("edit", "%v", err)
			break
		}
		edits = append(edits, e)
	}
	return &question{
		key:    fmt.Sprintf("whatif %q %q", vip, texts),
		answer: func(ctx context.Context, _ *figures) (*answer, *refusal) { return d.whatIf(ctx, vip, edits) },
	}
}

func (d *Dash) whatIf(ctx context.Context, vip edge.VIPID, edits []sim.Edit) (*answer, *refusal) {
	if d.cfg.Simulator == nil {
		return &answer{standing: standing{state: none, hint: "There is no topology to simulate on: make one with `catchment sim generate` or `catchment sim import`, and start `catchment serve` with `--topology FILE`."}}, nil
	}
	d.simulation.mu.Lock()
	defer d.simulation.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, refuse(http.StatusServiceUnavailable, "", "the request was given up")
	}
	change, err := d.cfg.Simulator.WhatIf(vip, edits, d.cfg.About.Rate)
	if err != nil {
		return nil, refuse(http.StatusUnprocessableEntity, "edit", "%v", trimPackage(err))
	}
	places := []placeMoved{}
	for _, p := range change.Places {
		places = append(places, placeMoved{p.Country, millis(p.Users), millis(p.Moved), p.From, p.To, millis(p.Shift)})
	}
	var out bytes.Buffer
	if err := report.SimChange(&out, report.JSON, []*sim.Change{change}, d.cfg.About.Report); err != nil {
		return nil, unreadable(err)
	}
	text := bytes.TrimSpace(out.Bytes())
	if len(text) < 2 || text[0] != '{' {
		return nil, unreadable(errors.New("the simulator's report is no object"))
	}
	rest := append([]byte{','}, text[1:len(text)-1]...)
	rest = append(rest, members(struct {
		Places []placeMoved `json:"places"`
	}{places})...)
	return &answer{standing: standing{state: ok}, rest: rest}, nil
}

// trimPackage leaves out the name of the package that errors begin with.
func trimPackage(err error) string { return strings.TrimPrefix(err.Error(), "sim: ") }
