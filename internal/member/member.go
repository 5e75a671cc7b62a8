// Package member makes a PoP a member of the anycast catchments of its VIPs
// for exactly as long as it can serve. It carries out what package announce
// decides: results of checks and orders go in, routes, addresses and reports
// come out. docs/announce.md has the rules.
package member

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"reflect"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"catchment/internal/announce"
	"catchment/internal/bgp"
	"catchment/internal/edge"
)

// Speaker announces routes; *bgp.Speaker does.
type Speaker interface {
	Set(routes []bgp.Route) error
	WithdrawAll() error
	SetConfig(cfg bgp.Config) error
	Neighbors() []bgp.NeighborState
	Run(ctx context.Context) error
}

// Addresses puts VIPs' addresses on an interface and takes away again those
// that it put there.
type Addresses interface {
	Set(want []netip.Addr) error
}

// Caller talks to the control node.
type Caller interface {
	Call(ctx context.Context, method, path string, body, answer any) error
}

var errEnded = errors.New("nobody asked it to")

// Outside is what the rest of the machine has to do with it.
type Outside struct {
	NewSpeaker  func(bgp.Config) (Speaker, error)
	Addresses   Addresses // nil: somebody else's business
	Control     Caller    // nil: there is no control node
	Drain       func(closing bool)
	Connections func() int               // that are open over VIPs; -1: not known
	Load        func() (float64, bool)   // requests/s
	Now         func() time.Time         // nil: time.Now
	Save        func(state []byte) error // nil: a file in Config.Dir
	Saved       func() ([]byte, error)   // likewise
}

const (
	defaultEvery = 3 * time.Second
	look         = time.Second // how often things are looked at while a drain is under way
	// stale is how old the control node's word on name servers may be.
	stale = 10 * time.Second
)

// Member is one PoP's membership. SetSnapshot comes before Run.
type Member struct {
	cfg     Config
	out     Outside
	log     *slog.Logger
	metrics *metrics

	plan    atomic.Pointer[plan] // nil: no speaker
	planned chan struct{}        // plan was replaced
	results chan announce.Result
	orders  chan order
	replies chan reply
	status  atomic.Pointer[announce.Status]
	stepped atomic.Int64 // Unix ns of the last step

	state // the loop's own
}

// state is touched by Run's goroutine alone.
type state struct {
	now      *plan // that the agent and the speaker have
	agent    *announce.Agent
	speaker  Speaker
	speaking chan error // of the speaker's Run; nil: it does not run
	last     announce.Output
	stop     context.CancelFunc  // ends the speaker
	handed   uint64              // Output.Version of the last successful Set
	dirty    bool                // the speaker has to be told all again
	changed  bool                // and of other neighbors or prefixes, first
	placed   []netip.Addr        // on the interface
	ready    map[edge.VIPID]bool // VIPs whose addresses are
	trim     bool                // and more than there should be, perhaps
	except   edge.Announcement   // that the speaker was told
	events   []announce.Event
	followed time.Time // Since of the drain that was last followed; zero: none
	dns      *announce.DNSSeen
	dnsAt    time.Time
	ordered  time.Time // Report.Sent up to which replies say nothing of name servers
	open     int       // connections; -1: not known
	openAt   time.Time
	closing  bool
	failing  map[string]bool // what is logged only when it begins
}

// order is one that was given at the PoP.
type order struct {
	announce.Order
	refused chan string
}

// reply is the control node's.
type reply struct {
	announce.Reply
	sent time.Time // Report.Sent
	err  error
}

// New returns a member. Errors are of metrics.
func New(cfg Config, out Outside, log *slog.Logger, reg prometheus.Registerer) (*Member, error) {
	if cfg.Every <= 0 {
		cfg.Every = defaultEvery
	}
	if out.Now == nil {
		out.Now = time.Now
	}
	if out.Save == nil {
		file := stateFile(cfg.Dir)
		out.Save, out.Saved = file.write, file.read
	}
	m := &Member{
		cfg: cfg, out: out, log: log,
		planned: make(chan struct{}, 1), results: make(chan announce.Result, 256), orders: make(chan order), replies: make(chan reply),
	}
	m.failing = map[string]bool{}
	var err error
	if m.metrics, err = newMetrics(m, reg); err != nil {
		return nil, fmt.Errorf("member: %w", err)
	}
	return m, nil
}

