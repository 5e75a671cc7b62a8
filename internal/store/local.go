package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"catchment/internal/edge"
)

// Store keeps beacons in a directory that it alone writes. Append makes them
// durable in the write-ahead log; Run moves them into segments from there.
//
// The life of a beacon: Append encodes it, drops it if its id is known, and
// puts it into the group that gathers for the next commit. The committer
// writes the group as one entry of the log and syncs it, upon which all its
// Appends return. Sealing writes the next few entries as segments, one for
// each day, named by the entries' indexes, and then drops those entries.
// After a crash in between, Open finds the entries still there and writes the
// same segments again.
type Store struct {
	cfg     Config
	log     *slog.Logger
	metrics *metrics
	disk    *diskFloor
	lock    *os.File
	wal     *writeAheadLog
	now     func() time.Time

	mu        sync.Mutex // for what follows
	dedupe    *deduper
	gathering *group   // takes records; nil before the first one
	spare     []byte   // memory for the next group's entry
	unsealed  []*group // gathering, committing, committed; by index
	committed uint64   // index of the last entry that is durable
	logRows   int      // in committed entries
	logBytes  int64    // likewise
	failed    error    // the log cannot be trusted any more
	closed    bool
	fresh     bool // was new when it was opened, and nothing asked for a Bulk

	wake          chan struct{} // to the committer: a group gathers, or it is time to stop
	committerDone chan struct{}
	sealDue       chan struct{} // to Run: SealRows wait

	records  sync.Pool  // of *records
	memory   sync.Pool  // of *segmentMemory
	sealing  sync.Mutex // one seal at a time
	sealedTo atomic.Uint64
	history  sync.RWMutex                  // merging excludes a Bulk
	retiring sync.Mutex                    // loading ids and dropping what is sealed exclude each other
	spans    map[edge.Day]map[Segment]span // of segments that ids were looked for in; for retiring's holder
	running  atomic.Bool                   // Run is at it
	step     func(string)                  // tests: called between the steps of sealing and of compaction
}

// Open opens the store in cfg.Dir, which it locks against all other processes
// until Close; while another one has it the error names that. What a crash left
// in the log is sealed before Open returns.
//
// It is complete without Run, for short jobs: Append then seals at times.
func Open(cfg Config, log *slog.Logger, reg prometheus.Registerer) (*Store, error) {
	if err := cfg.setDefaults(); err != nil {
		return nil, err
	}
	return open(cfg, log, reg, nil)
}

// testHooks replace the machine.
type testHooks struct {
	now  func() time.Time
	free func(dir string) (uint64, error)
	step func(name string)

	logFile int // bytes
}

func open(cfg Config, log *slog.Logger, reg prometheus.Registerer, hooks *testHooks) (_ *Store, err error) {
	if hooks == nil {
		hooks = &testHooks{}
	}
	s := &Store{
		cfg:           cfg,
		log:           log,
		now:           hooks.now,
		step:          hooks.step,
		dedupe:        newDeduper(cfg.DedupeBytes),
		wake:          make(chan struct{}, 1),
		committerDone: make(chan struct{}),
		sealDue:       make(chan struct{}, 1),
		spans:         map[edge.Day]map[Segment]span{},
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.step == nil {
		s.step = func(string) {}
	}
	if err := makeDir(walDir(cfg.Dir)); err != nil {
		return nil, err
	}
	if s.lock, err = lockDir(cfg.Dir); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = s.release()
		}
	}()
	if s.wal, err = openLog(walDir(cfg.Dir), cmp.Or(hooks.logFile, logFileBytes), log); err != nil {
		return nil, err
	}
	s.disk = newDiskFloor(cfg.Dir, cfg.MinFreeBytes, hooks.free)
	if s.metrics, err = newMetrics(s, reg); err != nil {
		return nil, err
	}
	if err := s.recover(); err != nil {
		return nil, err
	}
	go s.commitLoop()
	return s, nil
}

