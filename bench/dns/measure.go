package main

import (
	"errors"
	"fmt"
	"os"
	"time"
)

// result is what was measured of a server.
type result struct {
	*contender `json:"-"`
	daemon     *daemon
	load       *load

	Name      string `json:"name"`
	Saturated series `json:"saturated"` // a window of queries always under way
	Offered   series `json:"offered"`   // a fixed rate
	RSS       int64  `json:"rss"`       // bytes, after the last round
	Answered  int    `json:"answered"`
	Wrong     int    `json:"wrong"` // other than the right address
	Wide      int    `json:"wide"`  // the right address, for others as well
	Lost      int    `json:"lost"`  // no answer within the timeout
}

// series has an element for each round.
type series struct {
	Cost []float64 `json:"cost"` // CPU time per answer, µs
	Rate []float64 `json:"rate"` // answers per second
	Busy []float64 `json:"busy"` // share of its processor that the server used
	P50  []float64 `json:"p50,omitempty"`
	P99  []float64 `json:"p99,omitempty"` // latencies, µs

	sum slice // of the round so far
}

// slice is a short time under load. A round has several of each server, in
// turns, because what else the machine does changes from second to second.
type slice struct {
	used, took time.Duration // CPU time, wall time
	answered   int
}

// begin starts a server, waits until it answers, and sees to it that it answers
// rightly before anything is measured.
func begin(c *contender) (*result, error) {
	start := time.Now()
	d, err := c.start()
	if err != nil {
		return nil, err
	}
	r := &result{contender: c, daemon: d, Name: c.name}
	if err := r.ready(start); err != nil {
		d.stop()
		return nil, err
	}
	return r, nil
}

func (r *result) ready(start time.Time) (err error) {
	if err := r.daemon.waitFor(r.queries[0]); err != nil {
		return err
	}
	took := time.Since(start)
	if r.queries[0].signed() {
		if err := verify(r.daemon.addr, r.queries); err != nil {
			return err
		}
	}
	if r.load, err = newLoad(r.daemon.addr, r.queries); err != nil {
		return err
	}
	if err := errors.Join(r.load.saturate(time.Second), r.load.drain()); err != nil {
		return err
	}
	t := &r.load.tally
	if t.answered == 0 || t.wrong*10 > t.answered {
		return fmt.Errorf("%d of %d answers are wrong\n%s", t.wrong, t.answered, &r.daemon.out)
	}
	fmt.Fprintf(os.Stderr, "%-28s answers after %v; then %d right, %d wrong, %d with too wide a scope, %d lost\n",
		r.Name, took.Round(time.Millisecond), t.answered-t.wrong-t.wide, t.wrong, t.wide, t.lost)
	*t = tally{}
	return nil
}

// saturated is one slice of a round.
func (r *result) saturated(warm, span time.Duration) error {
	return r.slice(&r.Saturated.sum, warm, span, r.load.saturate)
}

// offered is one slice of a round at a fixed rate.
func (r *result) offered(rate int, warm, span time.Duration) error {
	return r.slice(&r.Offered.sum, warm, span, func(d time.Duration) error { return r.load.offer(rate, d) })
}

func (r *result) slice(sum *slice, warm, span time.Duration, drive func(time.Duration) error) error {
	if err := drive(warm); err != nil {
		return err
	}
	cpu, err := r.daemon.cpu()
	if err != nil {
		return err
	}
	start, answered := r.load.now(), r.load.answered
	r.load.keep = sum == &r.Offered.sum
	if err := drive(span); err != nil {
		return err
	}
	r.load.keep = false
	after, err := r.daemon.cpu()
	if err != nil {
		return err
	}
	sum.used += after - cpu
	sum.took += r.load.now() - start
	sum.answered += r.load.answered - answered
	return r.load.drain()
}

// finish ends a round.
func (r *result) finish() (err error) {
	for _, s := range []*series{&r.Saturated, &r.Offered} {
		if s.sum.answered == 0 {
			return errors.New("nothing was answered")
		}
		s.Cost = append(s.Cost, micros(s.sum.used)/float64(s.sum.answered))
		s.Rate = append(s.Rate, float64(s.sum.answered)/s.sum.took.Seconds())
		s.Busy = append(s.Busy, s.sum.used.Seconds()/s.sum.took.Seconds())
		s.sum = slice{}
	}
	t := &r.load.tally
	r.Offered.P50 = append(r.Offered.P50, micros(t.percentile(50)))
	r.Offered.P99 = append(r.Offered.P99, micros(t.percentile(99)))
	t.latencies = t.latencies[:0]
	r.Answered, r.Wrong, r.Wide, r.Lost = t.answered, t.wrong, t.wide, t.lost
	r.RSS, err = r.daemon.rss()
	return err
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
