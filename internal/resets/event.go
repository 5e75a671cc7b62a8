package resets

import (
	"encoding/binary"
	"net/netip"

	"github.com/dchest/siphash"

	"catchment/internal/edge"
)

// what says what a source saw.
type what uint8

const (
	midFlow    what = iota + 1 // a segment of no connection known here met a listener, and was reset
	closedPort                 // a segment met a port where nobody listens
	timedOut                   // a connection of ours ended for want of acknowledgments
	excess                     // the machine sent more RSTs than it usually does
)

// event is one thing that a source saw.
type event struct {
	what what
	flow flow
	// The numbers that the client's segment bore; of no meaning to timedOut.
	seq, ack uint32
	hasSeq   bool   // not every source sees seq
	recent   bool   // a connection with these very addresses and ports ended here a moment ago
	n        uint64 // of excess: how many more
}

// flow is a TCP connection by its addresses, which are never 4-in-6.
type flow struct {
	client, vip netip.AddrPort
}

// crafted reports whether the numbers in a segment are such that no TCP would
// have chosen them but by a chance of 2^-31: scanners leave them at 0.
func (e *event) crafted() bool { return e.ack == 0 || e.hasSeq && e.seq == 0 }

// hash is the flow's keyed hash, the same at every PoP.
func (f flow) hash(key edge.FlowBits) edge.FlowHash {
	var b [36]byte
	client, vip := f.client.Addr().As16(), f.vip.Addr().As16()
	copy(b[:], client[:])
	copy(b[16:], vip[:])
	binary.BigEndian.PutUint16(b[32:], f.client.Port())
	binary.BigEndian.PutUint16(b[34:], f.vip.Port())
	return edge.FlowHash(siphash.Hash(binary.LittleEndian.Uint64(key[:]), binary.LittleEndian.Uint64(key[8:]), b[:]))
}
