package control

import (
	"encoding/json"
	"strings"
	"time"

	"catchment/internal/edge"
	"catchment/internal/tokens"
)

// heardWithin is how long ago a name server may have been heard to count as
// one that answers: they ask every 30 s at least.
const heardWithin = 2 * time.Minute

// shareSince is since which version snapshots have a ramp with a share; empty:
// they do not have it.
type shareSince struct {
	value   string
	version uint64
}

// noteShares notes since which version ramps are as they are. Only publish
// calls it, before anybody sees the snapshot.
func (c *Control) noteShares(s *edge.Snapshot) {
	c.mu.Lock()
	defer c.mu.Unlock()
	seen := map[string]bool{}
	note := func(id, value string) {
		seen[id] = true
		if c.shares[id].value != value {
			c.shares[id] = shareSince{value, s.Version}
		}
	}
	for i := range s.Ramps {
		if strings.Contains(s.Ramps[i].ID, "/") { // a declared ramp's
			note(s.Ramps[i].ID, shareText(&s.Ramps[i]))
		}
	}
	for id := range c.shares {
		if !seen[id] {
			note(id, "")
		}
	}
}

func shareText(r *edge.Ramp) string {
	text, _ := json.Marshal(r) // no value of ours has a NaN or a cycle
	return string(text)
}

// RampFollowed reports whether name servers answer by the share that the state
// has of a geography of a declared ramp ("RAMP/GEOGRAPHY"): it is published,
// and each name server that was heard within two minutes answers by that
// snapshot: one that refused it does not.
func (c *Control) RampFollowed(id string, now time.Time) bool {
	c.mu.Lock()
	want := ""
	if o, ok := c.state.find(ramps, id); ok {
		var r edge.Ramp
		_ = json.Unmarshal(o.Value, &r) // load has decoded it
		want = shareText(&r)
	}
	since := c.shares[id]
	c.mu.Unlock()
	if c.Snapshot() == nil || since.value != want {
		return false
	}
	for who, s := range c.followers.list() {
		if who.role == tokens.DNS && now.Sub(s.at) < heardWithin && s.applied < since.version {
			return false
		}
	}
	return true
}