// SetSnapshot replaces what the PoP is asked to do. On an error, which says
// what in s it cannot, the former stays. What is announced and stays so is not
// touched.
func (m *Member) SetSnapshot(s *edge.Snapshot) error {
	p, err := newPlan(&m.cfg, s)
	if err != nil {
		return err
	}
	if p == nil && m.plan.Load() != nil {
		return fmt.Errorf("member: %s has no bgp any more: drain the PoP and stop its agent first", m.cfg.PoP)
	}
	m.plan.Store(p)
	select {
	case m.planned <- struct{}{}:
	default:
	}
	return nil
}

// Result takes one result of a check; nil is a success. Safe for concurrent
// use; it waits while the member is busy.
func (m *Member) Result(ctx context.Context, check string, err error) {
	r := announce.Result{Check: check, OK: err == nil}
	if err != nil {
		r.Why = err.Error()
	}
	select {
	case m.results <- r:
	case <-ctx.Done():
	}
}

// Alive reports whether the member has done anything of late: a watchdog's
// question.
func (m *Member) Alive() bool {
	at := m.stepped.Load()
	return at == 0 || m.out.Now().Sub(time.Unix(0, at)) < 3*m.cfg.Every
}

// Run announces until ctx is done, then ends as Config.OnExit says.
func (m *Member) Run(ctx context.Context) error {
	reports := make(chan *announce.Status, 1)
	reporting := make(chan struct{})
	sub, stop := context.WithCancel(ctx)
	go func() {
		defer close(reporting)
		m.report(sub, reports)
	}()
	defer func() { stop(); <-reporting }()

	m.stepped.Store(m.out.Now().UnixNano())
	every := time.NewTicker(m.cfg.Every)
	defer every.Stop()
	looks := time.NewTicker(look)
	defer looks.Stop()
	due := time.NewTimer(time.Hour)
	defer due.Stop()
	for {
		var in announce.Input
		var answer chan<- string
		tell := false
		select {
		case <-ctx.Done():
			return m.leave()
		case err := <-m.speaking:
			m.speaking = nil
			return fmt.Errorf("member: the speaker ended: %w", cmp.Or(err, errEnded))
		case <-m.planned:
			if err := m.follow(); err != nil {
				return err
			}
		case r := <-m.results:
			in.Results = append(in.Results, r)
			for len(m.results) > 0 {
				in.Results = append(in.Results, <-m.results)
			}
		case o := <-m.orders:
			in.Order, answer = &o.Order, o.refused
		case r := <-m.replies:
			in = m.heard(r)
		case <-looks.C:
			if m.agent != nil && m.last.Drain == nil && !m.dirty && !m.trim {
				continue
			}
		case <-every.C:
			tell = true
			if m.agent != nil && m.out.Addresses != nil { // somebody may have taken one away
				m.note(addressesFail, m.out.Addresses.Set(m.placed))
			}
		case <-due.C:
		}
		if m.agent == nil {
			m.stepped.Store(m.out.Now().UnixNano())
			if answer != nil {
				answer <- "the PoP does not speak BGP"
			}
			continue
		}
		if in.Order == nil {
			in.Order = m.orderOf(m.now.drain)
		}
		next := m.step(in)
		if answer != nil {
			answer <- m.last.Refused
		}
		if tell || m.last.Ask {
			replace(reports, m.status.Load())
		}
		due.Reset(next)
	}
}

// replace puts s into a channel of one in place of what is there.
func replace(c chan *announce.Status, s *announce.Status) {
	select {
	case <-c:
	default:
	}
	c <- s
}

