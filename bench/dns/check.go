package main

import (
	"bytes"
	"encoding/binary"
)

// verdict is what became of a question.
type verdict uint8

const (
	right verdict = iota
	wide          // the right address, for more clients than it is right for
	wrong         // another address, no address, not what was asked, or malformed
)

const (
	headerLen = 12
	typeA     = 1
	typeOPT   = 41
	typeRRSIG = 46
	optionECS = 8
)

// check judges a reply to q: an authoritative NOERROR with the one address that
// is right, signed if q asked for that, and the query's ECS option with a scope
// that is not too short. A reply without ECS is one for everybody.
func check(reply []byte, q *query) verdict {
	questionEnd := headerLen + len(wireService) + 4
	if len(reply) < questionEnd || !bytes.Equal(reply[headerLen:questionEnd], q.packet[headerLen:questionEnd]) {
		return wrong
	}
	const qr, opcode, aa, tc = 0x80, 0x78, 0x04, 0x02
	if reply[2]&(qr|opcode|aa|tc) != qr|aa || reply[3]&0x0f != 0 || binary.BigEndian.Uint16(reply[4:]) != 1 {
		return wrong
	}
	answers := int(binary.BigEndian.Uint16(reply[6:]))
	records := answers + int(binary.BigEndian.Uint16(reply[8:])) + int(binary.BigEndian.Uint16(reply[10:]))
	addresses, signatures, scope := 0, 0, uint8(0)
	rest := reply[questionEnd:]
	for i := range records {
		var r record
		var ok bool
		if r, rest, ok = nextRecord(rest); !ok {
			return wrong
		}
		switch {
		case i < answers && r.kind == typeA:
			if addresses++; !bytes.Equal(r.data, q.want.addr[:]) {
				return wrong
			}
		case i < answers && r.kind == typeRRSIG:
			signatures++
		case i >= answers && r.kind == typeOPT:
			if scope, ok = scopeOf(r.data, q.packet); !ok {
				return wrong
			}
		}
	}
	switch {
	case addresses != 1 || len(rest) != 0 || q.signed() != (signatures > 0):
		return wrong
	case scope < q.want.minScope:
		return wide
	}
	return right
}

// record is a resource record without what is not looked at.
type record struct {
	kind uint16
	data []byte
}

// nextRecord takes a record off the front of b.
func nextRecord(b []byte) (r record, rest []byte, ok bool) {
	for {
		switch {
		case len(b) < 2:
			return r, nil, false
		case b[0] == 0:
			b = b[1:]
		case b[0] >= 0xc0:
			b = b[2:]
		case int(b[0]) < len(b):
			b = b[1+int(b[0]):]
			continue
		default:
			return r, nil, false
		}
		break
	}
	const fixed = 10 // type, class, TTL, length
	if len(b) < fixed {
		return r, nil, false
	}
	end := fixed + int(binary.BigEndian.Uint16(b[8:]))
	if len(b) < end {
		return r, nil, false
	}
	return record{binary.BigEndian.Uint16(b), b[fixed:end]}, b[end:], true
}

// scopeOf finds the scope among the options of a reply, 0 without one. It is
// not ok if the rest of the ECS option is not as in the query (RFC 7871,
// section 7.3).
func scopeOf(options, query []byte) (scope uint8, ok bool) {
	asked := query[headerLen+len(wireService)+4+11:] // the options of a query: ECS alone
	for len(options) >= 4 {
		end := 4 + int(binary.BigEndian.Uint16(options[2:]))
		if end > len(options) {
			return 0, false
		}
		if binary.BigEndian.Uint16(options) == optionECS {
			const scopeAt = 7
			same := end == len(asked) && bytes.Equal(options[:scopeAt], asked[:scopeAt]) && bytes.Equal(options[scopeAt+1:end], asked[scopeAt+1:])
			if !same {
				return 0, false
			}
			return options[scopeAt], true
		}
		options = options[end:]
	}
	return 0, len(options) == 0
}
