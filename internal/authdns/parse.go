package authdns

import (
	"encoding/binary"
	"net/netip"
)

// Offsets and flags of a header (RFC 1035, section 4.1.1).
const (
	headerLen = 12

	flagQR = 0x80 // of byte 2
	flagAA = 0x04
	flagTC = 0x02
	flagRD = 0x01
	flagCD = 0x10 // of byte 3
)

// Types and options that are looked for by number.
const (
	typeOPT  = 41
	typeIXFR = 251

	classIN = 1

	optNSID      = 3  // RFC 5001
	optECS       = 8  // RFC 7871
	optCookie    = 10 // RFC 7873
	optKeepalive = 11 // RFC 7828
	optPadding   = 12 // RFC 7830
	optEDE       = 15 // RFC 8914
)

// verdict is what a packet is worth.
type verdict uint8

const (
	unanswerable  verdict = iota // a response, or shorter than a header: never answered
	wellFormed                   // a query with one question
	malformed                    // FORMERR
	badVersion                   // BADVERS (RFC 6891, section 6.1.3)
	unknownOpcode                // NOTIMP
	noQuestion                   // QDCOUNT 0 with a cookie (RFC 7873, section 5.4)
)

// query is a parsed query. What points into raw is valid for as long as raw.
type query struct {
	raw    []byte
	name   [maxName]byte // lower case
	length int           // of name; 0: there is no question
	qtype  uint16
	class  uint16
	end    int // of the question in raw

	edns bool // has an OPT of any version
	do   bool
	size uint16 // UDP payload that the client can take
	nsid bool
	keep bool // asks how long an idle connection is kept
	pad  bool // asks for padding

	ecs     ecsOption
	cookie  []byte // the option's data: 8, or 16 to 40 bytes; nil: none
	present bool   // of an ECS option
}

// ecsOption is a client subnet (RFC 7871).
type ecsOption struct {
	data   []byte // as sent: FAMILY, SOURCE, SCOPE, ADDRESS
	source uint8  // bits
	addr   netip.Addr
}

// parse reads a packet into q. It is strict: what it calls well-formed has one
// whole question, no more than one OPT, no option that breaks its own rules,
// and nothing behind its last record.
func (q *query) parse(raw []byte) verdict {
	q.raw = raw
	q.length, q.end, q.qtype, q.class = 0, headerLen, 0, 0
	q.edns, q.do, q.nsid, q.keep, q.pad, q.present = false, false, false, false, false, false
	q.size, q.cookie, q.ecs = 0, nil, ecsOption{}
	if len(raw) < headerLen || raw[2]&flagQR != 0 {
		return unanswerable
	}
	if raw[2]&0x78 != 0 {
		return unknownOpcode
	}
	questions := binary.BigEndian.Uint16(raw[4:])
	answers := binary.BigEndian.Uint16(raw[6:])
	authorities := binary.BigEndian.Uint16(raw[8:])
	additionals := binary.BigEndian.Uint16(raw[10:])
	at := headerLen
	if questions == 1 {
		if at = q.question(); at < 0 {
			return malformed
		}
	}
	// Only an IXFR has something to say in the authority section (RFC 1995).
	if questions > 1 || answers != 0 || authorities > 1 || authorities == 1 && q.qtype != typeIXFR {
		return malformed
	}
	if authorities == 1 {
		if _, _, at = record(raw, at); at < 0 {
			return malformed
		}
	}
	v := wellFormed
	for range additionals {
		start, rtype, next := record(raw, at)
		if next < 0 {
			return malformed
		}
		if rtype == typeOPT {
			if q.edns || raw[at] != 0 {
				return malformed // RFC 6891, section 6.1.1
			}
			if v = q.opt(raw[start:next]); v == malformed {
				return malformed
			}
		}
		at = next
	}
	switch {
	case at != len(raw):
		return malformed
	case v == badVersion:
		return badVersion
	case questions == 0 && q.cookie != nil:
		return noQuestion
	case questions == 0, q.qtype == typeOPT:
		return malformed
	}
	return v
}

