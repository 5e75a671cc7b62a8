package resets

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"catchment/internal/edge"
)

// control is a control node that keeps what it was handed.
type control struct {
	fails  bool
	answer edge.ResetsAnswer
	got    []edge.Resets
}

func (c *control) Call(_ context.Context, method, path string, body, answer any) error {
	if method != "POST" || path != "/v1/resets" {
		return errors.New(method + " " + path)
	}
	c.got = append(c.got, *body.(*edge.Resets))
	if c.fails {
		return errors.New("away")
	}
	*answer.(*edge.ResetsAnswer) = c.answer
	return nil
}

// connections are those that are open.
type connections []flow

func (c connections) Close() error { return nil }
func (c connections) each(use func(f flow, unheard bool)) error {
	for i, f := range c {
		use(f, i == 0)
	}
	return nil
}

func testShipper(t *testing.T, to Poster) (*shipper, *prometheus.Registry) {
	t.Helper()
	reg := prometheus.NewRegistry()
	w, err := New(Config{PoP: "iad"}, to, slog.New(slog.DiscardHandler), reg)
	if err != nil {
		t.Fatal(err)
	}
	return newShipper(w, testTally(t)), reg
}

// What cannot be handed in is handed in again, the very same, and is given up
// at last; what happens meanwhile is counted.
func TestShipAgain(t *testing.T) {
	to := &control{fails: true}
	s, _ := testShipper(t, to)
	now := begin.Add(time.Hour)
	s.tally.add(reset("203.0.113.7:1", 443), now)
	for range mostTries {
		s.ship(t.Context())
	}
	s.tally.add(reset("203.0.113.7:2", 443), now)
	s.tally.add(reset("203.0.113.7:3", 443), now)
	to.fails = false
	s.ship(t.Context())
	for i, b := range to.got[:mostTries] {
		if b.Seq != 1 || b.Run == "" || b.PoP != "iad" || len(b.Resets) != 1 || b.Resets[0].Count != 1 {
			t.Fatalf("try %d: %+v", i, b)
		}
	}
	if b := to.got[mostTries]; b.Seq != 2 || b.Run != to.got[0].Run || b.Resets[0].Count != 2 || b.Overflow != 1 {
		t.Errorf("then: %+v; want the other two, and the one that was given up as overflow", b)
	}
}

// A PoP that is asked for connections says which it has, in the next batch.
func TestShipAnswers(t *testing.T) {
	today := edge.DayOf(time.Now())
	key := edge.FlowBits{7}
	here, unknown := reset("203.0.113.7:1", 443).flow, reset("203.0.113.7:2", 443).flow
	other, six := reset("203.0.113.8:1", 443).flow, reset("[2001:db8:c::7]:1", 443).flow
	mine := flow{here.client, netip.MustParseAddrPort("192.0.2.1:443")} // not over a VIP
	to := &control{answer: edge.ResetsAnswer{
		Keys: []edge.FlowKey{{Day: today, Key: key}},
		Ask: []edge.AskFlows{
			{Day: today, Flows: []edge.FlowHash{here.hash(key), unknown.hash(key), six.hash(key), mine.hash(key)}},
			{Day: today - 1, Flows: []edge.FlowHash{other.hash(key)}}, // of a key that is not known
		},
	}}
	s, reg := testShipper(t, to)
	s.lister = connections{here, other, six, mine}
	s.ship(t.Context())
	to.answer.Ask = nil
	s.ship(t.Context())
	s.ship(t.Context())
	want := []edge.OpenFlow{
		{Flow: here.hash(key), Key: today, VIP: "global", Client: netip.MustParsePrefix("203.0.113.0/24"), Unheard: true},
		{Flow: six.hash(key), Key: today, VIP: "global", Client: netip.MustParsePrefix("2001:db8:c::/48")},
	}
	if got := to.got[1].Open; len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("open: %+v\nwant  %+v", got, want)
	}
	if len(to.got[0].Open) != 0 || len(to.got[2].Open) != 0 {
		t.Error("answers come more than once")
	}
	metric := "# HELP catchment_resets_open_total Connections that were reset at another PoP and were found open here.\n# TYPE catchment_resets_open_total counter\ncatchment_resets_open_total 2\n"
	if err := testutil.GatherAndCompare(reg, strings.NewReader(metric), "catchment_resets_open_total"); err != nil {
		t.Error(err)
	}
}

func TestConfig(t *testing.T) {
	for want, cfg := range map[string]Config{
		`resets: "" is no PoP`:                 {},
		`resets: method "magic"`:               {PoP: "iad", Method: "magic"},
		`resets: Every is -1s`:                 {PoP: "iad", Every: -time.Second},
		`resets: KeepV4 is 32 (want 8 to 24)`:  {PoP: "iad", KeepV4: 32},
		`resets: KeepV6 is 64 (want 16 to 48)`: {PoP: "iad", KeepV6: 64},
	} {
		if _, err := New(cfg, nil, nil, nil); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v; want %s", err, want)
		}
	}
}
