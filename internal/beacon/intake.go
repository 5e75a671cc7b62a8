package beacon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"catchment/internal/edge"
	"catchment/internal/store"
)

// intake is the memory of one request with beacons, used again.
type intake struct {
	body []byte
	dec  Decoder
}

func (c *Collector) serveBeacons(w http.ResponseWriter, r *http.Request) {
	now := time.Now()
	var ref *refusal
	if n := c.inFlight.Add(1); n > int64(c.cfg.MaxInFlight) {
		ref = refuse(http.StatusServiceUnavailable, ReasonBusy, "too many requests at a time")
		ref.retry = time.Second
	} else {
		ref = c.collect(r, now)
	}
	c.inFlight.Add(-1)
	if ref != nil {
		c.metrics.rejected[ref.Reason].Inc()
		ref.write(w)
	} else {
		w.WriteHeader(http.StatusNoContent)
	}
	c.metrics.seconds.Observe(time.Since(now).Seconds())
}

// collect reads, checks, completes and stores the beacons of one request.
func (c *Collector) collect(r *http.Request, now time.Time) *refusal {
	if ref := media(r); ref != nil {
		return ref
	}
	from := c.client(r)
	key := capKey(from.addr)
	if ref := c.take(key, 1, now); ref != nil {
		return ref
	}

	in := c.intakes.Get().(*intake)
	var ref *refusal
	if in.body, ref = readBody(in.body[:0], r); ref != nil {
		c.intakes.Put(in)
		return ref
	}
	in.dec.Reset()
	in.dec.Names = c.state.Load().names
	if err := in.dec.Body(in.body); err != nil {
		c.intakes.Put(in)
		return refuseError(http.StatusBadRequest, err)
	}
	beacons := in.dec.Beacons()
	if ref = c.complete(beacons, r, from, now); ref == nil && len(beacons) > 1 {
		ref = c.take(key, len(beacons)-1, now)
	}
	if ref != nil {
		c.intakes.Put(in)
		return ref
	}
	// Not the request's context: a page that goes away closes its connection
	// as soon as it has sent its beacon.
	ctx := context.Background()
	if c.stager != nil {
		// What the next request needs is then still in the processor's cache.
		given, pending := len(beacons), c.stager.Stage(ctx, beacons...)
		c.intakes.Put(in)
		stored, err := pending.Wait(ctx)
		return c.stored(stored, given, err)
	}
	if _, ref = c.store(ctx, beacons); ref == nil {
		c.intakes.Put(in) // else the sink may still hold it
	}
	return ref
}

// complete checks the plan of beacons from a browser and adds what the server
// knows. Afterwards the client's address is gone.
func (c *Collector) complete(beacons []*edge.Beacon, r *http.Request, from origin, now time.Time) *refusal {
	robot := isRobot(r.UserAgent())
	received := now.UTC().Truncate(time.Microsecond) // what the store keeps
	var place edge.Place
	if from.addr.IsValid() {
		place = c.places.Lookup(from.addr)
	}
	prefix := c.cfg.Keep.cut(whole(from.addr))
	for i, b := range beacons {
		var asked edge.Resolver
		switch {
		case b.Plan != "":
			plan, ok := c.cfg.Keys.planSeed(b.Plan, now)
			if !ok {
				ref := refuse(http.StatusBadRequest, ReasonPlan, "not a plan of this collector, or over an hour old")
				if ref.Field = "plan"; len(beacons) > 1 {
					ref.Field = fmt.Sprintf("[%d].plan", i)
				}
				return ref
			}
			asked = c.askers.of(plan)
		case c.cfg.RequirePlan:
			ref := refuse(http.StatusBadRequest, ReasonPlan, "want a plan: GET /v1/plan")
			ref.Field = "plan"
			return ref
		default:
			addFlag(&b.Flags, "noplan")
		}
		if robot {
			addFlag(&b.Flags, "bot")
			c.metrics.bots.Inc()
		}
		Derive(b)
		b.Received, b.Place, b.Client, b.Resolver = received, place, prefix, asked
		c.cfg.Keep.cutResolver(b)
		c.metrics.joined[asked.Addr.IsValid()].Inc()
	}
	return nil
}

