package bgp

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
)

// SetConfig changes whom the speaker speaks to and what it may announce, also
// while it runs. Sessions of neighbors that stay as they are go on, and so do
// their routes; others are ended, with a Cease, and begun anew; a change of
// anything but Neighbors and Prefixes does that to all. What neighbors that are
// new hear is for the next Set to say. On an error that says what is wrong with
// cfg nothing has changed.
func (s *Speaker) SetConfig(cfg Config) error {
	next := cfg.withDefaults()
	if err := next.check(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	same := next.alike(&s.cfg)
	prefixes := !slices.Equal(next.Prefixes, s.cfg.Prefixes)
	var all, begun, kept []*session
	for i := range next.Neighbors {
		n := &next.Neighbors[i]
		key, err := readKey(n.PasswordFile)
		if err != nil {
			return fmt.Errorf("bgp: neighbor %v: %w", n.Address, err)
		}
		at := slices.IndexFunc(s.sessions, func(o *session) bool { return same && *o.n == *n && o.key == key })
		if at >= 0 {
			all, kept = append(all, s.sessions[at]), append(kept, s.sessions[at])
			continue
		}
		one := newSession(&next, n, key, s.log, s.notify)
		all, begun = append(all, one), append(begun, one)
	}
	var ended []*session
	for _, one := range s.sessions {
		if !slices.Contains(kept, one) {
			ended = append(ended, one)
		}
	}
	if !s.running {
		s.replace(next, all)
		return nil
	}
	var errs []error
	if prefixes {
		for _, one := range kept {
			errs = append(errs, allowOwn(context.Background(), one.server, next.Prefixes))
		}
	}
	// The old end first: a neighbor whose session changed takes only one.
	s.replace(next, kept)
	s.end(ended)
	s.replace(next, all)
	for _, one := range begun {
		errs = append(errs, one.prepare(context.Background()))
	}
	for _, one := range begun {
		if one.server != nil {
			errs = append(errs, one.start(context.Background()))
		}
	}
	s.notify()
	return errors.Join(errs...)
}

// replace is called with mu held.
func (s *Speaker) replace(cfg Config, sessions []*session) {
	s.watch.Lock()
	defer s.watch.Unlock()
	s.cfg, s.sessions = cfg, sessions
}

// end takes back the routes of sessions and ends them.
func (s *Speaker) end(sessions []*session) {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTime)
	defer cancel()
	var all sync.WaitGroup
	for _, one := range sessions {
		all.Go(func() { one.withdraw(ctx, s.await) })
	}
	all.Wait()
}

// alike reports whether all but neighbors and prefixes is the same.
func (c *Config) alike(d *Config) bool {
	return c.ASN == d.ASN && c.RouterID == d.RouterID && c.ListenPort == d.ListenPort && c.Hold == d.Hold &&
		c.Keepalive == d.Keepalive && c.LimitPause == d.LimitPause && c.OnExit == d.OnExit && c.ShutdownText == d.ShutdownText
}

// Prefixes returns all that may be announced.
func (s *Speaker) Prefixes() []netip.Prefix {
	s.watch.Lock()
	defer s.watch.Unlock()
	return slices.Clone(s.cfg.Prefixes)
}

// list returns the sessions of the moment.
func (s *Speaker) list() []*session {
	s.watch.Lock()
	defer s.watch.Unlock()
	return s.sessions
}
