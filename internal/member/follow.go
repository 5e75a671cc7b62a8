package member

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"time"

	"catchment/internal/announce"
	"catchment/internal/bgp"
	"catchment/internal/edge"
)

// follow makes the plan of the moment the agent's and the speaker's.
func (m *Member) follow() error {
	next := m.plan.Load()
	switch {
	case next == nil:
		return nil
	case m.agent == nil:
		return m.begin(next)
	}
	if !reflect.DeepEqual(next.agent, m.now.agent) {
		if err := m.agent.SetConfig(next.agent); err != nil { // newPlan has seen to that
			return fmt.Errorf("member: %w", err)
		}
	}
	m.changed = m.changed || !reflect.DeepEqual(next.speaker, m.now.speaker)
	m.now, m.dirty = next, true
	return nil
}

// begin is called with the first plan there is.
func (m *Member) begin(p *plan) error {
	text, err := m.out.Saved()
	if err != nil {
		m.log.Error("the state of an earlier life is not used", "error", err)
	}
	var saved saved
	if len(text) > 0 {
		if saved, err = readSaved(text); err == nil {
			m.agent, err = announce.New(p.agent, saved.Agent, m.out.Now())
		}
		if err != nil {
			m.log.Error("the state of an earlier life is not used", "error", err)
			m.agent, saved.Followed = nil, time.Time{}
		}
	}
	if m.agent == nil {
		if m.agent, err = announce.New(p.agent, nil, m.out.Now()); err != nil {
			return fmt.Errorf("member: %w", err)
		}
	}
	if m.speaker, err = m.out.NewSpeaker(p.speaker); err != nil {
		return fmt.Errorf("member: %w", err)
	}
	m.followed, m.open, m.now, m.dirty = saved.Followed, -1, p, true
	if err := m.setAddresses(p.addrs); err != nil { // now, while somebody looks
		return err
	}
	reach := announce.Reach("")
	if m.out.Control == nil {
		reach = announce.Unreachable
	}
	m.step(announce.Input{Control: reach}) // what sessions begin with
	ctx, stop := context.WithCancel(context.Background())
	m.stop, m.speaking = stop, make(chan error, 1)
	go func() { m.speaking <- m.speaker.Run(ctx) }()
	return nil
}

// leave ends the speaker, which takes the routes back or not, as configured.
// Addresses stay: connections that were open have yet to finish.
func (m *Member) leave() error {
	if m.speaking == nil {
		return nil
	}
	m.note("state not saved", m.save())
	m.stop()
	return <-m.speaking
}

// orderOf is what a drain in the snapshot, or that there is none, asks for
// beyond what was followed before. It is asked for once, so that what was
// ordered at the PoP since then stands.
func (m *Member) orderOf(d *edge.Drain) *announce.Order {
	switch {
	case d != nil && !since(d).Equal(m.followed):
		m.followed = since(d)
		why := cmp.Or(d.Why, "no reason given")
		if d.By != "" {
			why += ", " + d.By
		}
		return &announce.Order{Do: announce.DoDrain, Why: why, Grace: d.Grace}
	case d == nil && !m.followed.IsZero():
		m.followed = time.Time{}
		if p := m.last.Drain; p != nil && slices.Contains(goingOut, p.Phase) {
			return &announce.Order{Do: announce.DoRestore, Why: "the drain was ended"}
		}
	}
	return nil
}

var goingOut = []announce.Phase{
	announce.DNSOut, announce.TTL, announce.Connections, announce.Shutdown, announce.Settle, announce.Withdrawn, announce.Drained,
}

// since tells one drain from the next.
func since(d *edge.Drain) time.Time {
	if d.Since.IsZero() {
		return time.Unix(1, 0).UTC()
	}
	return d.Since.UTC()
}

// seen is what there is to observe around the PoP.
func (m *Member) seen(now time.Time) *announce.Seen {
	s := &announce.Seen{Version: m.handed, Connections: -1, Traffic: -1}
	for _, n := range m.speaker.Neighbors() {
		if n.State == bgp.Established && len(n.Diff()) > 0 {
			s.Unsynced = append(s.Unsynced, n.Address.String())
		}
	}
	if load, ok := m.out.Load(); ok {
		s.Traffic = load
	}
	if m.last.Drain != nil {
		if now.Sub(m.openAt) >= look { // to count them is work
			m.open, m.openAt = m.out.Connections(), now
		}
		s.Connections = m.open
	}
	if m.dns != nil && now.Sub(m.dnsAt) < stale {
		s.DNS = m.dns
	}
	return s
}

// heard takes what the control node answered.
func (m *Member) heard(r reply) announce.Input {
	m.note("announcements not reported", r.err)
	if r.err != nil {
		return announce.Input{Control: announce.Unreachable}
	}
	in := announce.Input{Control: announce.Reachable, Answers: r.Answers}
	if r.DNS != nil && r.sent.After(m.ordered) {
		m.dns, m.dnsAt = r.DNS, m.out.Now()
	}
	if s, d := r.Skip, m.last.Drain; s != nil && d != nil && d.Phase == s.Phase {
		in.Order = &announce.Order{Do: announce.DoSkip, Why: s.Why}
	}
	return in
}

// report hands statuses to the control node until ctx is done.
func (m *Member) report(ctx context.Context, statuses <-chan *announce.Status) {
	for {
		select {
		case <-ctx.Done():
			return
		case s := <-statuses:
			if m.out.Control == nil {
				continue
			}
			r := m.call(ctx, s)
			select {
			case m.replies <- r:
			case <-ctx.Done():
				return
			}
		}
	}
}

// A report that is lost is sent again, all within the time that a PoP waits for
// a permission: one packet is not to decide how a VIP is announced.
const (
	tries    = 4
	tryAgain = 400 * time.Millisecond
)

func (m *Member) call(ctx context.Context, s *announce.Status) reply {
	r := reply{sent: s.Report.Sent}
	for n := range tries {
		if n > 0 {
			select {
			case <-time.After(tryAgain):
			case <-ctx.Done():
			}
		}
		r.Reply = announce.Reply{}
		if r.err = m.out.Control.Call(ctx, http.MethodPost, "/v1/announce", s, &r.Reply); r.err == nil || ctx.Err() != nil {
			break
		}
	}
	return r
}

// publish makes the status of the moment.
func (m *Member) publish(now time.Time) {
	s := &announce.Status{
		Report: m.last.Report, Drain: m.last.Drain, Wanted: m.last.Wanted, Events: slices.Clone(m.events),
		Connections: -1, Traffic: -1, Neighbors: []announce.Neighbor{},
	}
	if m.last.Drain != nil {
		s.Connections = m.open
	}
	if load, ok := m.out.Load(); ok {
		s.Traffic = load
	}
	for _, n := range m.speaker.Neighbors() {
		told := announce.Neighbor{
			Address: n.Address, ASN: n.ASN, State: n.State.String(), Since: n.Since.UTC(), Error: n.LastError, Received: n.Received,
			Sent: []announce.Sent{}, Unsynced: n.Diff(),
		}
		if n.State != bgp.Established {
			told.Unsynced = nil
		}
		for _, a := range n.Sent {
			told.Sent = append(told.Sent, announce.Sent{Prefix: a.Prefix, GracefulShutdown: a.GracefulShutdown(), Prepend: a.Prepend})
		}
		s.Neighbors = append(s.Neighbors, told)
	}
	m.status.Store(s)
}
