package synth

import (
	"errors"
	"net"
	"os"
	"sync"
	"time"
)

// What ends a connection besides the network.
var (
	errSilent  = errors.New("synth: silent for too long")
	errOverrun = errors.New("synth: longer than any healthy download")
	errStopped = errors.New("synth: stopped")
)

// stallAfter is the silence from which on one is counted as a stall: four
// times what /slow leaves between writes, and a retransmission timeout's least.
const stallAfter = time.Second

// pulse is a TCP connection that is watched while it is read, whoever reads it:
// HTTP/1.1, TLS or HTTP/2. The longest allowed silence costs no timer a read:
// the deadline is set for the earliest moment at which it can be over, and
// moved on only when it strikes.
type pulse struct {
	net.Conn

	mu      sync.Mutex
	limit   time.Duration // of silence
	until   time.Time     // when all is over; zero: never
	last    time.Time     // when bytes came last, or the phase began
	due     bool          // bytes are due all the time: silences count
	gap     time.Duration
	stalls  int
	stopped bool
	err     error // the first one, from the socket
}

func newPulse(c net.Conn) *pulse { return &pulse{Conn: c} }

// phase begins a phase in which silences of at most limit are allowed, until
// the given moment, and counts them if bytes are due.
func (p *pulse) phase(limit time.Duration, until time.Time, due bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if p.due {
		p.beat(now)
	}
	p.limit, p.until, p.due, p.last = limit, until, due, now
	p.arm()
}

// arm sets the deadline. p.mu is held.
func (p *pulse) arm() {
	if p.stopped {
		return
	}
	at := p.last.Add(p.limit)
	if !p.until.IsZero() && p.until.Before(at) {
		at = p.until
	}
	// Not for writing, which does not wait: requests fit into the socket's
	// buffer. On a closed socket this fails, and reading says so, too.
	_ = p.Conn.SetReadDeadline(at)
}

// beat notes the silence that ends now. p.mu is held.
func (p *pulse) beat(now time.Time) {
	silence := now.Sub(p.last)
	p.last = now
	if !p.due {
		return
	}
	p.gap = max(p.gap, silence)
	if silence > stallAfter {
		p.stalls++
	}
}

// Read reads, however often the deadline strikes before its time.
func (p *pulse) Read(b []byte) (int, error) {
	for {
		n, err := p.Conn.Read(b)
		if again, err := p.note(n, err); !again {
			return n, err
		}
	}
}

func (p *pulse) note(n int, err error) (again bool, _ error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if n > 0 {
		p.beat(now)
	}
	if err == nil {
		return false, nil
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		switch {
		case p.stopped:
			err = errStopped
		case !p.until.IsZero() && !now.Before(p.until):
			err = errOverrun
		case now.Sub(p.last) >= p.limit:
			err = errSilent
		default:
			p.arm()
			return true, nil
		}
	}
	return false, p.fail(now, err)
}

// Write writes. Only stop sets a deadline for it.
func (p *pulse) Write(b []byte) (int, error) {
	n, err := p.Conn.Write(b)
	if err != nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			err = errStopped
		}
		err = p.fail(time.Now(), err)
	}
	return n, err
}

// fail keeps the first error and ends the silence before it. p.mu is held.
func (p *pulse) fail(now time.Time, err error) error {
	if p.err == nil {
		p.err = err
		p.beat(now)
		p.due = false
	}
	return err
}

// stop makes whoever reads or writes return errStopped.
func (p *pulse) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopped = true
	_ = p.Conn.SetDeadline(time.Unix(1, 0)) // the past
}

// seen returns the longest silence, how many were stalls, and the socket's
// first error.
func (p *pulse) seen() (gap time.Duration, stalls int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.gap, p.stalls, p.err
}
