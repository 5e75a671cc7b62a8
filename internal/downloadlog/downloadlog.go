// Package downloadlog keeps what synthetic agents hand in to the control node:
// a durable log in files by day, which reports read while it is written.
package downloadlog

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
	Dir    string // DATA: files are DATA/downloads/DAY/NUMBER.ndjson, by the day of receipt
	Tokens *tokens.Tokens

	// Retention is how long a day is kept after it has ended; 0 is forever.
	Retention time.Duration

	// MaxDayBytes bounds a day's files: 8 GiB, some 10 million records. Beyond it
	// agents are asked to come again the next day: they spool meanwhile.
	MaxDayBytes int64

	// MinFreeBytes is the floor under the file system's free space: 1 GiB. Below
	// it agents are asked to come again later.
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

	days *daylog.Log[edge.DownloadRecord]

	mu     sync.Mutex // held while files are written
	recent recent     // guarded by mu
}

// New returns a log that goes on where the former one ended.
func New(cfg Config, places Places, log *slog.Logger, reg prometheus.Registerer) (*Log, error) {
	if cfg.Dir == "" {
		return nil, errors.New("downloadlog: no data directory given")
	}
	if cfg.Retention < 0 || cfg.MaxDayBytes < 0 {
		return nil, errors.New("downloadlog: Retention and MaxDayBytes: want 0 or more")
	}
	if cfg.MaxDayBytes == 0 {
		cfg.MaxDayBytes = 8 << 30
	}
	if cfg.MinFreeBytes == 0 {
		cfg.MinFreeBytes = 1 << 30
	}
	m, err := newMetrics(reg)
	if err != nil {
		return nil, err
	}
	days := daylog.New[edge.DownloadRecord](daylog.Config{Dir: dir(cfg.Dir), MaxDayBytes: cfg.MaxDayBytes, MinFreeBytes: cfg.MinFreeBytes})
	l := &Log{cfg: cfg, places: places, log: log, metrics: m, days: days}
	if err := l.recent.load(cfg.Dir); err != nil {
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
			l.log.Error("old downloads not dropped, will try again", "error", err)
		}
		select {
		case <-ctx.Done():
			return l.days.Close()
		case <-tick.C:
		}
	}
}

// take keeps what of a batch, which was checked, has not been taken before.
func (l *Log) take(batch []edge.Download, from netip.Addr, now time.Time) error {
	head := edge.DownloadRecord{Received: now.UTC(), Client: cut(from)}
	if l.places != nil {
		head.Place = l.places.Lookup(from)
		head.Place.Lat, head.Place.Lon = 0, 0 // which no report wants
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	var records []edge.DownloadRecord
	here := map[string]bool{}
	for i := range batch {
		d := &batch[i]
		if here[d.ID] || l.recent.has(d.ID) {
			l.metrics.again.Inc()
			continue
		}
		here[d.ID] = true
		r := head
		r.Download = d
		records = append(records, r)
	}
	if err := l.days.Append(records, now); err != nil {
		return fmt.Errorf("downloadlog: %w", err)
	}
	for i := range records {
		l.recent.add(records[i].Download.ID)
		l.metrics.count(records[i].Download)
	}
	return nil
}

// cut returns the /24 or /48 around an address.
func cut(a netip.Addr) netip.Prefix {
	bits := 48
	if a = a.Unmap().WithZone(""); a.Is4() {
		bits = 24
	}
	p, _ := a.Prefix(bits) // no address has no prefix
	return p
}

func dir(data string) string { return filepath.Join(data, "downloads") }
