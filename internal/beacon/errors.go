package beacon

import "strconv"

// Reason classifies why a beacon was refused. It is the label of the counter.
type Reason string

// Why a body or a line is refused.
const (
	ReasonSyntax    Reason = "syntax"    // not JSON (RFC 8259)
	ReasonUTF8      Reason = "utf8"      // not UTF-8, or half of a surrogate pair
	ReasonType      Reason = "type"      // another JSON type is wanted here
	ReasonUnknown   Reason = "unknown"   // no such field
	ReasonDuplicate Reason = "duplicate" // a field, a flag or a target twice
	ReasonMissing   Reason = "missing"   // a required field is not there
	ReasonForbidden Reason = "forbidden" // a field that only relays may send
	ReasonRange     Reason = "range"     // a number out of bounds
	ReasonValue     Reason = "value"     // a string that is not one of those allowed
	ReasonCount     Reason = "count"     // too many elements
	ReasonPlan      Reason = "plan"      // not a plan of this collector, or an old one
	ReasonLength    Reason = "length"    // a body or line over the limit
	ReasonMedia     Reason = "media"     // Content-Type or Content-Encoding
	ReasonMethod    Reason = "method"    // not POST
	ReasonRead      Reason = "read"      // the body broke off
	ReasonCap       Reason = "cap"       // the client prefix sends too much
	ReasonBusy      Reason = "busy"      // too many requests or too much waiting for the disk
	ReasonDisk      Reason = "disk"      // too little free space
	ReasonStore     Reason = "store"     // the store failed
	ReasonAuth      Reason = "auth"      // a relay without a valid token
)

// reasons lists every Reason, so that all counters exist from the start.
var reasons = []Reason{
	ReasonSyntax, ReasonUTF8, ReasonType, ReasonUnknown, ReasonDuplicate, ReasonMissing, ReasonForbidden,
	ReasonRange, ReasonValue, ReasonCount, ReasonPlan, ReasonLength, ReasonMedia, ReasonMethod, ReasonRead,
	ReasonCap, ReasonBusy, ReasonDisk, ReasonStore, ReasonAuth,
}

// Error says why a beacon was refused, and where.
type Error struct {
	Reason Reason `json:"reason"`
	Field  string `json:"field,omitempty"` // "probes[2].warm[1]"; "[3].rate" in an array of beacons; empty: the whole
	Detail string `json:"detail"`          // what was wanted
}

// Error returns "probes[2].warm[1]: want …".
func (e *Error) Error() string {
	if e.Field == "" {
		return e.Detail
	}
	return e.Field + ": " + e.Detail
}

// step is one step of the way to a field: the bounds of its key in the input,
// or its index in an array.
type step struct {
	from, to int
	index    int // -1: a key
}

// field spells the way to a field. Keys come from outside: what is not
// printable ASCII is quoted, and long ones are cut.
func field(in []byte, way []step) string {
	const longest = 32
	var b []byte
	for _, s := range way {
		if s.index >= 0 {
			b = append(b, '[')
			b = strconv.AppendInt(b, int64(s.index), 10)
			b = append(b, ']')
			continue
		}
		if s.from == s.to { // the key itself could not be read
			continue
		}
		if len(b) > 0 {
			b = append(b, '.')
		}
		key := in[s.from:min(s.to, s.from+longest)]
		quoted := strconv.AppendQuoteToASCII(nil, string(key))
		b = append(b, quoted[1:len(quoted)-1]...)
	}
	return string(b)
}
