package announce

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"catchment/internal/edge"
)

// Defaults of Config. A zero duration or count stands for the default; None
// stands for no time at all.
const (
	None time.Duration = -1

	DefaultHoldDown = 30 * time.Second
	DefaultJitter   = 10 * time.Second
	DefaultFlaps    = 4           // an hour; route flap damping punishes six or so (RFC 7196)
	DefaultResume   = time.Minute // a restart or an upgrade, not a reboot
	DefaultWait     = 2 * time.Second
	DefaultPrepend  = 3 // beyond it hardly anyone moves
	flapWindow      = time.Hour
	maxPrepend      = 10
	maxNames        = 64 // checks, groups, VIPs; a hostile state cannot be larger
	maxFlaps        = 100
	maxDuration     = 7 * 24 * time.Hour
)

// Config is what one PoP announces and when.
type Config struct {
	PoP    edge.PoPID
	Checks []Check
	Groups []Group
	VIPs   []VIP
	Always []netip.Prefix // the PoP's own, whatever the checks say

	// HoldDown is how long a VIP must have been healthy before it is announced
	// again after automation has withdrawn it, and up to Jitter longer, drawn
	// from Seed, so that PoPs that failed together do not return together.
	HoldDown, Jitter time.Duration
	Seed             uint64

	// MinAnnounce is how long a VIP stays announced at least, degraded if it
	// is down meanwhile. Zero is none: a dead service is not to be announced.
	MinAnnounce time.Duration

	// Flaps is how often in any hour automation may withdraw a prefix. A VIP
	// that has none left stays withdrawn when it is healthy again, until the
	// next withdrawal would be within the budget.
	Flaps int

	Resume   time.Duration // see New
	Degraded Degraded      // zero: graceful shutdown and DefaultPrepend
	Guard    Guarding
	Drain    Draining
}

// Check is one that has results. Rise successes in a row make it up, Fall
// failures down. Nothing heard for Every and Timeout is a failure, too, and
// another one with each Every: a hung check says nothing.
type Check struct {
	Name           string
	Rise, Fall     int
	Every, Timeout time.Duration
}

// Group is up while at least Need of its checks are.
type Group struct {
	Name   string
	Need   int // 0: all
	Checks []string
}

// VIP is announced while its group is up.
type VIP struct {
	ID       edge.VIPID
	Prefixes []netip.Prefix
	Group    string // empty: all checks of the PoP
}

// Degraded is how a route asks for any other to be preferred. It is in
// addition to what neighbors are told anyway.
type Degraded struct {
	GracefulShutdown bool             `json:"graceful_shutdown,omitempty"` // 65535:0 (RFC 8326)
	Prepend          int              `json:"prepend,omitempty"`           // 0 to 10
	Communities      []edge.Community `json:"communities,omitempty"`
}

// Guarding is the PoP's side of the last-PoP guard.
type Guarding struct {
	Fallback edge.Fallback // empty: FailStatic
	Wait     time.Duration // for an answer, from the first failed check
}

func (c Config) withDefaults() Config {
	set := func(d *time.Duration, v time.Duration) {
		switch *d {
		case 0:
			*d = v
		case None:
			*d = 0
		}
	}
	set(&c.HoldDown, DefaultHoldDown)
	set(&c.Jitter, DefaultJitter)
	set(&c.Resume, DefaultResume)
	set(&c.MinAnnounce, 0)
	set(&c.Guard.Wait, DefaultWait)
	set(&c.Drain.TTL, DefaultTTL)
	set(&c.Drain.Grace, DefaultGrace)
	set(&c.Drain.Verify, DefaultVerify)
	set(&c.Drain.Settle, DefaultSettle)
	set(&c.Drain.Quiet, DefaultQuiet)
	if c.Flaps == 0 {
		c.Flaps = DefaultFlaps
	}
	if c.Guard.Fallback == "" {
		c.Guard.Fallback = edge.FailStatic
	}
	if d := c.Degraded; !d.GracefulShutdown && d.Prepend == 0 && len(d.Communities) == 0 {
		c.Degraded = Degraded{GracefulShutdown: true, Prepend: DefaultPrepend}
	}
	c.Checks, c.Groups, c.VIPs, c.Always = slices.Clone(c.Checks), slices.Clone(c.Groups), slices.Clone(c.VIPs), slices.Clone(c.Always)
	return c
}

