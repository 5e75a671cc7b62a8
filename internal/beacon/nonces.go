package beacon

import (
	"bytes"
	"errors"
	"net/http"
	"time"

	"catchment/internal/edge"
	"catchment/internal/tokens"
)

// Limits of one batch of queries for probe names. It is in memory whole, some
// batches at a time: 33 MiB in all.
const (
	MaxAsked      = 1 << 14 // queries; four times what a name server hands in at a time
	maxAskedBytes = 4 << 20 // as sent, and once unpacked: 256 for each
	maxAsking     = 8       // batches at a time
)

// nonceResult is what became of a query that a name server handed in.
type nonceResult string

const (
	nonceNoted    nonceResult = "noted"
	nonceRepeated nonceResult = "repeated" // a better one is known of the page view
	nonceUnsigned nonceResult = "unsigned" // by none of our keys, or over an hour ago
	nonceRefused  nonceResult = "refused"  // a batch that could not be read
)

var nonceResults = []nonceResult{nonceNoted, nonceRepeated, nonceUnsigned, nonceRefused}

// Noted is the answer to POST /v1/nonces: what became of the queries.
type Noted struct {
	Noted    int `json:"noted"`
	Repeated int `json:"repeated"`
	Unsigned int `json:"unsigned"` // anyone can ask for such a name
}

// serveNonces serves POST /v1/nonces for authenticated name servers: an array
// or lines of edge.Asked; Content-Encoding gzip or none. The answer is 200 with
// Noted, or 400, 401, 413, 415, or 503 with Retry-After, and then nothing was
// noted. Sent again, it does no harm.
func (c *Collector) serveNonces(w http.ResponseWriter, r *http.Request) {
	if !c.allow(w, r, tokens.DNS) {
		return
	}
	answer, ref := c.takeNonces(r, time.Now())
	if ref != nil {
		c.metrics.nonces[nonceRefused].Inc()
		ref.write(w)
		return
	}
	writeJSON(w, http.StatusOK, &answer)
}

func (c *Collector) takeNonces(r *http.Request, now time.Time) (answer Noted, ref *refusal) {
	var dec *askedDecoder
	select {
	case dec = <-c.asking:
		defer func() { c.asking <- dec }()
	default:
		ref = refuse(http.StatusServiceUnavailable, ReasonBusy, "too many batches at a time")
		ref.retry = time.Second
		return answer, ref
	}
	body, ref := unpacked(r, maxAskedBytes, maxAskedBytes)
	if ref != nil {
		return answer, ref
	}
	var text bytes.Buffer
	if _, err := text.ReadFrom(body); errors.Is(err, errTooMuch) {
		return answer, refuse(http.StatusRequestEntityTooLarge, ReasonLength, "a batch has at most 4 MiB, and 16384 queries")
	} else if err != nil {
		return answer, refuse(http.StatusBadRequest, ReasonRead, "the body broke off or is not gzip")
	}
	all, err := dec.decode(text.Bytes())
	if err != nil {
		return answer, refuseError(http.StatusBadRequest, err)
	}
	counts := map[nonceResult]int{}
	for i := range all {
		counts[c.noteAsked(&all[i], now)]++
	}
	for result, n := range counts {
		c.metrics.nonces[result].Add(float64(n))
	}
	return Noted{counts[nonceNoted], counts[nonceRepeated], counts[nonceUnsigned]}, nil
}

// noteAsked remembers a query for the beacon of its plan.
//
// What the resolver says of its client is kept as it is said, also where that
// is not the network that the beacon comes from: the answer was given for it.
// Most of the time that is the other address family, a forwarder, or a network
// with more than one way out.
func (c *Collector) noteAsked(a *edge.Asked, now time.Time) nonceResult {
	n, ok := decodeNonce(a.Nonce, now)
	if !ok || a.At.Sub(now) > planSkew || now.Sub(a.At) > planLife {
		return nonceUnsigned
	}
	x := asker{at: uint32(a.At.Unix()), rank: rankOf(a.Label), resolver: pack(a.Resolver), client: pack(a.Client)}
	s := n.seed()
	if !c.askers.wants(s, x) { // before the signature, which costs as much as all the rest
		return nonceRepeated
	}
	if c.cfg.Keys.signed(&n, a.Label) < 0 {
		return nonceUnsigned
	}
	if !c.askers.note(s, x, now) {
		return nonceRepeated
	}
	return nonceNoted
}
