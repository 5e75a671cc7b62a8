package pop

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"time"
)

const (
	// bigBytes is the default size of /big: 45 full-size segments of 1460
	// bytes, where a sender starts with 10 (RFC 6928). So it cannot arrive
	// unless full-size packets do, and unless their acknowledgments come back.
	bigBytes = 64 << 10

	// slowSeconds is the default length of /slow: more than a minute, so that
	// a page's longest connections are covered.
	slowSeconds = 75

	// slowTick is the time between two writes of /slow. A change of path is
	// seen within this time and the retransmission timeout after it.
	slowTick       = 250 * time.Millisecond
	slowBytesATick = 100

	// busyRetry is what clients are told to wait while others download.
	busyRetry = 30 * time.Second
)

// newNoise returns bytes that no proxy can compress. They repeat beyond twice
// the window of gzip (32 KiB), and are the same in every process.
func newNoise() []byte {
	b := make([]byte, bigBytes)
	_, _ = rand.NewChaCha8([32]byte{}).Read(b) // cannot fail
	return b
}

// big sends bytes as fast as the client takes them.
func (s *Server) big(a *answer) {
	size, err := param(a, "bytes", bigBytes, s.cfg.Limits.BigBytes)
	if err != nil {
		s.text(a, http.StatusBadRequest, err.Error()+"\n")
		return
	}
	s.download(a, size, func(send func(upTo int64) error) error { return send(size) })
}

// slow spreads its bytes evenly over its seconds, in writes a slowTick apart;
// the last byte is sent when the time is up. After a write that took long it
// catches up. When the server is asked to stop the rest is sent at once.
func (s *Server) slow(a *answer) {
	seconds, err := param(a, "seconds", slowSeconds, int64(s.cfg.Limits.SlowTime/time.Second))
	var size int64
	if err == nil {
		ticks := seconds * int64(time.Second/slowTick)
		size, err = param(a, "bytes", min(ticks*slowBytesATick, s.cfg.Limits.SlowBytes), s.cfg.Limits.SlowBytes)
	}
	if err != nil {
		s.text(a, http.StatusBadRequest, err.Error()+"\n")
		return
	}
	s.download(a, size, func(send func(upTo int64) error) error {
		begin, length := time.Now(), time.Duration(seconds)*time.Second
		ticker := time.NewTicker(slowTick)
		defer ticker.Stop()
		for {
			select {
			case <-a.r.Context().Done():
				return a.r.Context().Err()
			case <-s.stopping:
				return errors.Join(send(size), errHurried)
			case now := <-ticker.C:
				elapsed := min(now.Sub(begin), length)
				// Milliseconds, lest the product overflow.
				if err := send(size * elapsed.Milliseconds() / length.Milliseconds()); err != nil || elapsed == length {
					return err
				}
			}
		}
	})
}

// errHurried says that a slow object was sent before its time.
var errHurried = errors.New("pop: hurried")

// download answers with size bytes, which body sends piece by piece through
// send: up to a total, flushed, with a deadline for each write.
func (s *Server) download(a *answer, size int64, body func(send func(upTo int64) error) error) {
	h := a.w.Header()
	if a.r.Method != http.MethodHead {
		leave, ok := s.enter(a, size)
		if !ok {
			return
		}
		defer leave()
	}
	h["Content-Type"] = anyBytes
	h["Content-Length"] = []string{strconv.FormatInt(size, 10)}
	s.head(a, http.StatusOK)
	if a.r.Method == http.MethodHead {
		return
	}
	rc := http.NewResponseController(a.w)
	var sent int64
	send := func(upTo int64) error {
		for sent < upTo {
			_ = rc.SetWriteDeadline(time.Now().Add(writeTimeout))
			at := sent % int64(len(s.noise))
			piece := s.noise[at:min(int64(len(s.noise)), at+upTo-sent)]
			n, err := a.w.Write(piece)
			sent += int64(n)
			if err != nil {
				return err
			}
			if err := rc.Flush(); err != nil {
				return err
			}
		}
		return nil
	}
	_ = rc.SetWriteDeadline(time.Now().Add(writeTimeout))
	err := rc.Flush()
	if err == nil {
		err = body(send)
	}
	how := "complete"
	switch {
	case errors.Is(err, errHurried) && sent == size:
		how = "hurried"
	case errors.Is(err, os.ErrDeadlineExceeded):
		how = "stalled"
	case err != nil:
		how = "gone"
	}
	s.metrics.ends.WithLabelValues(a.object, how).Inc()
	s.metrics.sent.WithLabelValues(a.object).Add(float64(sent))
}

// enter counts a download of size bytes for its client until leave is called,
// or answers that it is over a limit.
func (s *Server) enter(a *answer, size int64) (leave func(), ok bool) {
	client := prefixOf(a.conn.client())
	refuse := func(code int, limit string, wait time.Duration, why string) (func(), bool) {
		s.metrics.overLimit.WithLabelValues(limit).Inc()
		a.w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
		s.text(a, code, why)
		return nil, false
	}
	switch s.loads.enter(client) {
	case fullTotal:
		return refuse(http.StatusServiceUnavailable, "total", busyRetry, "too many downloads are under way\n")
	case fullPrefix:
		return refuse(http.StatusTooManyRequests, "prefix", busyRetry, "too many downloads are under way for your network\n")
	}
	if wait := s.budget.spend(time.Now(), client, size); wait > 0 {
		s.loads.leave(client)
		return refuse(http.StatusTooManyRequests, "bytes", wait, "your network has downloaded too much this minute\n")
	}
	s.metrics.downloads.Inc()
	return func() {
		s.loads.leave(client)
		s.metrics.downloads.Dec()
	}, true
}

// param returns the whole number from 1 to most that the query gives under
// name, or otherwise if it gives none.
func param(a *answer, name string, otherwise, most int64) (int64, error) {
	text := a.r.URL.Query().Get(name)
	if text == "" {
		return min(otherwise, most), nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 1 || n > most {
		return 0, fmt.Errorf("%s: %.20q is not a whole number from 1 to %d", name, text, most)
	}
	return n, nil
}
