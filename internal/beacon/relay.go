package beacon

import (
	"errors"
	"io"
	"net/http"
	"time"

	"catchment/internal/tokens"
)

// Limits of one relayed request. It is read as a stream: memory is bounded by
// a batch, these bound the time.
const (
	maxRelayWire  = 64 << 20  // bytes as sent
	maxRelayPlain = 512 << 20 // bytes once unpacked
	maxRelayLines = 1 << 20
	relayBatch    = 512 // beacons that become durable together
	relayPatience = 30 * time.Second
	maxListed     = 100 // refused lines that the answer lists
)

// Relayed is the answer to POST /v1/relay.
type Relayed struct {
	Accepted   int           `json:"accepted"`
	Duplicates int           `json:"duplicates"` // known already, dropped: send again without fear
	Refused    int           `json:"refused"`
	Rejected   []RefusedLine `json:"rejected"` // the first 100 of those refused
	Error      *Error        `json:"error,omitempty"`
}

// RefusedLine says why a line was refused. Lines count from 1.
type RefusedLine struct {
	Line int `json:"line"`
	Error
}

// serveRelay serves POST /v1/relay for authenticated relays: NDJSON of beacons
// with client and received, maybe place and resolver; Content-Encoding gzip or
// none. Lines that are refused do not stop the others. The status is 200 when
// the whole body was read and every good line is durable; else the request may
// be sent again whole, since duplicates are dropped: 401, 413, 415, or 503 with
// Retry-After, and, from 413 on, with what was accepted until then.
func (c *Collector) serveRelay(w http.ResponseWriter, r *http.Request) {
	if !c.allow(w, r, tokens.Relay) {
		c.metrics.rejected[ReasonAuth].Inc()
		return
	}
	now := time.Now()
	c.inFlight.Add(1)
	answer, ref := c.relay(w, r)
	c.inFlight.Add(-1)
	c.metrics.seconds.Observe(time.Since(now).Seconds())
	if ref == nil {
		writeJSON(w, http.StatusOK, &answer)
		return
	}
	c.metrics.rejected[ref.Reason].Inc()
	answer.Error = &ref.Error
	ref.writeBody(w, &answer)
}

const tooMuch = "a request has at most 64 MiB, 512 MiB unpacked, and 1048576 lines"

// relay reads lines and stores them batch by batch.
func (c *Collector) relay(w http.ResponseWriter, r *http.Request) (answer Relayed, ref *refusal) {
	answer.Rejected = []RefusedLine{}
	control := http.NewResponseController(w)
	body, ref := unpacked(r, maxRelayWire, maxRelayPlain)
	if ref != nil {
		return answer, ref
	}
	var (
		lines = newLineReader(body)
		dec   = Decoder{Names: c.state.Load().names}
		batch = 0
	)
	flush := func() *refusal {
		if batch == 0 {
			return nil
		}
		beacons := dec.Beacons()
		for _, b := range beacons {
			Derive(b)
			locate(b, c.places, c.cfg.ContinentOf, c.cfg.Keep)
		}
		stored, ref := c.store(r.Context(), beacons)
		if ref == nil {
			answer.Accepted += stored
			answer.Duplicates += len(beacons) - stored
			batch = 0
			dec.Reset()
		}
		return ref
	}
	for n := 1; ; n++ {
		if n%relayBatch == 1 {
			// Large bodies may take long, as long as they move. Servers
			// without deadlines (tests) need none.
			_ = control.SetReadDeadline(time.Now().Add(relayPatience))
			_ = control.SetWriteDeadline(time.Now().Add(2 * relayPatience))
		}
		line, _, err := lines.next()
		switch {
		case err == io.EOF:
			return answer, flush()
		case n > maxRelayLines:
			if ref := flush(); ref != nil {
				return answer, ref
			}
			return answer, refuse(http.StatusRequestEntityTooLarge, ReasonLength, tooMuch)
		case errors.Is(err, errLongLine):
			c.reject(&answer, n, &Error{Reason: ReasonLength, Detail: "a line has at most 64 KiB"})
			continue
		case err != nil:
			ref := flush()
			switch {
			case ref != nil:
			case errors.Is(err, errTooMuch):
				ref = refuse(http.StatusRequestEntityTooLarge, ReasonLength, tooMuch)
			default:
				ref = refuse(http.StatusBadRequest, ReasonRead, "the body broke off or is not gzip")
			}
			return answer, ref
		case blank(line):
			continue
		}
		if err := dec.Line(line); err != nil {
			c.reject(&answer, n, err)
			continue
		}
		if batch++; batch == relayBatch {
			if ref := flush(); ref != nil {
				return answer, ref
			}
		}
	}
}

// reject counts a refused line.
func (c *Collector) reject(answer *Relayed, line int, err error) {
	var e *Error
	if !errors.As(err, &e) {
		return
	}
	c.metrics.rejected[e.Reason].Inc()
	answer.Refused++
	if len(answer.Rejected) < maxListed {
		answer.Rejected = append(answer.Rejected, RefusedLine{line, *e})
	}
}
