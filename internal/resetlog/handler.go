package resetlog

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"catchment/internal/edge"
	"catchment/internal/tokens"
)

// maxBody bounds a request: a full batch has about 400 KiB.
const maxBody = 1 << 20

// Handler serves POST /v1/resets for authenticated PoPs: an edge.Resets, whose
// pop is the token's. The answer is 200 with an edge.ResetsAnswer once all of
// it is durable; or 400, 401, 405, 413, or 503 with Retry-After, and then
// nothing was kept. Sent again, it does no harm.
func (l *Log) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", http.MethodPost)
			http.Error(w, "want POST", http.StatusMethodNotAllowed)
			return
		}
		role, id, ok := l.cfg.Tokens.Identify(r)
		if !ok || role != tokens.PoP {
			w.Header().Set("WWW-Authenticate", "Bearer")
			l.refuse(w, http.StatusUnauthorized, errors.New("want a bearer token of role pop"))
			return
		}
		now := time.Now()
		b, err := decode(http.MaxBytesReader(w, r.Body, maxBody))
		if big := (*http.MaxBytesError)(nil); errors.As(err, &big) {
			l.refuse(w, http.StatusRequestEntityTooLarge, fmt.Errorf("a batch has at most %d bytes", big.Limit))
			return
		}
		if err == nil && string(b.PoP) != id {
			err = fmt.Errorf("pop: the token is of %q", id)
		}
		if err == nil {
			err = check(b, now)
		}
		if err != nil {
			l.refuse(w, http.StatusBadRequest, err)
			return
		}
		keys, err := l.keys.at(now)
		if err == nil {
			err = l.take(b, now)
		}
		if err != nil {
			l.log.Error("resets not kept", "pop", id, "error", err)
			w.Header().Set("Retry-After", "5")
			l.refuse(w, http.StatusServiceUnavailable, errors.New("the log cannot be written"))
			return
		}
		l.metrics.batches.WithLabelValues("ok").Inc()
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		// An error is the connection's: the PoP will ask again.
		_ = json.NewEncoder(w).Encode(edge.ResetsAnswer{Keys: keys, Ask: l.asking.of(b.PoP, now)})
	})
}

func (l *Log) refuse(w http.ResponseWriter, status int, why error) {
	l.metrics.batches.WithLabelValues("refused").Inc()
	http.Error(w, why.Error(), status)
}

func decode(r io.Reader) (*edge.Resets, error) {
	dec := json.NewDecoder(r)
	b := &edge.Resets{}
	if err := dec.Decode(b); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		if err == nil {
			err = errors.New("more than one value")
		}
		return nil, err
	}
	return b, nil
}

const (
	maxSkew = 10 * time.Minute // that a PoP's clock may be ahead
	maxAge  = 48 * time.Hour   // that a PoP may have been without the control node
	maxRun  = 64               // bytes
)

// check names the field that is wrong.
func check(b *edge.Resets, now time.Time) error {
	timely := func(t time.Time) bool { return t.Sub(now) <= maxSkew && now.Sub(t) <= maxAge }
	today := edge.DayOf(now)
	switch {
	case !slices.Contains(edge.ResetMethods, b.Method):
		return fmt.Errorf("method: %.20q is none", string(b.Method))
	case b.Run == "" || len(b.Run) > maxRun:
		return fmt.Errorf("run: want 1 to %d bytes", maxRun)
	case b.Seq == 0:
		return errors.New("seq: want 1 or more")
	case b.Key != 0 && (b.Key < today-2 || b.Key > today+1):
		return errors.New("key: not a day of late")
	case !timely(b.From) || !timely(b.Until) || b.Until.Before(b.From):
		return errors.New("from, until: not a time of late")
	case len(b.Resets) > edge.MaxResets:
		return fmt.Errorf("resets: %d (want at most %d)", len(b.Resets), edge.MaxResets)
	case len(b.Open) > edge.MaxOpenFlows:
		return fmt.Errorf("open: %d (want at most %d)", len(b.Open), edge.MaxOpenFlows)
	}
	for i := range b.Resets {
		if err := checkReset(&b.Resets[i], timely); err != nil {
			return fmt.Errorf("resets[%d].%w", i, err)
		}
	}
	for i := range b.Open {
		o := &b.Open[i]
		if !edge.ValidID(string(o.VIP)) || !short(o.Client) {
			return fmt.Errorf("open[%d]: want a vip, and a client of at most 24 or 48 bits", i)
		}
	}
	return nil
}

func checkReset(r *edge.Reset, timely func(time.Time) bool) error {
	kinds := []edge.ResetKind{edge.MidFlow, edge.TimedOut, edge.Excess}
	doubts := []edge.ResetDoubt{edge.NoDoubt, edge.DoubtStart, edge.DoubtClosed, edge.DoubtScan}
	whole := r.Kind == edge.Excess // of the machine
	switch {
	case !slices.Contains(kinds, r.Kind):
		return fmt.Errorf("kind: %.20q is none", string(r.Kind))
	case !slices.Contains(doubts, r.Doubt):
		return fmt.Errorf("doubt: %.20q is none", string(r.Doubt))
	case whole && (r.VIP != "" || r.Client.IsValid()):
		return errors.New("kind: excess is of no client and VIP")
	case !whole && !edge.ValidID(string(r.VIP)):
		return errors.New("vip: want the id of a VIP")
	case !whole && !short(r.Client):
		return errors.New("client: want a prefix of at most 24 or 48 bits")
	case r.Count == 0 || r.Count > 1<<40:
		return errors.New("count: out of range")
	case !timely(r.First) || !timely(r.Last) || r.Last.Before(r.First):
		return errors.New("first, last: not a time of late")
	case len(r.Flows) > edge.MaxResetFlows:
		return fmt.Errorf("flows: %d (want at most %d)", len(r.Flows), edge.MaxResetFlows)
	}
	return nil
}

// short reports whether p is a prefix that may be kept.
func short(p netip.Prefix) bool {
	most := 48
	if p.Addr().Is4() {
		most = 24
	}
	return p.IsValid() && p.Bits() <= most && p == p.Masked() && !p.Addr().Is4In6()
}
