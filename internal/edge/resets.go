package edge

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// Resets is what a PoP's reset watcher hands in every few seconds, also while
// there is nothing to tell: the answer, a ResetsAnswer, has what it needs next.
//
// Addresses leave the PoP as prefixes only. Connections are told apart by
// keyed hashes of their addresses and ports, of which samples are sent along:
// a PoP that had a connection open can say so of one that was reset elsewhere,
// and nobody can tell whose it was once the key is gone.
type Resets struct {
	PoP    PoPID       `json:"pop"`
	Method ResetMethod `json:"method"` // how the PoP sees resets
	Run    string      `json:"run"`    // drawn by the process at its start
	Seq    uint64      `json:"seq"`    // of this batch in the run, from 1: sent again, it does no harm
	Key    Day         `json:"key"`    // whose key all Flows are hashed with; 0: there are none
	From   time.Time   `json:"from"`   // what follows happened from then
	Until  time.Time   `json:"until"`  // until then

	Resets   []Reset    `json:"resets,omitempty"`
	Open     []OpenFlow `json:"open,omitempty"`     // of those asked for
	Overflow uint64     `json:"overflow,omitempty"` // events that there was no room for
}

// Bounds of one Resets.
const (
	MaxResets     = 512  // elements
	MaxResetFlows = 8    // samples in each
	MaxOpenFlows  = 1024 // asked for, and found, at a time
)

// ResetMethod is how a PoP sees resets.
type ResetMethod string

// The methods, best first.
const (
	ResetsByKernel   ResetMethod = "ebpf"     // tracepoints: resets by listeners, with all about the segment; connections that time out
	ResetsByPacket   ResetMethod = "packet"   // outgoing RSTs without ACK
	ResetsByCounters ResetMethod = "counters" // how many RSTs the machine sends, over the usual
)

// ResetMethods lists them.
var ResetMethods = []ResetMethod{ResetsByKernel, ResetsByPacket, ResetsByCounters}

// Reset is what happened to the connections of one client prefix over one VIP.
type Reset struct {
	Kind   ResetKind    `json:"kind"`
	Doubt  ResetDoubt   `json:"doubt,omitempty"`
	VIP    VIPID        `json:"vip,omitempty"`   // none: excess
	Client netip.Prefix `json:"client,omitzero"` // a /24 or /48; none: excess
	Count  uint64       `json:"count"`           // resets, not connections: each segment that a client had sent yet gets one
	First  time.Time    `json:"first"`           //
	Last   time.Time    `json:"last"`            //
	Flows  []FlowHash   `json:"flows,omitempty"` // some of the connections, each once
}

// ResetKind says what happened.
type ResetKind string

// The kinds.
const (
	MidFlow  ResetKind = "reset"   // a segment from the middle of a connection that this PoP does not know
	TimedOut ResetKind = "timeout" // a connection of this PoP whose client was not heard of any more
	Excess   ResetKind = "excess"  // RSTs of the whole machine beyond the usual
)

// ResetDoubt says why a reset may be none of a flow that moved.
type ResetDoubt string

// The doubts.
const (
	NoDoubt     ResetDoubt = ""
	DoubtStart  ResetDoubt = "start"  // the watcher had just started: the machine may have, too
	DoubtClosed ResetDoubt = "closed" // this PoP had the very connection, and closed it a moment ago
	DoubtScan   ResetDoubt = "scan"   // the client tries ports, or sends numbers that no TCP would
)

// OpenFlow is a connection that was reset elsewhere and is open here.
type OpenFlow struct {
	Flow    FlowHash     `json:"flow"`
	Key     Day          `json:"key"` // that it was asked for with
	VIP     VIPID        `json:"vip"`
	Client  netip.Prefix `json:"client"`
	Unheard bool         `json:"unheard,omitempty"` // what was sent goes unacknowledged
}

// ResetsAnswer is the answer to Resets.
type ResetsAnswer struct {
	Keys []FlowKey  `json:"keys"` // today's and tomorrow's
	Ask  []AskFlows `json:"ask,omitempty"`
}

// FlowKey is the key of a UTC day: 128 random bits, which the control node
// forgets two days later.
type FlowKey struct {
	Day Day      `json:"day"`
	Key FlowBits `json:"key"`
}

// AskFlows asks which of some connections, reset elsewhere a moment ago, are
// open here.
type AskFlows struct {
	Day   Day        `json:"day"` // whose key they are hashed with
	Flows []FlowHash `json:"flows"`
}

// FlowHash is a keyed hash (SipHash-2-4) of a connection's addresses and ports.
// Its text is 16 hexadecimal digits.
type FlowHash uint64

// MarshalText implements encoding.TextMarshaler.
func (h FlowHash) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%016x", uint64(h)), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (h *FlowHash) UnmarshalText(b []byte) error {
	var raw [8]byte
	if len(b) != 2*len(raw) {
		return fmt.Errorf("edge: flow hash %.20q: want 16 hexadecimal digits", b)
	}
	if _, err := hex.Decode(raw[:], b); err != nil {
		return fmt.Errorf("edge: flow hash %q: want 16 hexadecimal digits", b)
	}
	*h = 0
	for _, c := range raw {
		*h = *h<<8 | FlowHash(c)
	}
	return nil
}

// FlowBits is a key, and no business of logs. Its text is 32 hexadecimal digits.
type FlowBits [16]byte

// String keeps the key out of what is printed.
func (k FlowBits) String() string { return "(key)" }

// MarshalText implements encoding.TextMarshaler.
func (k FlowBits) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, k[:]), nil }

// UnmarshalText implements encoding.TextUnmarshaler. The error does not show b.
func (k *FlowBits) UnmarshalText(b []byte) error {
	if len(b) != 2*len(k) {
		return fmt.Errorf("edge: flow key of %d characters: want 32 hexadecimal digits", len(b))
	}
	if _, err := hex.Decode(k[:], b); err != nil {
		return errors.New("edge: flow key: want 32 hexadecimal digits")
	}
	return nil
}

// ResetRecord is what the control node keeps: one Reset or one OpenFlow of a
// PoP, with where its client is.
type ResetRecord struct {
	Received time.Time   `json:"received"`
	PoP      PoPID       `json:"pop"`
	Method   ResetMethod `json:"method"`
	Key      Day         `json:"key,omitempty"` // of Reset.Flows
	Place    Place       `json:"place,omitzero"`
	Reset    *Reset      `json:"reset,omitempty"`
	Open     *OpenFlow   `json:"open,omitempty"`
	Overflow uint64      `json:"overflow,omitempty"` // instead of either: events of a batch that there was no room for
}
