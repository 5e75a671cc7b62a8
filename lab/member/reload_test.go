package member_test

import (
	"encoding/json"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"catchment/internal/announce"
	"catchment/internal/edge"
	"catchment/internal/fleet"
)

// TestReload: a fleet file that is read again changes what it changes, and
// nothing else: sessions stay up, and routes do not flap.
func TestReload(t *testing.T) {
	t.Parallel()
	s := newSite(t, 2)
	r0, r1 := s.routers[0], s.routers[1]
	const second4, secondAddr = "203.0.113.128/25", "203.0.113.129"
	s.write("fleet.yaml", world{routers: 1}.file())
	s.service.is(well)
	p := s.start()
	r0.hears(vip4, "community", "BGP.as_path: 64500\n")
	r0.hears(vip6, "community", "BGP.as_path: 64500\n")
	p.established()
	before, err := p.status()
	if err != nil {
		t.Fatal(err)
	}
	at := time.Now()

	// A check decides otherwise, a router is new, a VIP is.
	s.write("fleet.yaml", world{
		routers: 2, rise: 3, vips: "  - {id: second, addresses: [" + secondAddr + "], prefixes: [" + second4 + "]}",
	}.file())
	p.hangup()
	r0.there(second4, at)
	if _, ok := s.addresses()[secondAddr+"/32"]; !ok {
		t.Errorf("a new VIP is announced, and not on lo: %v", s.addresses())
	}

	r0.hears(second4, "community", "BGP.as_path: 64500\n")
	for _, prefix := range []string{vip4, vip6, second4} {
		r1.hears(prefix, "community", "BGP.as_path: 64500\n")
	}

	// Nonsense is refused: a file that is empty, one that does not have us, and
	// the default route.
	for _, nonsense := range []string{"", "zone: edge.example\npops: [{id: fra, place: {country: DE, lat: 50.03, lon: 8.57}}]\n", world{routers: 2, vips: "  - {id: all, addresses: [192.0.2.77], prefixes: [0.0.0.0/0]}"}.file()} {
		refused := p.count("level=ERROR")
		s.write("fleet.yaml", nonsense)
		p.hangup()
		eventually(t, "a refusal in the log", func() (string, bool) { return p.log.String(), p.count("level=ERROR") > refused })
	}

	// The router goes again, and so does the VIP.
	s.write("fleet.yaml", world{routers: 1}.file())
	p.hangup()
	r1.hearsNothing(vip4)
	r0.hearsNothing(second4)
	p.until("two neighbors", func(st announce.Status) bool { return len(st.Neighbors) == 2 })

	after, err := p.status()
	if err != nil {
		t.Fatal(err)
	}
	for i, n := range after.Neighbors {
		if b := before.Neighbors[i]; n.Address != b.Address || !n.Since.Equal(b.Since) || n.State != "established" {
			t.Errorf("the session with %v began anew: %v %v, was %v", n.Address, n.State, n.Since, b.Since)
		}
	}
	for _, prefix := range []string{vip4, vip6, own4} {
		if changes := r0.changes(prefix, at); len(changes) > 0 {
			t.Errorf("%s flapped: %v", prefix, changes)
		}
	}
}

