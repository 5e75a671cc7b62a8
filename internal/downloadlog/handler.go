package downloadlog

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"time"

	"catchment/internal/edge"
	"catchment/internal/tokens"
)

// maxBody bounds a request: an agent's full batch has up to 512 KiB.
const maxBody = 1 << 20

// Handler serves POST /v1/downloads for authenticated agents: a JSON array of
// 1 to edge.MaxDownloads elements edge.Download. The answer is 204 once all of
// it is durable; or 400, which names the field, 401, 405, 413, or 503 with
// Retry-After, and then nothing was kept. Sent again, it does no harm.
func (l *Log) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", http.MethodPost)
			http.Error(w, "want POST", http.StatusMethodNotAllowed)
			return
		}
		role, id, ok := l.cfg.Tokens.Identify(r)
		if !ok || role != tokens.Synth {
			w.Header().Set("WWW-Authenticate", "Bearer")
			l.refuse(w, http.StatusUnauthorized, errors.New("want a bearer token of role synth"))
			return
		}
		now := time.Now()
		batch, err := decode(http.MaxBytesReader(w, r.Body, maxBody))
		if big := (*http.MaxBytesError)(nil); errors.As(err, &big) {
			l.refuse(w, http.StatusRequestEntityTooLarge, fmt.Errorf("a batch has at most %d bytes", big.Limit))
			return
		}
		if err == nil {
			err = check(batch, now)
		}
		if err != nil {
			l.refuse(w, http.StatusBadRequest, err)
			return
		}
		from, err := netip.ParseAddrPort(r.RemoteAddr)
		if err != nil {
			from = netip.AddrPort{} // not TCP: of no place
		}
		if err := l.take(batch, from.Addr().Unmap(), now); err != nil {
			l.log.Error("downloads not kept", "token", id, "error", err)
			w.Header().Set("Retry-After", "5")
			l.refuse(w, http.StatusServiceUnavailable, errors.New("the log cannot be written"))
			return
		}
		l.metrics.batches.WithLabelValues("ok").Inc()
		w.WriteHeader(http.StatusNoContent)
	})
}

func (l *Log) refuse(w http.ResponseWriter, status int, why error) {
	l.metrics.batches.WithLabelValues("refused").Inc()
	http.Error(w, why.Error(), status)
}

// decode reads one array and nothing else. It stops at an element too many.
func decode(r io.Reader) (batch []edge.Download, err error) {
	dec := json.NewDecoder(r)
	if t, err := dec.Token(); err != nil {
		return nil, err
	} else if t != json.Delim('[') {
		return nil, errors.New("want an array")
	}
	for dec.More() {
		if len(batch) == edge.MaxDownloads {
			return nil, fmt.Errorf("more than %d records", edge.MaxDownloads)
		}
		var d *edge.Download
		if err := dec.Decode(&d); err != nil {
			return nil, fmt.Errorf("[%d]: %w", len(batch), err)
		}
		if d == nil {
			return nil, fmt.Errorf("[%d]: null", len(batch))
		}
		batch = append(batch, *d)
	}
	if _, err := dec.Token(); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		if err == nil {
			err = errors.New("more than one value")
		}
		return nil, err
	}
	return batch, nil
}