// check expects the defaults to be filled in.
func (c *Config) check() error {
	if c.PoP == "" {
		return errors.New("announce: pop: is empty")
	}
	for name, d := range map[string]time.Duration{
		"hold down": c.HoldDown, "jitter": c.Jitter, "min announce": c.MinAnnounce, "resume": c.Resume, "guard wait": c.Guard.Wait,
		"drain ttl": c.Drain.TTL, "drain grace": c.Drain.Grace, "drain verify": c.Drain.Verify, "drain settle": c.Drain.Settle, "drain quiet": c.Drain.Quiet,
	} {
		if d < 0 || d > maxDuration {
			return fmt.Errorf("announce: %s: %v is not 0 to %v", name, d, maxDuration)
		}
	}
	switch {
	case c.Flaps < 1 || c.Flaps > maxFlaps:
		return fmt.Errorf("announce: flaps: %d is not 1 to %d", c.Flaps, maxFlaps)
	case c.Degraded.Prepend < 0 || c.Degraded.Prepend > maxPrepend:
		return fmt.Errorf("announce: degraded: prepended %d times, want 0 to %d", c.Degraded.Prepend, maxPrepend)
	case slices.Contains(c.Degraded.Communities, edge.Blackhole):
		return fmt.Errorf("announce: degraded: community %v asks for the users' packets to be dropped", edge.Blackhole)
	case c.Guard.Fallback != edge.FailStatic && c.Guard.Fallback != edge.FailOpenWithdraw:
		return fmt.Errorf("announce: guard: %q is neither %s nor %s", c.Guard.Fallback, edge.FailStatic, edge.FailOpenWithdraw)
	case len(c.Checks) > maxNames || len(c.Groups) > maxNames || len(c.VIPs) > maxNames:
		return fmt.Errorf("announce: more than %d checks, groups or VIPs", maxNames)
	}
	checks := map[string]bool{}
	for _, k := range c.Checks {
		switch {
		case k.Name == "" || checks[k.Name]:
			return fmt.Errorf("announce: check %q: its name is empty or stands twice", k.Name)
		case k.Rise < 1 || k.Fall < 1:
			return fmt.Errorf("announce: check %q: rise %d and fall %d, want at least 1", k.Name, k.Rise, k.Fall)
		case k.Every <= 0 || k.Timeout < 0:
			return fmt.Errorf("announce: check %q: every %v and timeout %v", k.Name, k.Every, k.Timeout)
		}
		checks[k.Name] = true
	}
	return c.checkVIPs(checks)
}

func (c *Config) checkVIPs(checks map[string]bool) error {
	groups := map[string]bool{"": true}
	for _, g := range c.Groups {
		switch {
		case groups[g.Name]:
			return fmt.Errorf("announce: group %q: its name is empty or stands twice", g.Name)
		case len(g.Checks) == 0:
			return fmt.Errorf("announce: group %q: has no checks", g.Name)
		case g.Need < 0 || g.Need > len(g.Checks):
			return fmt.Errorf("announce: group %q: needs %d of %d checks", g.Name, g.Need, len(g.Checks))
		}
		seen := map[string]bool{}
		for _, k := range g.Checks {
			if !checks[k] || seen[k] {
				return fmt.Errorf("announce: group %q: check %q does not exist or stands twice", g.Name, k)
			}
			seen[k] = true
		}
		groups[g.Name] = true
	}
	vips, prefixes := map[edge.VIPID]bool{}, map[netip.Prefix]bool{}
	once := func(of string, list []netip.Prefix) error {
		for _, p := range list {
			if !p.IsValid() || p != p.Masked() || p.Bits() == 0 || prefixes[p] {
				return fmt.Errorf("announce: %s: prefix %v: is none to announce, or stands twice", of, p)
			}
			prefixes[p] = true
		}
		return nil
	}
	for _, v := range c.VIPs {
		switch {
		case v.ID == "" || vips[v.ID]:
			return fmt.Errorf("announce: vip %q: its id is empty or stands twice", v.ID)
		case len(v.Prefixes) == 0:
			return fmt.Errorf("announce: vip %q: has no prefixes", v.ID)
		case !groups[v.Group]:
			return fmt.Errorf("announce: vip %q: there is no group %q", v.ID, v.Group)
		}
		vips[v.ID] = true
		if err := once(fmt.Sprintf("vip %q", v.ID), v.Prefixes); err != nil {
			return err
		}
	}
	return once("always", c.Always)
}