// TestSnapshot: orders that come with the snapshot are followed, and end with
// it.
func TestSnapshot(t *testing.T) {
	t.Parallel()
	s := newSite(t, 2)
	r0, r1 := s.routers[0], s.routers[1]
	world, err := fleet.Load(s.write("fleet.yaml", world{
		routers: 2, vips: `  - {id: second, addresses: [203.0.113.129], prefixes: [203.0.113.128/25]}`,
	}.file()))
	if err != nil {
		t.Fatal(err)
	}
	snapshot := edge.Snapshot{Fleet: world, Made: time.Now()}
	publish := func(edit func(*edge.Snapshot)) time.Time {
		t.Helper()
		snapshot.Version++
		next := snapshot
		edit(&next)
		text, err := json.Marshal(next)
		if err != nil {
			t.Fatal(err)
		}
		s.write("snapshot.json", string(text))
		return time.Now()
	}
	const second4 = "203.0.113.128/25"
	nothing := func(*edge.Snapshot) {}
	publish(nothing)
	s.service.is(well)
	p := s.startWith(nil, "--snapshot", filepath.Join(s.dir, "snapshot.json"))
	for _, r := range s.routers {
		r.hears(vip4, "community", "BGP.as_path: 64500\n")
		r.hears(second4, "community", "BGP.as_path: 64500\n")
	}

	// Coarse shedding: one VIP less, and a longer path to one router.
	at := publish(func(n *edge.Snapshot) {
		n.Announcements = []edge.Announcement{
			{PoP: "lax", Withdraw: []edge.VIPID{"global"}},
			{PoP: "iad", Withdraw: []edge.VIPID{"second"}, Prepend: map[string]int{routerAddr(1): 2}, By: "alice", Why: "hot"},
		}
	})
	p.hangup()
	r0.gone(second4, at)
	r1.gone(second4, at)
	r1.hears(vip4, "community", "BGP.as_path: 64500 64500 64500\n")
	r1.hears(vip6, "community", "BGP.as_path: 64500\n") // another session
	if changes := r0.changes(vip4, at); len(changes) > 0 {
		t.Errorf("r0 was told more than it should: %v", changes)
	}
	at = publish(nothing)
	p.hangup()
	r0.there(second4, at)
	r1.there(second4, at)
	r1.hears(vip4, "community", "BGP.as_path: 64500\n")

	// A drain. What name servers do is not known without a control node, so the
	// first phase is skipped by hand.
	at = publish(func(n *edge.Snapshot) { n.Drains = []edge.Drain{{PoP: "iad", Why: "power work"}} })
	p.hangup()
	p.phase(announce.DNSOut)
	p.order("skip", "no name servers here")
	r0.gone(vip4, at)
	p.phase(announce.Drained)
	// It is the same drain after a restart.
	p.kill()
	p = s.startWith(nil, "--snapshot", filepath.Join(s.dir, "snapshot.json"))
	p.established()
	p.phase(announce.Drained)

	at = publish(nothing)
	p.hangup()
	r0.there(vip4, at)
	p.phase(announce.DNSIn)
	p.order("skip", "no name servers here")
	p.phase("")

	// One that is aborted at the PoP stays so, over a restart too, although the
	// snapshot has it still.
	publish(func(n *edge.Snapshot) { n.Drains = []edge.Drain{{PoP: "iad", Since: time.Now(), Why: "again"}} })
	p.hangup()
	p.phase(announce.DNSOut)
	p.order("abort", "not now")
	p.kill()
	p = s.startWith(nil, "--snapshot", filepath.Join(s.dir, "snapshot.json"))
	p.established()
	p.phase("")

	// One that ended while the PoP was away has ended.
	publish(func(n *edge.Snapshot) { n.Drains = []edge.Drain{{PoP: "iad", Since: time.Now(), Why: "once more"}} })
	p.hangup()
	p.phase(announce.DNSOut)
	p.kill()
	publish(nothing)
	p = s.startWith(nil, "--snapshot", filepath.Join(s.dir, "snapshot.json"))
	p.established()
	p.phase(announce.DNSIn)
	p.order("skip", "no name servers here")
	p.phase("")

	// A drain that was ordered at the PoP is not ended by a snapshot that has
	// none.
	p.order("drain", "at the PoP")
	p.phase(announce.Drained)
	publish(func(n *edge.Snapshot) {
		n.Weights = []edge.Weight{{Service: "www.edge.example", PoP: "iad", Weight: 1}}
	})
	version := p.count("msg=\"steering reloaded\"")
	p.hangup()
	eventually(t, "a snapshot taken", func() (string, bool) {
		return p.log.String(), p.count("msg=\"steering reloaded\"") > version
	})
	if st, err := p.status(); err != nil || phaseOf(st) != announce.Drained {
		t.Errorf("the drain has ended: %v %v", phaseOf(st), err)
	}
	if w := wanted(p.until("a status", func(announce.Status) bool { return true }), netip.MustParsePrefix(vip4).String()); w.Announced {
		t.Errorf("announced: %+v", w)
	}
}
