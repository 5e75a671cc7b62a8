package follow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"catchment/internal/edge"
)

// maxBytes bounds a snapshot as JSON, uncompressed. Orders of a million cells
// with ten PoPs each take about half of it.
const maxBytes = 256 << 20

// Limits of time.
const (
	firstWait = 2 * time.Second       // for the control node at start, before the file will do
	bodyWait  = 5 * time.Minute       // for a snapshot on a bad link
	pace      = 50 * time.Millisecond // between two requests, whatever the server does
	minRetry  = 500 * time.Millisecond
	maxRetry  = 30 * time.Second
)

// Source is where the snapshot in use came from.
type Source string

// The sources.
const (
	FromControl Source = "control" // by the control node, in this process's life
	FromDisk    Source = "disk"    // by the control node, in an earlier life
	FromFile    Source = "file"    // by the operator
)

// Follower keeps a role supplied with the control node's snapshots.
//
// Versions only rise. One that is lower than the snapshot in use is refused:
// it is of a control node whose state was restored from a backup, or of
// another. The follower names the version it has, and the control node then
// leaps over it, so that its state as it is now reaches everyone.
type Follower struct {
	client  *Client
	file    string
	apply   func(*edge.Snapshot) error
	log     *slog.Logger
	metrics *Metrics

	have    held   // what was applied last
	refused held   // what was refused last
	least   uint64 // until something is applied: the version on disk
	failing string
}

type held struct {
	version uint64
	made    time.Time
}

// New returns a follower that keeps the last good snapshot in file. Apply gets
// every new snapshot, one at a time; one that it refuses is kept out. Call
// First, then Run.
func New(client *Client, file string, apply func(*edge.Snapshot) error, log *slog.Logger, reg prometheus.Registerer) (*Follower, error) {
	m, err := NewMetrics(reg)
	if err != nil {
		return nil, err
	}
	return &Follower{client: client, file: file, apply: apply, log: log, metrics: m}, nil
}

