// Package resetlog keeps what the reset watchers of PoPs hand in to the control
// node: a durable log in files by day, which reports read while it is written.
// It also brings PoPs together: it hands out the keys by which they hash
// connections, and asks the others about those that one of them reset.
package resetlog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"catchment/internal/daylog"
	"catchment/internal/edge"
	"catchment/internal/tokens"
)

// Config says where and how long a Log keeps what it is told.
type Config struct {
	Dir    string // DATA: files are DATA/resets/DAY/NUMBER.ndjson, keys DATA/keys/resets.json
	Tokens *tokens.Tokens

	// Retention is how long a day is kept after it has ended; 0 is forever.
	Retention time.Duration

	// MaxDayBytes bounds a day's files: 1 GiB. Beyond it nothing more is kept of
	// the day, and that is logged and counted: it takes a flood to get there.
	MaxDayBytes int64

	// MinFreeBytes is the floor under the file system's free space: 1 GiB. Below
	// it PoPs are asked to come again later.
	MinFreeBytes uint64
}

// Places tells where an address is. Unknown addresses have an empty place.
type Places interface {
	Lookup(netip.Addr) edge.Place
}

// Log is the log. Safe for concurrent use.
type Log struct {
	cfg     Config
	places  Places
	log     *slog.Logger
	metrics *metrics
	keys    keyring
	asking  asking

	days *daylog.Log[edge.ResetRecord]

	mu    sync.Mutex // all that follows; held while files are written
	full  edge.Day   // that was logged to be full
	batch map[edge.PoPID]batch
}

// batch is the last one taken of a PoP.
type batch struct {
	run string
	seq uint64
	Heard
}

// Heard is what a PoP's reset watcher last said of itself, by the PoP's clock.
type Heard struct {
	Until  time.Time // it has told what happened until then
	Method edge.ResetMethod
}

// Heard returns the PoPs that were heard of since the start. Watchers also hand
// in that there was nothing.
func (l *Log) Heard() map[edge.PoPID]Heard {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := map[edge.PoPID]Heard{}
	for pop, b := range l.batch {
		all[pop] = b.Heard
	}
	return all
}

// New returns a log that goes on where the former one ended.
func New(cfg Config, places Places, log *slog.Logger, reg prometheus.Registerer) (*Log, error) {
	if cfg.Dir == "" {
		return nil, errors.New("resetlog: no data directory given")
	}
	if cfg.Retention < 0 || cfg.MaxDayBytes < 0 {
		return nil, errors.New("resetlog: Retention and MaxDayBytes: want 0 or more")
	}
	if cfg.MaxDayBytes == 0 {
		cfg.MaxDayBytes = 1 << 30
	}
	if cfg.MinFreeBytes == 0 {
		cfg.MinFreeBytes = 1 << 30
	}
	m, err := newMetrics(reg)
	if err != nil {
		return nil, err
	}
	days := daylog.New[edge.ResetRecord](daylog.Config{Dir: dir(cfg.Dir), MaxDayBytes: cfg.MaxDayBytes, MinFreeBytes: cfg.MinFreeBytes})
	l := &Log{cfg: cfg, places: places, log: log, metrics: m, days: days, batch: map[edge.PoPID]batch{}}
	if err := l.keys.load(filepath.Join(cfg.Dir, "keys", "resets.json")); err != nil {
		return nil, err
	}
	return l, nil
}

// Run drops days whose retention is over, until ctx is done; then it closes
// the log.
func (l *Log) Run(ctx context.Context) error {
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		if err := l.days.DropOld(l.cfg.Retention, time.Now()); err != nil {
			l.log.Error("old resets not dropped, will try again", "error", err)
		}
		select {
		case <-ctx.Done():
			return l.days.Close()
		case <-tick.C:
		}
	}
}

// take keeps a batch that was checked, unless it has been taken before.
func (l *Log) take(b *edge.Resets, now time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if last := l.batch[b.PoP]; last.run == b.Run && b.Seq <= last.seq {
		return nil
	}
	if err := l.append(l.records(b, now), now); err != nil {
		return err
	}
	l.batch[b.PoP] = batch{b.Run, b.Seq, Heard{b.Until, b.Method}}
	l.metrics.count(b)
	l.asking.add(b, now)
	return nil
}

// records are what is kept of a batch.
func (l *Log) records(b *edge.Resets, now time.Time) []edge.ResetRecord {
	head := edge.ResetRecord{Received: now.UTC(), PoP: b.PoP, Method: b.Method}
	var all []edge.ResetRecord
	for i := range b.Resets {
		r := head
		r.Reset = &b.Resets[i]
		r.Place = l.place(r.Reset.Client)
		if len(r.Reset.Flows) > 0 {
			r.Key = b.Key
		}
		all = append(all, r)
	}
	for i := range b.Open {
		r := head
		r.Open = &b.Open[i]
		r.Place = l.place(r.Open.Client)
		all = append(all, r)
	}
	if b.Overflow > 0 {
		r := head
		r.Overflow = b.Overflow
		all = append(all, r)
	}
	return all
}

// append writes records. Of a day whose log is full nothing more is kept.
func (l *Log) append(records []edge.ResetRecord, now time.Time) error {
	err := l.days.Append(records, now)
	if !errors.Is(err, daylog.ErrFull) {
		if err != nil {
			err = fmt.Errorf("resetlog: %w", err)
		}
		return err
	}
	l.metrics.dropped.Add(float64(len(records)))
	if day := edge.DayOf(now); l.full != day {
		l.log.Warn("the day's log of resets is full: no more is kept of it", "day", day.String(), "bytes", l.cfg.MaxDayBytes)
		l.full = day
	}
	return nil
}

// place is that of a prefix's first address, all that is known of the client,
// without coordinates, which no report wants.
func (l *Log) place(p netip.Prefix) edge.Place {
	if !p.IsValid() || l.places == nil {
		return edge.Place{}
	}
	where := l.places.Lookup(p.Addr())
	where.Lat, where.Lon = 0, 0
	return where
}

func dir(data string) string { return filepath.Join(data, "resets") }
