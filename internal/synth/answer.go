package synth

import (
	"errors"
	"fmt"
	"strings"

	"catchment/internal/edge"
)

// client asks for objects, one after the other, over one connection.
type client interface {
	// get asks and returns the header of the answer. The body of the answer
	// before must have been read to its end.
	get(path string) (answer, error)
	// more reads and drops some of the body and returns how much; io.EOF at
	// its end.
	more() (int, error)
	close()
}

// answer is what the header says.
type answer struct {
	status int
	length int64 // of the body
	pop    edge.PoPID
	vip    edge.VIPID
	last   bool // no more requests on this connection
}

// wrongError says that what arrived is not the object that was asked for. Its
// text must not depend on more than a few bytes of it.
type wrongError string

func (e wrongError) Error() string { return "synth: " + string(e) }

// busyError is a PoP that is over its limits.
type busyError struct{ status int }

func (e busyError) Error() string { return fmt.Sprintf("synth: status %d", e.status) }

// check says whether a is an object of that length; -1: of any up to
// maxTiny.
func (a *answer) check(length int64) error {
	switch {
	case a.status == 429 || a.status == 503:
		return busyError{a.status}
	case a.status != 200:
		return wrongError("status is not 200")
	case a.pop == "":
		return wrongError("no PoP names itself (want X-PoP)")
	case length < 0 && a.length > maxTiny:
		return wrongError("the tiny object is not tiny")
	case length >= 0 && a.length != length:
		return wrongError("the object is of another length")
	}
	return nil
}

// maxTiny bounds /o, which has two bytes; front ends may serve others.
const maxTiny = 4 << 10

// name takes what the headers X-PoP and Server-Timing say; what is no id does
// not count.
func (a *answer) name(pop, timing string) {
	if pop = strings.TrimSpace(pop); edge.ValidID(pop) {
		a.pop = edge.PoPID(pop)
	}
	for metric := range strings.SplitSeq(timing, ",") {
		rest, ok := strings.CutPrefix(strings.TrimSpace(metric), `vip;desc="`)
		if id, _, closed := strings.Cut(rest, `"`); ok && closed && edge.ValidID(id) {
			a.vip = edge.VIPID(id)
			return
		}
	}
}

// errMisuse is a bug of ours: a request before the body's end.
var errMisuse = errors.New("synth: request within a body")
