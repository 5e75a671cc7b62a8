package bgp

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/osrg/gobgp/v4/api"
	"github.com/osrg/gobgp/v4/pkg/server"
)

// again is how soon after its start a lost session may be started afresh:
// without that the library waits 5 s (its idle hold time) before it tries.
const again = 2 * time.Second

// session is one neighbor's: a speaker with a table of its own. Each neighbor
// hears exactly what is in its table, so that what differs between neighbors
// needs no policy, a change for one sends nothing to another, and no route can
// pass from one to another.
type session struct {
	cfg     *Config
	n       *Neighbor
	key     string
	log     *slog.Logger
	changed func() // tells watchers; must not be called with mu held

	server    *server.BgpServer
	installed map[netip.Prefix]Announcement // in the speaker's table; guarded by Speaker.mu

	// Only start and poll touch these.
	started time.Time // of the peer
	peered  bool      // the speaker has the neighbor
	resume  time.Time // end of the pause after too many routes

	mu      sync.Mutex
	wanted  map[netip.Prefix]Announcement
	sent    map[netip.Prefix]Announcement
	state   NeighborState // without Wanted and Sent
	restart bool          // the session was lost: start it afresh
	over    bool          // the neighbor sent too much
	dialed  time.Time     // when an attempt was connected; zero: none is
	noted   bool          // a NOTIFICATION said why this session, or attempt, ends
	told    string        // the last error that was logged
}

func newSession(cfg *Config, n *Neighbor, key string, log *slog.Logger, changed func()) *session {
	return &session{
		cfg: cfg, n: n, key: key, changed: changed,
		log:       log.With("neighbor", n.Address, "asn", n.ASN),
		installed: map[netip.Prefix]Announcement{},
		wanted:    map[netip.Prefix]Announcement{},
		sent:      map[netip.Prefix]Announcement{},
		state:     NeighborState{Address: n.Address, ASN: n.ASN},
	}
}

// want sets what the neighbor is to hear; apply brings it there.
func (s *session) want(wanted map[netip.Prefix]Announcement) {
	s.mu.Lock()
	s.wanted = wanted
	s.mu.Unlock()
}

// apply makes the speaker's table what is wanted, additions first.
func (s *session) apply() error {
	s.mu.Lock()
	wanted := s.wanted
	s.mu.Unlock()
	return s.install(wanted)
}

// moved is told of each change of the state, after all that the old one sent.
func (s *session) moved(to State, reason string) {
	s.mu.Lock()
	from := s.state.State
	s.state.State, s.state.Since = to, time.Now()
	s.dialed = time.Time{}
	if to != Established {
		clear(s.sent)
		s.state.Received = 0
	}
	switch {
	case to == Established:
		s.told, s.restart = "", false
		s.log.Info("bgp session established")
	case from == Established:
		s.state.Losses++
		s.restart = !s.over
		if !s.noted {
			s.state.LastError, s.state.ErrorAt = lost(from, reason), time.Now()
		}
		s.log.Warn("bgp session lost", "error", s.state.LastError)
		s.told = s.state.LastError
	case to == Idle && from >= OpenSent && !s.noted:
		s.mu.Unlock()
		s.failed(lost(from, reason), false)
		return
	}
	s.noted = false
	s.mu.Unlock()
	s.changed()
}

// failed is told why there is no session, or will not be one in a moment, and
// whether a NOTIFICATION said so.
func (s *session) failed(why string, noted bool) {
	s.mu.Lock()
	s.noted = noted
	up := s.state.State == Established
	if !up {
		s.state.Failures++
	}
	s.state.LastError, s.state.ErrorAt = why, time.Now()
	tell := !up && why != s.told
	if tell {
		s.told = why
	}
	s.mu.Unlock()
	if tell {
		s.log.Warn("no bgp session", "error", why)
	}
	s.changed()
}

// connected is told that the neighbor took a connection; its OPEN is to follow.
func (s *session) connected() {
	s.mu.Lock()
	s.dialed = time.Now()
	s.mu.Unlock()
}

// limited is told that the neighbor sent more than MaxReceived.
func (s *session) limited() {
	s.mu.Lock()
	if !s.over {
		s.over = true
		s.state.Limited++
	}
	s.mu.Unlock()
}

func (s *session) wrote(announced []Announcement, withdrawn []netip.Prefix) {
	s.mu.Lock()
	s.state.Updates++
	for _, a := range announced {
		s.sent[a.Prefix] = a
	}
	for _, p := range withdrawn {
		delete(s.sent, p)
	}
	s.mu.Unlock()
	s.changed()
}

func (s *session) snapshot() NeighborState {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.state
	n.Wanted, n.Sent = sorted(s.wanted), sorted(s.sent)
	return n
}

// poll does what is due each second: counts what was received, starts a lost
// session afresh, and lets a neighbor that sent too much try again.
func (s *session) poll(ctx context.Context, now time.Time) error {
	s.mu.Lock()
	up, restart, over := s.state.State == Established, s.restart, s.over
	// The library waits four minutes for an OPEN (RFC 4271, section 8.2.2), and
	// for ever for the KEEPALIVE after it.
	begun := s.dialed
	if s.state.State == OpenSent || s.state.State == OpenConfirm {
		begun = s.state.Since
	}
	silent := !begun.IsZero() && now.Sub(begun) > s.cfg.Hold
	s.mu.Unlock()
	if silent {
		s.failed(unanswered, false)
		restart = true
	}
	if up {
		received := 0
		for _, f := range s.families() {
			t, err := s.server.GetTable(ctx, &api.GetTableRequest{TableType: api.TableType_TABLE_TYPE_ADJ_IN, Family: f, Name: s.n.Address.String()})
			if err == nil {
				received += int(t.NumPath)
			}
		}
		s.mu.Lock()
		s.state.Received = received
		s.mu.Unlock()
		return nil
	}
	switch {
	case over && s.resume.IsZero():
		s.resume = now.Add(s.cfg.LimitPause)
		return nil
	case over && now.Before(s.resume):
		return nil
	case !over && (!restart || now.Sub(s.started) < again):
		return nil
	}
	s.mu.Lock()
	if s.state.State == Established { // just now, after all
		s.mu.Unlock()
		return nil
	}
	s.restart, s.over, s.dialed = false, false, time.Time{}
	s.state.State, s.state.Since = Idle, now // the library does not tell of the one that is deleted
	s.mu.Unlock()
	s.resume = time.Time{}
	err := s.startAgain(ctx)
	if err != nil { // the next poll tries once more
		s.mu.Lock()
		s.restart = true
		s.mu.Unlock()
	}
	return err
}

// withdraw takes all routes back, waits until the neighbor was told or ctx
// ends, and ends the session with a Cease.
func (s *session) withdraw(ctx context.Context, await func(context.Context, func() bool) error) {
	told := func() bool { n := s.snapshot(); return n.State != Established || len(n.Sent) == 0 }
	if err := s.install(nil); err != nil {
		s.log.Warn("bgp routes not withdrawn", "error", err)
	} else if err := await(ctx, told); err != nil {
		s.log.Warn("bgp routes not withdrawn", "error", err)
	}
	err := s.server.DisablePeer(ctx, &api.DisablePeerRequest{Address: s.n.Address.String(), Communication: s.cfg.ShutdownText})
	if err == nil {
		err = await(ctx, func() bool { return s.snapshot().State != Established })
	}
	if err != nil {
		s.log.Warn("bgp session not shut down", "error", err)
	}
	stopped := make(chan struct{})
	go func() { s.server.Stop(); close(stopped) }()
	select {
	case <-stopped:
	case <-ctx.Done():
	}
}
