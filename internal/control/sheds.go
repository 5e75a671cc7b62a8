package control

import (
	"encoding/json"
	"fmt"
	"time"

	"catchment/internal/edge"
)

// stepSheds moves the automatic sheds one step towards what loads ask for. A
// shed by hand has precedence over them, PoP by PoP.
func (c *Control) stepSheds(now time.Time) {
	if c.cfg.Sheds == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.fleet.PoPs {
		p := &c.fleet.PoPs[i]
		share := 0.0
		if o, ok := c.state.find(autoSheds, string(p.ID)); ok {
			var shed edge.Shed
			if err := json.Unmarshal(o.Value, &shed); err == nil {
				share = shed.Share
			}
		}
		load, _ := c.health.load(p.ID, now)
		next := c.cfg.Sheds.Next(share, load, p.Capacity)
		if next == share {
			continue
		}
		why := fmt.Sprintf("load %.0f of %.0f requests/s", load, p.Capacity)
		if err := c.setAutoShed(p.ID, next, why, now); err != nil {
			c.log.Error("shed by load not set", "pop", string(p.ID), "error", err)
			return
		}
		c.log.Warn("shed by load", "pop", string(p.ID), "share", next, "load", load, "capacity", p.Capacity)
	}
}

// clearSheds ends the automatic sheds of an earlier run if this one has none.
func (c *Control) clearSheds() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, o := range c.state.objects[autoSheds] {
		_, there := c.fleet.PoP(edge.PoPID(o.ID))
		if c.cfg.Sheds != nil && there {
			continue
		}
		if err := c.setAutoShed(edge.PoPID(o.ID), 0, "sheds by load are off", time.Now()); err != nil {
			c.log.Error("shed by load not ended", "pop", o.ID, "error", err)
		}
	}
}

// setAutoShed sets a share, or ends the shed at 0. The caller holds mu.
func (c *Control) setAutoShed(id edge.PoPID, share float64, why string, now time.Time) error {
	x := change{kind: autoSheds, id: string(id), who: byLoad, why: why}
	if share > 0 {
		text, err := json.Marshal(edge.Shed{PoP: id, Share: share, By: byLoad, Why: why})
		if err != nil {
			return err
		}
		x.value = text
	}
	next, err := c.db.apply(c.state, x, now)
	if err != nil {
		return err
	}
	c.state = next
	c.metrics.audit.Set(float64(next.audited))
	c.wake()
	return nil
}

// byLoad is who sheds by load.
const byLoad = "watermark"