// step lets the agent take a step and does what comes of it. It returns how
// soon the next one is due.
func (m *Member) step(in announce.Input) time.Duration {
	now := m.out.Now()
	in.Seen = m.seen(now)
	if in.Order != nil {
		m.dns = nil
		in.Seen.DNS = nil
	}
	m.last = m.agent.Step(now, in)
	if in.Order != nil {
		m.ordered = m.last.Report.Sent
	}
	if m.last.Save {
		m.note("state not saved", m.save())
	}
	for _, e := range m.last.Events {
		m.tell(e)
	}
	if m.last.Refused != "" && in.Order != nil {
		m.log.Warn("order not followed", "order", string(in.Order.Do), "why", m.last.Refused)
	}
	if m.dirty || m.handed != m.last.Version {
		m.announce()
	}
	if m.trim && len(in.Seen.Unsynced) == 0 && in.Seen.Version == m.last.Version {
		m.trim = m.setAddresses(m.now.addrs) != nil
	}
	if m.closing != m.last.Closing {
		m.closing = m.last.Closing
		m.out.Drain(m.closing)
	}
	m.publish(now)
	m.stepped.Store(now.UnixNano())
	if m.last.Due.IsZero() {
		return time.Hour
	}
	return max(time.Millisecond, m.last.Due.Sub(now))
}

// announce hands what is wanted to the neighbors: the addresses first, so that
// nobody is brought here in vain; a VIP whose addresses could not be set is not
// announced anew. Addresses of VIPs that are gone stay until the neighbors have
// been told.
func (m *Member) announce() {
	if m.changed {
		err := m.speaker.SetConfig(m.now.speaker)
		m.note("neighbors not changed", err)
		m.changed = err != nil
	}
	notPlaced := m.setAddresses(append(slices.Clone(m.now.addrs), m.leaving()...))
	if notPlaced == nil {
		m.ready = map[edge.VIPID]bool{}
		for _, v := range m.now.agent.VIPs {
			m.ready[v.ID] = true
		}
	}
	routes, withheld, err := m.now.routes(m.last.Wanted, m.ready)
	switch {
	case err != nil: // what is announced stays
	case len(routes) == 0:
		err = m.speaker.WithdrawAll()
	default:
		err = m.speaker.Set(routes)
	}
	m.note("routes not handed to the neighbors", err)
	m.dirty = err != nil || notPlaced != nil || m.changed // the next look tries again
	if err != nil {
		return
	}
	m.handed, m.trim = m.last.Version, true
	if x := m.now.except; !reflect.DeepEqual(m.except, x) {
		m.except = x
		m.log.Info("exceptions to what is announced", "withheld", withheld, "prepend", x.Prepend, "why", x.Why)
	}
}

// leaving are the addresses on the interface whose VIPs are gone.
func (m *Member) leaving() []netip.Addr {
	return slices.DeleteFunc(slices.Clone(m.placed), func(a netip.Addr) bool { return slices.Contains(m.now.addrs, a) })
}

func (m *Member) setAddresses(want []netip.Addr) error {
	if m.out.Addresses == nil || m.placed != nil && slices.Equal(want, m.placed) && !m.failing[addressesFail] {
		return nil
	}
	err := m.out.Addresses.Set(want)
	m.note(addressesFail, err)
	m.placed = want
	return err
}

const addressesFail = "addresses of VIPs not set"

// tell logs an event and keeps it for those who ask.
func (m *Member) tell(e announce.Event) {
	level := slog.LevelInfo
	if e.Loud {
		level = slog.LevelError
	}
	m.log.Log(context.Background(), level, "announcements", "vip", string(e.VIP), "event", e.Text)
	m.events = append(m.events, e)
	if n := len(m.events); n > announce.MaxEvents {
		m.events = slices.Delete(m.events, 0, n-announce.MaxEvents)
	}
}

// note logs what begins to fail, and that it is well again.
func (m *Member) note(what string, err error) {
	switch {
	case err != nil && !m.failing[what]:
		m.log.Error(what, "error", err)
	case err == nil && m.failing[what]:
		m.log.Info("well again", "after", what)
	}
	m.failing[what] = err != nil
	if err != nil {
		m.metrics.failures.WithLabelValues(what).Inc()
	}
}
