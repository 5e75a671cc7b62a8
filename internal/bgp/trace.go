package bgp

import (
	"context"
	"log/slog"
	"strings"

	"github.com/osrg/gobgp/v4/pkg/packet/bgp"
)

// trace is where a session's speaker logs to. The library keeps no table of
// what it told a neighbor (its adj-RIB-out is what it would tell it now), and
// its events leave out failed connections and what an OPEN was refused for. Its
// log has all of these as values, in order: an UPDATE is logged once it is
// written to the connection. The tests hold the library to that.
type trace struct{ s *session }

func (t trace) Enabled(context.Context, slog.Level) bool { return true }
func (t trace) WithAttrs([]slog.Attr) slog.Handler       { return t }
func (t trace) WithGroup(string) slog.Handler            { return t }

// Handle is called by the library's goroutines, some of which hold its locks:
// it must not call the library.
func (t trace) Handle(_ context.Context, r slog.Record) error {
	switch r.Message {
	case "sent update":
		var reach, gone []bgp.PathNLRI
		var attrs []bgp.PathAttributeInterface
		r.Attrs(func(a slog.Attr) bool {
			switch v := a.Value.Any().(type) {
			case []bgp.PathNLRI:
				if a.Key == "nlri" {
					reach = v
				} else {
					gone = v
				}
			case []bgp.PathAttributeInterface:
				attrs = v
			}
			return true
		})
		t.s.wrote(readUpdate(reach, gone, attrs, t.s.n.ASN != t.s.cfg.ASN))
	case "state changed":
		a := attrs(r)
		t.s.moved(stateOf(a["new"].String()), a["reason"].String())
	case "outgoing connection established":
		t.s.connected()
	case "failed to connect":
		t.s.failed(connectError(attrs(r)["Error"].String()), false)
	case "sent notification", "received notification":
		a := attrs(r)
		said := notification(uint8(a["Code"].Int64()), uint8(a["Subcode"].Int64()), r.Message == "sent notification")
		if text, ok := a["Communicated-Reason"]; ok && text.String() != "" {
			said += ": " + printable(text.String())
		}
		t.s.failed(said, true)
	case "outgoing connection IO error":
		t.s.failed("the neighbor closed the connection before it said anything: it does not expect a session with our address", false)
	case "prefix limit reached":
		t.s.limited()
	}
	return nil
}

func attrs(r slog.Record) map[string]slog.Value {
	m := make(map[string]slog.Value, r.NumAttrs())
	r.Attrs(func(a slog.Attr) bool { m[a.Key] = a.Value; return true })
	return m
}

// stateOf reads BGP_FSM_ESTABLISHED and the like.
func stateOf(s string) State {
	s = strings.TrimPrefix(s, "BGP_FSM_")
	for state, name := range stateNames {
		if strings.EqualFold(s, name) {
			return State(state)
		}
	}
	return Idle
}

// printable keeps what a neighbor wrote from doing harm to a log or terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '\uFFFD' {
			return '.'
		}
		return r
	}, s)
}