// store appends beacons and counts them; stored is how many are new. They must
// not be used again after an error.
func (c *Collector) store(ctx context.Context, beacons []*edge.Beacon) (stored int, ref *refusal) {
	stored, err := c.sink.Append(ctx, beacons...)
	return stored, c.stored(stored, len(beacons), err)
}

// stored counts what the sink has made of beacons.
func (c *Collector) stored(stored, given int, err error) *refusal {
	if err == nil {
		c.metrics.accepted.Add(float64(stored))
		c.metrics.duplicates.Add(float64(given - stored))
		return nil
	}
	ref := refuse(http.StatusServiceUnavailable, ReasonStore, "cannot be stored now")
	ref.retry = 5 * time.Second
	switch {
	case errors.Is(err, store.ErrBusy):
		ref.Reason, ref.retry = ReasonBusy, time.Second
		return ref // overload, which metrics tell
	case errors.Is(err, store.ErrDisk):
		ref.Reason, ref.retry = ReasonDisk, time.Minute
	}
	const every = 10 // s
	now, last := time.Now().Unix(), c.warnedSink.Load()
	if now-last >= every && c.warnedSink.CompareAndSwap(last, now) {
		c.log.Error("beacons cannot be stored", "error", err)
	}
	return ref
}

// client derives who sent r, and tells the operator once of a proxy that seems
// to be missing from the trusted ones.
func (c *Collector) client(r *http.Request) origin {
	o := c.proxies.client(r)
	if o.source == fromConnection && (len(r.Header["X-Forwarded-For"]) > 0 || len(r.Header["Forwarded"]) > 0) {
		c.metrics.unproxied.Inc()
		c.warnProxy.Do(func() {
			c.log.Warn("a forwarded-for header was not believed; if it came from your proxy, trust its network and see /v1/whoami")
		})
	}
	return o
}

// take takes n tokens of a client prefix.
func (c *Collector) take(key uint64, n int, now time.Time) *refusal {
	wait := c.beacons.take(key, n, now)
	if wait == 0 {
		return nil
	}
	ref := refuse(http.StatusTooManyRequests, ReasonCap, "too many beacons from this network")
	ref.retry = wait
	return ref
}

// media refuses what is not JSON as it is. Browsers send text/plain, or no
// type at all for an untyped Blob.
func media(r *http.Request) *refusal {
	if enc := r.Header.Get("Content-Encoding"); enc != "" && enc != "identity" {
		return refuse(http.StatusUnsupportedMediaType, ReasonMedia, "want no Content-Encoding")
	}
	t, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	t = strings.TrimSpace(t)
	if t == "" || strings.EqualFold(t, "text/plain") || strings.EqualFold(t, "application/json") {
		return nil
	}
	return refuse(http.StatusUnsupportedMediaType, ReasonMedia, "want Content-Type text/plain or application/json")
}

// readBody appends the body of r to dst, at most MaxBody and one more byte.
// The buffer grows with what has arrived, not with what was promised.
func readBody(dst []byte, r *http.Request) ([]byte, *refusal) {
	const tooLong = "a body has at most 16 KiB"
	if r.ContentLength > MaxBody {
		return dst, refuse(http.StatusRequestEntityTooLarge, ReasonLength, tooLong)
	}
	for {
		if len(dst) == cap(dst) {
			dst = append(make([]byte, 0, max(1024, min(2*cap(dst), MaxBody+1))), dst...)
		}
		n, err := r.Body.Read(dst[len(dst):cap(dst)])
		dst = dst[:len(dst)+n]
		switch {
		case len(dst) > MaxBody:
			return dst, refuse(http.StatusRequestEntityTooLarge, ReasonLength, tooLong)
		case err == io.EOF:
			return dst, nil
		case err != nil:
			return dst, refuse(http.StatusBadRequest, ReasonRead, "the body broke off")
		}
	}
}

// refuseError refuses with an *Error of the decoder.
func refuseError(status int, err error) *refusal {
	var e *Error
	if !errors.As(err, &e) {
		return refuse(status, ReasonSyntax, "not a beacon")
	}
	return &refusal{status: status, Error: *e}
}
