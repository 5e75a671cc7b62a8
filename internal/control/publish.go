package control

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/gzip"

	"catchment/internal/edge"
	"catchment/internal/steer"
)

// published is a snapshot that followers get. It is immutable.
type published struct {
	snapshot *edge.Snapshot
	text     []byte // JSON
	packed   []byte // the same, gzip
	etag     string
}

// Snapshot returns what was published last, nil if nothing was yet.
func (c *Control) Snapshot() *edge.Snapshot {
	if p := c.current.Load(); p != nil {
		return p.snapshot
	}
	return nil
}

// publish makes a snapshot, and publishes it if it says something new. One that
// does not compile is refused: it is logged and counted, and the former stays.
// So it does while the state cannot be written; a second later it is tried
// again. Only Run calls it.
func (c *Control) publish(now time.Time) {
	c.mu.Lock()
	c.settleHealth(now)
	c.removeEnded(now)
	snap := c.candidate(c.fleet, c.state, now)
	snap.Orders, snap.Catchments = c.measured.Orders, c.measured.Catchments
	c.due = dueAfter(snap)
	sum, err := c.sum(snap)
	last, leap := c.state, c.leap
	c.mu.Unlock()

	before := c.current.Load()
	switch {
	case err != nil:
		c.refuse(err)
		return
	case sum != last.sum || leap > last.version:
		snap.Version = max(last.version+1, leap)
	case before != nil:
		return // nothing new
	default: // as before the restart
		snap.Version, snap.Made = last.version, last.made
	}
	// Places are the name servers' own; compiling without them is quick, and
	// finds all that can be wrong with a snapshot.
	if _, err := steer.Compile(snap, nil); err != nil {
		c.refuse(err)
		return
	}
	next, err := pack(snap)
	if err != nil {
		c.refuse(err)
		return
	}
	if snap.Version != last.version {
		if err := c.record(snap, sum, leap); err != nil {
			c.metrics.refusals.Inc()
			c.log.Error("snapshot not published, the state cannot be written", "version", snap.Version, "error", err)
			c.mu.Lock()
			c.due = now.Add(time.Second)
			c.mu.Unlock()
			return
		}
	}
	c.refusal = ""
	c.noteShares(snap)
	c.guardian.noteDrains(snap, leap > last.version)
	c.current.Store(next)
	c.changed.send()
	c.metrics.published(snap, len(next.text))
	c.log.Info("snapshot published", "version", snap.Version, "bytes", len(next.text))
}

func (c *Control) refuse(err error) {
	c.metrics.refusals.Inc()
	if text := err.Error(); text != c.refusal {
		c.log.Error("snapshot refused, the former one stays", "error", err)
		c.refusal = text
	}
}

// record makes the version durable before anybody sees it.
func (c *Control) record(snap *edge.Snapshot, sum string, leap uint64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := lastPublish{Version: snap.Version, Made: snap.Made, Sum: sum, Health: snap.Health, ByProbes: c.health.listByProbes()}
	var entry *Entry
	if leap > c.state.version {
		entry = &Entry{
			Time: snap.Made, Who: "control", Action: "put", Object: string(versions) + "/",
			Before: json.RawMessage(strconv.FormatUint(c.state.version, 10)), After: json.RawMessage(strconv.FormatUint(snap.Version, 10)),
			Why: "a follower had a later version than this state: it was restored from a backup, or is another's",
		}
	}
	next, err := c.db.published(c.state, p, entry)
	if err == nil {
		c.state, c.leap = next, 0
		c.metrics.audit.Set(float64(next.audited))
	}
	return err
}

// sum identifies what a snapshot says, whichever its version and time.
func (c *Control) sum(snap *edge.Snapshot) (string, error) {
	small := *snap
	small.Made, small.Orders, small.Catchments = time.Time{}, nil, nil
	h := sha256.New()
	if err := json.NewEncoder(h).Encode(&small); err != nil {
		return "", fmt.Errorf("control: %w", err)
	}
	changing, _ := settling(snap)
	fmt.Fprintf(h, "%s\n%s\n", strings.Join(changing, " "), c.measured.sum)
	return hex.EncodeToString(h.Sum(nil)), nil
}

func pack(snap *edge.Snapshot) (*published, error) {
	text, err := json.Marshal(snap)
	if err != nil {
		return nil, fmt.Errorf("control: %w", err)
	}
	var packed bytes.Buffer
	w, err := gzip.NewWriterLevel(&packed, gzip.BestSpeed) // a drain waits for it
	if err == nil {
		_, err = w.Write(text)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("control: %w", err)
	}
	return &published{snap, text, packed.Bytes(), strconv.Quote(strconv.FormatUint(snap.Version, 10))}, nil
}

// signal wakes all who wait for something, each time anew.
type signal struct {
	mu *sync.Mutex
	ch *chan struct{} // guarded by mu; closed by send
}

func newSignal() signal {
	ch := make(chan struct{})
	return signal{&sync.Mutex{}, &ch}
}

// wait returns a channel that the next send closes. Look at what is waited for
// after the call, not before.
func (s signal) wait() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return *s.ch
}

func (s signal) send() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(*s.ch)
	*s.ch = make(chan struct{})
}

// plans compiles the published snapshot with places, when somebody asks why.
type plans struct {
	mu      sync.Mutex
	version uint64
	places  string
	plan    *steer.Plan
}

// plan returns the plan of what is published.
func (c *Control) plan() (*steer.Plan, error) {
	snap, places := c.Snapshot(), c.cfg.Places.Version()
	if snap == nil {
		return nil, errNone
	}
	p := &c.plans
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.plan != nil && p.version == snap.Version && p.places == places {
		return p.plan, nil
	}
	plan, err := steer.Compile(snap, c.cfg.Places)
	if err != nil {
		return nil, err
	}
	p.plan, p.version, p.places = plan, snap.Version, places
	return plan, nil
}