// Close makes everything durable that was appended, seals it, and gives the
// directory free. Appends that come later fail. It is an error to close while
// Run runs.
func (s *Store) Close() error {
	if s.running.Load() {
		return errors.New("store: Close while Run runs")
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.mu.Unlock()
	s.wakeCommitter()
	<-s.committerDone
	return errors.Join(s.sealAll(), s.release())
}

// release closes what is open.
func (s *Store) release() error {
	var errs []error
	if s.metrics != nil {
		s.metrics.unregister()
	}
	if s.wal != nil {
		errs = append(errs, s.wal.close())
	}
	return errors.Join(append(errs, s.lock.Close())...)
}

// Append stores beacons and returns when they are durable: they survive the
// process and the machine from then on. One whose id is stored already is left
// out, and waited for if it is not durable yet; stored counts the others. It
// retains nothing of the beacons.
//
// The error is ErrBusy, ErrDisk, ctx's, or says what is wrong with a beacon or
// with the disk. Some of the beacons may be stored nevertheless, and appending
// all of them again stores each once.
func (s *Store) Append(ctx context.Context, beacons ...*edge.Beacon) (stored int, err error) {
	for len(beacons) > 0 && err == nil {
		chunk := beacons[:min(appendChunk, len(beacons))]
		beacons = beacons[len(chunk):]
		var n int
		n, err = s.appendChunk(ctx, chunk)
		stored += n
	}
	return stored, err
}

// appendChunk is how many beacons wait for one commit at most, so that a long
// list does not fill the queue by itself.
const appendChunk = 1024

func (s *Store) appendChunk(ctx context.Context, beacons []*edge.Beacon) (stored int, err error) {
	return s.Stage(ctx, beacons...).Wait(ctx)
}

// Pending is what becomes of beacons that were staged.
type Pending struct {
	store  *Store
	last   *group // durable when all are; nil when they are already
	given  int
	stored int
	err    error
}

// Stage is the first half of Append, which retains nothing of the beacons but
// does not wait: so that who has many senders waiting need not keep what they
// have sent in memory. The beacons, of which there should be no more than a
// thousand, are durable once Wait has returned no error.
func (s *Store) Stage(ctx context.Context, beacons ...*edge.Beacon) Pending {
	stored, last, err := s.enqueue(ctx, beacons)
	return Pending{store: s, last: last, given: len(beacons), stored: stored, err: err}
}

// Wait is the second half of Append, and returns what Append does.
func (p Pending) Wait(ctx context.Context) (stored int, err error) {
	s, err := p.store, p.err
	if p.last != nil {
		// Groups are committed in order, and none after one that failed.
		if err2 := p.last.wait(ctx); err2 != nil {
			err = errors.Join(err, err2)
		}
	}
	s.metrics.count(p.stored, p.given, err)
	if (err == nil || errors.Is(err, ErrBusy)) && !s.running.Load() {
		err = errors.Join(err, s.sealIfDue())
	}
	return p.stored, err
}

// Run seals what was appended at least every Config.SealEvery, merges small
// segments and drops days past Config.Retention. When ctx is done it seals
// everything and returns nil. It returns an error when the log cannot be
// written any more: what is in it is sealed by the next Open. Other failures,
// a full disk first of all, are logged and outlasted.
func (s *Store) Run(ctx context.Context) error {
	if !s.running.CompareAndSwap(false, true) {
		return errors.New("store: Run runs already")
	}
	defer s.running.Store(false)
	ctx, cancel := context.WithCancel(ctx)
	maintained := make(chan struct{})
	go func() {
		defer close(maintained)
		s.maintainLoop(ctx)
	}()
	defer func() {
		cancel()
		<-maintained
	}()

	tick := time.NewTicker(s.cfg.SealEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return s.sealAll()
		case <-tick.C:
		case <-s.sealDue:
		}
		if err := s.failure(); err != nil {
			return err
		}
		if err := s.sealAll(); err != nil {
			s.metrics.failed("seal")
			s.log.Error("sealing failed, will try again", "err", err)
		}
	}
}

// failure returns why nothing can be appended any more.
func (s *Store) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed
}

var (
	errClosed = errors.New("store: closed")
	errBeacon = errors.New("store: beacon cannot be stored")
)

// checkBeacon says what keeps b from being stored.
func checkBeacon(b *edge.Beacon) error {
	if b.ID == "" {
		return fmt.Errorf("%w: no id", errBeacon)
	}
	if y := b.Received.UTC().Year(); y < 1970 || y > 9999 {
		return fmt.Errorf("%w: %q was received in the year %d (want 1970 to 9999)", errBeacon, b.ID, y)
	}
	return nil
}
