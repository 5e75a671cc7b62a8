package member

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"catchment/internal/announce"
	"catchment/internal/bgp"
	"catchment/internal/edge"
)

// Config of a Member.
type Config struct {
	PoP   edge.PoPID
	Dir   string        // where announce.json is kept; empty: nothing is, over a restart
	Every time.Duration // how often the control node hears; 0: 3 s

	ListenPort   uint16        // as in bgp.Config, like the next ones
	Hold         time.Duration // 0: its default
	OnExit       bgp.OnExit
	ShutdownText string

	// Seed draws jitter; one of its own for each agent.
	Seed uint64
}

// plan is what a snapshot asks of the PoP.
type plan struct {
	fleet   *edge.Fleet
	agent   announce.Config
	speaker bgp.Config
	addrs   []netip.Addr // of the VIPs
	drain   *edge.Drain  // nil: none
	except  edge.Announcement
}

// newPlan reads a snapshot. Errors say what in it this PoP cannot do. A PoP
// without a speaker, or without anything to announce, has no plan.
func newPlan(cfg *Config, s *edge.Snapshot) (*plan, error) {
	pop, ok := s.Fleet.PoP(cfg.PoP)
	if !ok {
		return nil, fmt.Errorf("member: there is no PoP %s in the fleet", cfg.PoP)
	}
	if pop.BGP == nil {
		return nil, nil
	}
	p := &plan{fleet: s.Fleet, agent: agentConfig(s.Fleet, pop, cfg.Seed)}
	if _, err := announce.New(p.agent, nil, time.Time{}); err != nil {
		return nil, fmt.Errorf("member: %w", err)
	}
	var err error
	if p.speaker, err = bgp.Configure(s.Fleet, cfg.PoP); err != nil {
		return nil, fmt.Errorf("member: %w", err)
	}
	if len(p.speaker.Prefixes) == 0 {
		return nil, nil // there is nothing to announce
	}
	p.speaker.ListenPort, p.speaker.Hold, p.speaker.OnExit, p.speaker.ShutdownText = cfg.ListenPort, cfg.Hold, cfg.OnExit, cfg.ShutdownText
	if err := p.speaker.Check(); err != nil {
		return nil, fmt.Errorf("member: %w", err)
	}
	for _, v := range s.Fleet.VIPsOf(cfg.PoP) {
		p.addrs = append(p.addrs, v.Addresses...)
	}
	if i := slices.IndexFunc(s.Drains, func(d edge.Drain) bool { return d.PoP == cfg.PoP && !d.Ending }); i >= 0 {
		p.drain = &s.Drains[i]
	}
	if i := slices.IndexFunc(s.Announcements, func(a edge.Announcement) bool { return a.PoP == cfg.PoP }); i >= 0 {
		p.except = s.Announcements[i]
	}
	for neighbor, n := range p.except.Prepend {
		if n < 0 || n > mostPrepend {
			return nil, fmt.Errorf("member: announcements: prepend: %d times to %s, want 0 to %d", n, neighbor, mostPrepend)
		}
	}
	return p, nil
}

// mostPrepend is how often an operator may prepend to a neighbor.
const mostPrepend = 10

// agentConfig is what the fleet file says of when the PoP announces.
func agentConfig(f *edge.Fleet, pop *edge.PoP, seed uint64) announce.Config {
	a := &f.Announce
	c := announce.Config{
		PoP: pop.ID, Always: slices.Clone(pop.UnicastPrefixes), Seed: seed,
		HoldDown: a.HoldDown, Jitter: a.Jitter, MinAnnounce: a.MinAnnounce, Flaps: a.FlapsPerHour, Resume: a.Resume,
		Guard: announce.Guarding{Fallback: a.Guard.Unreachable, Wait: a.Guard.Wait},
		Drain: announce.Draining{TTL: a.Drain.TTL, Grace: a.Drain.Grace, Verify: a.Drain.Verify, Settle: a.Drain.Settle, Quiet: a.Drain.Quiet},
	}
	if c.Drain.TTL == 0 {
		for _, s := range f.Services {
			c.Drain.TTL = max(c.Drain.TTL, 2*s.TTL) // resolvers that ask when an answer is nearly over have another
		}
	}
	if d := a.Degraded; d != nil {
		c.Degraded = announce.Degraded{GracefulShutdown: d.GracefulShutdown, Prepend: d.Prepend, Communities: d.Communities}
	}
	for _, h := range pop.Health {
		c.Checks = append(c.Checks, announce.Check{Name: h.Name, Rise: h.Rise, Fall: h.Fall, Every: h.Every, Timeout: h.Timeout})
	}
	for _, g := range pop.HealthGroups {
		c.Groups = append(c.Groups, announce.Group{Name: g.ID, Need: g.Need, Checks: g.Checks})
	}
	for _, v := range f.VIPsOf(pop.ID) {
		c.VIPs = append(c.VIPs, announce.VIP{ID: v.ID, Prefixes: v.Prefixes, Group: v.Health})
	}
	return c
}

// routes are the announcements that wanted asks for: each neighbor's own
// communities and prepending, and what the operator excepted. VIPs that this
// machine is not ready for are left out. It is empty if nothing is to be
// announced.
func (p *plan) routes(wanted []announce.Wanted, ready map[edge.VIPID]bool) (all []bgp.Route, withheld []string, err error) {
	up := map[edge.VIPID]bgp.Want{}
	for _, w := range wanted {
		switch {
		case w.VIP == "" || !w.Announced || !ready[w.VIP]:
		case slices.Contains(p.except.Withdraw, w.VIP):
			withheld = append(withheld, string(w.VIP))
		default:
			up[w.VIP] = bgp.Want{
				GracefulShutdown: w.GracefulShutdown, Prepend: w.Prepend, Communities: w.Communities,
				More: p.except.Prepend,
			}
		}
	}
	made, err := bgp.NewPlan(p.fleet, p.agent.PoP, up)
	if err != nil {
		return nil, nil, err
	}
	slices.Sort(withheld)
	return made.Routes, slices.Compact(withheld), nil
}

// DryRun says what the PoP would announce to whom if all its checks were up.
func DryRun(cfg Config, s *edge.Snapshot) (string, error) {
	p, err := newPlan(&cfg, s)
	if err != nil {
		return "", err
	}
	if p == nil {
		return fmt.Sprintf("%s has no bgp in the fleet file and announces nothing\n", cfg.PoP), nil
	}
	up := map[edge.VIPID]bgp.Want{}
	for _, v := range p.agent.VIPs {
		if !slices.Contains(p.except.Withdraw, v.ID) {
			up[v.ID] = bgp.Want{More: p.except.Prepend}
		}
	}
	made, err := bgp.NewPlan(p.fleet, cfg.PoP, up)
	if err != nil {
		return "", err
	}
	text := made.Text()
	if p.drain != nil {
		text += fmt.Sprintf("note: the PoP is drained (%s): the VIPs would be withdrawn at the end of that\n", p.drain.Why)
	}
	return text, nil
}