// First returns once a first snapshot has been applied: the control node's, or
// the one on disk if that is later, or if the control node does not answer
// within two seconds. With neither it waits for the control node until ctx is
// done, whose error it then returns.
func (f *Follower) First(ctx context.Context) error {
	disk, written, unread := f.readDisk()
	if disk != nil {
		f.least = disk.Version
	}
	soon, cancel := context.WithTimeout(ctx, firstWait)
	defer cancel()
	err := f.poll(soon)
	if err == nil && f.have.version > 0 {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	f.note(err)
	if unread == nil {
		unread = f.useDisk(disk, written)
	}
	switch {
	case unread == nil:
		return nil
	case errors.Is(unread, fs.ErrNotExist):
		f.log.Warn("no snapshot yet, waiting for the control node", "file", f.file)
	default:
		f.metrics.Refused()
		f.log.Error("snapshot on disk refused, waiting for the control node", "file", f.file, "error", unread)
	}
	f.least = 0
	return f.follow(ctx, func() bool { return f.have.version > 0 })
}

// Run applies every new snapshot until ctx is done. It always returns nil:
// while the control node is away, or says what cannot be used, the snapshot in
// use stays.
func (f *Follower) Run(ctx context.Context) error {
	_ = f.follow(ctx, func() bool { return false })
	return nil
}

func (f *Follower) follow(ctx context.Context, enough func() bool) error {
	retry := minRetry
	for !enough() {
		err := f.poll(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		f.note(err)
		wait := pace
		if err != nil {
			wait = retry/2 + rand.N(retry/2)
			retry = min(maxRetry, 2*retry)
		} else {
			retry = minRetry
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
	}
	return nil
}

// note logs when it begins to fail, when it fails otherwise, and when it is
// well again.
func (f *Follower) note(err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	switch {
	case text == f.failing:
	case err != nil:
		f.log.Error("snapshot not followed, the one in use stays", "version", f.have.version, "error", err)
	default:
		f.log.Info("snapshot followed again", "version", f.have.version)
	}
	f.failing = text
}

// poll asks for a snapshot after the newest one that it has seen, and applies
// what it gets. No error means that there is contact; it may be without a new
// snapshot.
func (f *Follower) poll(ctx context.Context) error {
	seen := f.have
	if f.refused.version > seen.version {
		seen = f.refused // will not do the next time either
	}
	query := url.Values{"after": {strconv.FormatUint(seen.version, 10)}}
	if seen.version > 0 {
		query.Set("made", seen.made.Format(time.RFC3339Nano))
	}
	if f.refused.version > 0 {
		query.Set("refused", strconv.FormatUint(f.refused.version, 10))
	}
	data, err := f.fetch(ctx, "/v1/snapshot?"+query.Encode())
	f.metrics.polled(err)
	switch {
	case err != nil:
		return err
	case data == nil:
		if seen == f.have {
			f.metrics.newestAt(time.Now())
			f.metrics.Applied(f.have.version, FromControl)
		}
		return nil
	}
	s, err := f.use(data)
	if err != nil {
		f.metrics.Refused()
		if s != nil {
			f.refused = held{s.Version, s.Made}
		}
		return err
	}
	f.metrics.newestAt(time.Now())
	f.metrics.Applied(s.Version, FromControl)
	f.log.Info("snapshot applied", "version", s.Version, "bytes", len(data))
	if err := writeFile(f.file, data); err != nil {
		f.log.Error("snapshot not kept on disk", "version", s.Version, "error", err)
	}
	return nil
}

// fetch returns a body, nil if there is nothing new.
func (f *Follower) fetch(ctx context.Context, path string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, bodyWait)
	defer cancel()
	resp, err := f.client.do(ctx, http.MethodGet, path, nil)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusNotModified {
		return nil, nil
	}
	return readAll(resp.Body, maxBytes)
}

// use decodes and applies a snapshot. With an error it returns what could not
// be applied.
func (f *Follower) use(data []byte) (*edge.Snapshot, error) {
	s, err := decode(data)
	if err != nil {
		return nil, err
	}
	if s.Version <= f.have.version || s.Version < f.least {
		return nil, fmt.Errorf("follow: snapshot %d is not above %d", s.Version, max(f.have.version, f.least))
	}
	return s, f.take(s)
}

func (f *Follower) take(s *edge.Snapshot) error {
	if err := f.apply(s); err != nil {
		return fmt.Errorf("follow: snapshot %d refused: %w", s.Version, err)
	}
	f.have, f.refused = held{s.Version, s.Made}, held{}
	return nil
}

func (f *Follower) readDisk() (*edge.Snapshot, time.Time, error) {
	data, written, err := readFile(f.file)
	if err != nil {
		return nil, written, err
	}
	s, err := decode(data)
	return s, written, err
}

func (f *Follower) useDisk(s *edge.Snapshot, written time.Time) error {
	if err := f.take(s); err != nil {
		return err
	}
	f.metrics.newestAt(written)
	f.metrics.Applied(s.Version, FromDisk)
	f.log.Warn("started from the snapshot on disk", "version", s.Version, "made", s.Made)
	return nil
}

// decode reads a snapshot. Keys of a later version are passed over.
func decode(data []byte) (*edge.Snapshot, error) {
	s := &edge.Snapshot{}
	if err := json.Unmarshal(data, s); err != nil {
		return nil, fmt.Errorf("follow: snapshot: %w", err)
	}
	if s.Version == 0 || s.Fleet == nil {
		return nil, errors.New("follow: snapshot: has no version or no fleet")
	}
	return s, nil
}

// ReadFile reads a snapshot that the operator has in a file.
func ReadFile(file string) (*edge.Snapshot, error) {
	data, _, err := readFile(file)
	if err != nil {
		return nil, err
	}
	s, err := decode(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return s, nil
}
