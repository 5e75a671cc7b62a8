package beacon

import (
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/klauspost/compress/gzip"

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

// RelayHandler serves POST /v1/relay for authenticated relays, on the control
// listener: NDJSON of beacons with client and received, maybe place and
// resolver; Content-Encoding gzip or none. Lines that are refused do not stop
// the others. The status is 200 when the whole body was read and every good
// line is durable; else the request may be sent again whole, since duplicates
// are dropped: 401, 413, 415, or 503 with Retry-After, and, from 413 on, with
// what was accepted until then.
func (c *Collector) RelayHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/relay" {
			http.NotFound(w, r)
			return
		}
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", http.MethodPost)
			http.Error(w, "want POST", http.StatusMethodNotAllowed)
			return
		}
		if role, _, ok := c.cfg.Tokens.Identify(r); !ok || role != tokens.Relay {
			c.metrics.rejected[ReasonAuth].Inc()
			w.Header().Set("WWW-Authenticate", "Bearer")
			refuse(http.StatusUnauthorized, ReasonAuth, "want a bearer token of a relay").write(w)
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
	})
}

const tooMuch = "a request has at most 64 MiB, 512 MiB unpacked, and 1048576 lines"

// relay reads lines and stores them batch by batch.
func (c *Collector) relay(w http.ResponseWriter, r *http.Request) (answer Relayed, ref *refusal) {
	answer.Rejected = []RefusedLine{}
	control := http.NewResponseController(w)
	body := io.Reader(&bounded{r: r.Body, left: maxRelayWire})
	switch r.Header.Get("Content-Encoding") {
	case "", "identity":
	case "gzip":
		unzip, err := gzip.NewReader(body)
		if err != nil {
			return answer, refuse(http.StatusBadRequest, ReasonRead, "the body is not gzip")
		}
		defer unzip.Close()
		body = unzip
	default:
		return answer, refuse(http.StatusUnsupportedMediaType, ReasonMedia, "want Content-Encoding gzip, or none")
	}

	var (
		lines = newLineReader(&bounded{r: body, left: maxRelayPlain})
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

// bounded is a reader that fails beyond a number of bytes, unlike
// io.LimitedReader, which ends.
type bounded struct {
	r    io.Reader
	left int64
}

var errTooMuch = errors.New("beacon: over the limit")

func (b *bounded) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, errTooMuch
	}
	n, err := b.r.Read(p[:min(int64(len(p)), b.left+1)])
	b.left -= int64(n)
	if b.left < 0 {
		return n - 1, errTooMuch
	}
	return n, err
}