// question reads the question and returns where it ends, or −1. There is
// nothing before it that a compressed name could point to.
func (q *query) question() int {
	raw, at, n := q.raw, headerLen, 0
	for {
		if at >= len(raw) {
			return -1
		}
		label := int(raw[at])
		if label > 63 || n+1+label > maxName || at+1+label > len(raw) {
			return -1
		}
		copy(q.name[n:], raw[at:at+1+label])
		at, n = at+1+label, n+1+label
		if label == 0 {
			break
		}
		if n >= maxName {
			return -1
		}
	}
	if at+4 > len(raw) {
		return -1
	}
	lower(q.name[:n])
	q.length = n
	q.qtype = binary.BigEndian.Uint16(raw[at:])
	q.class = binary.BigEndian.Uint16(raw[at+2:])
	q.end = at + 4
	return q.end
}

// record passes over a resource record at offset at. It returns where the
// fixed part behind its owner begins, its type, and where the next record
// begins, −1 if it is cut off.
func record(raw []byte, at int) (start int, rtype uint16, next int) {
	for {
		if at >= len(raw) {
			return 0, 0, -1
		}
		label := int(raw[at])
		if label >= 0xC0 {
			at += 2
			break
		}
		if label > 63 {
			return 0, 0, -1
		}
		at += 1 + label
		if label == 0 {
			break
		}
	}
	if at+10 > len(raw) {
		return 0, 0, -1
	}
	next = at + 10 + int(binary.BigEndian.Uint16(raw[at+8:]))
	if next > len(raw) {
		return 0, 0, -1
	}
	return at, binary.BigEndian.Uint16(raw[at:]), next
}

// opt reads an OPT record (RFC 6891, section 6.1.2), from its type on.
func (q *query) opt(rr []byte) verdict {
	q.edns = true
	q.size = binary.BigEndian.Uint16(rr[2:])
	q.do = rr[6]&0x80 != 0
	if rr[5] != 0 {
		return badVersion
	}
	for data := rr[10:]; len(data) > 0; {
		if len(data) < 4 {
			return malformed
		}
		code, length := binary.BigEndian.Uint16(data), int(binary.BigEndian.Uint16(data[2:]))
		if 4+length > len(data) {
			return malformed
		}
		if !q.option(code, data[4:4+length]) {
			return malformed
		}
		data = data[4+length:]
	}
	return wellFormed
}

// option reads one option, and reports whether it is as it should be. Unknown
// ones are passed over.
func (q *query) option(code uint16, data []byte) bool {
	switch code {
	case optECS:
		if q.present {
			return false
		}
		q.present = true
		return q.ecs.parse(data)
	case optNSID:
		q.nsid = true
	case optCookie:
		// Only the first counts (RFC 7873, section 5.2).
		if q.cookie == nil {
			q.cookie = data
			return len(data) == 8 || len(data) >= 16 && len(data) <= 40
		}
	case optKeepalive:
		q.keep = true // whatever it holds: over UDP it must be ignored (RFC 7828, section 3.3.1)
	case optPadding:
		q.pad = true
	}
	return true
}

// parse reads a client subnet, and reports whether it is as RFC 7871, section
// 6 and 7.1.2, asks: a scope of 0, an address of just as many bytes as the
// prefix needs, and no bit beyond the prefix.
func (e *ecsOption) parse(data []byte) bool {
	if len(data) < 4 || data[3] != 0 {
		return false
	}
	family, source := binary.BigEndian.Uint16(data), data[2]
	address := data[4:]
	if len(address) != (int(source)+7)/8 {
		return false
	}
	if odd := source % 8; odd != 0 && address[len(address)-1]<<odd != 0 {
		return false
	}
	switch {
	case family == 1 && source <= 32:
		var b [4]byte
		copy(b[:], address)
		e.addr = netip.AddrFrom4(b)
	case family == 2 && source <= 128:
		var b [16]byte
		copy(b[:], address)
		e.addr = netip.AddrFrom16(b)
	default:
		return false
	}
	e.data, e.source = data, source
	return true
}
