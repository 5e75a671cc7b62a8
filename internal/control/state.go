package control

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"

	"catchment/internal/edge"
)

// kind is what an object of the state is.
type kind string

// The kinds. The id of a drain, a shed or an automatic shed is the PoP's, that
// of a weight SERVICE/POP, that of a challenge its name; there is one policy.
const (
	drains     kind = "drain"
	sheds      kind = "shed"
	autoSheds  kind = "autoshed" // by load, see sheds.go
	ramps      kind = "ramp"
	pins       kind = "pin"
	weights    kind = "weight"
	policies   kind = "policy"
	challenges kind = "challenge"
	versions   kind = "version" // in the audit trail only

	announcements kind = "announcement" // by PoP
)

// state is what is kept, decoded. It is immutable.
type state struct {
	objects  map[kind][]object // in the order in which they were made
	health   []edge.Health     // as last published
	byProbes []edge.PoPID      // of these, whom probes settled
	version  uint64            // last published
	made     time.Time
	sum      string // of what was published
	audited  uint64 // entries in the audit trail
}

// object is one thing that somebody wanted.
type object struct {
	ID    string          `json:"-"`
	Seq   uint64          `json:"seq"` // rises as objects are made; stays when one is changed
	Value json.RawMessage `json:"value"`
}

func (s *state) find(k kind, id string) (object, bool) {
	for _, o := range s.objects[k] {
		if o.ID == id {
			return o, true
		}
	}
	return object{}, false
}

// all decodes the objects of a kind.
func all[T any](s *state, k kind) []T {
	var list []T
	for _, o := range s.objects[k] {
		var v T
		if err := json.Unmarshal(o.Value, &v); err == nil { // load has decoded it
			list = append(list, v)
		}
	}
	return list
}

// with returns s as it will be with an object set, or without it if value is
// nil.
func (s *state) with(k kind, id string, value json.RawMessage, seq uint64) *state {
	next := *s
	next.objects = map[kind][]object{}
	maps.Copy(next.objects, s.objects)
	list := slices.Clone(s.objects[k])
	i := slices.IndexFunc(list, func(o object) bool { return o.ID == id })
	switch {
	case value == nil && i >= 0:
		list = slices.Delete(list, i, i+1)
	case value == nil:
	case i >= 0:
		list[i].Value = value
	default:
		list = append(list, object{id, seq, value})
	}
	next.objects[k] = list
	return &next
}

// Entry is one line of the audit trail.
type Entry struct {
	Seq    uint64          `json:"seq"`
	Time   time.Time       `json:"time"`
	Who    string          `json:"who"`    // a token's id, or "control" and "watermark" for what happens by itself
	Action string          `json:"action"` // put or delete; skip and backup change nothing here
	Object string          `json:"object"` // KIND/ID
	Before json.RawMessage `json:"before,omitempty"`
	After  json.RawMessage `json:"after,omitempty"`
	Why    string          `json:"why"`
}

// change is what to do to one object.
type change struct {
	kind  kind
	id    string
	value json.RawMessage // nil: delete
	who   string
	why   string
}

// db is the state on disk. Every change and its entry are one transaction, and
// on disk when it returns.
type db struct{ bolt *bolt.DB }

var (
	objectBucket = []byte("objects") // KIND/ID → object
	auditBucket  = []byte("audit")   // Seq, big endian → Entry
	metaBucket   = []byte("meta")
	snapshotKey  = []byte("snapshot")
	formatKey    = []byte("format")
)

// format is that of the file; another one is not opened.
const format = "1"

// lastPublish is what has to outlive a restart.
type lastPublish struct {
	Version  uint64        `json:"version"`
	Made     time.Time     `json:"made"`
	Sum      string        `json:"sum"`
	Health   []edge.Health `json:"health"`
	ByProbes []edge.PoPID  `json:"by_probes,omitempty"`
}

func openDB(file string) (*db, error) {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return nil, fmt.Errorf("control: %w", err)
	}
	b, err := bolt.Open(file, 0o600, &bolt.Options{Timeout: 2 * time.Second}) // another process may have it
	if err != nil {
		return nil, fmt.Errorf("control: open %s: %w", file, err)
	}
	d := &db{b}
	err = b.Update(func(tx *bolt.Tx) error {
		for _, name := range [][]byte{objectBucket, auditBucket, metaBucket, rampBucket, trailBucket, curveBucket} {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		meta := tx.Bucket(metaBucket)
		switch was := meta.Get(formatKey); {
		case was == nil:
			return meta.Put(formatKey, []byte(format))
		case string(was) != format:
			return fmt.Errorf("the file has format %q (want %q)", was, format)
		}
		return nil
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("control: %s: %w", file, err), b.Close())
	}
	return d, nil
}

func (d *db) close() error { return d.bolt.Close() }

// load reads everything, and fails if anything cannot be read.
func (d *db) load() (*state, error) {
	s := &state{objects: map[kind][]object{}}
	err := d.bolt.View(func(tx *bolt.Tx) error {
		err := tx.Bucket(objectBucket).ForEach(func(key, value []byte) error {
			name, id, _ := strings.Cut(string(key), "/")
			k, o := kind(name), object{ID: id}
			if err := json.Unmarshal(value, &o); err != nil {
				return fmt.Errorf("%s: %w", key, err)
			}
			if err := json.Unmarshal(o.Value, newValue(k)); err != nil {
				return fmt.Errorf("%s: %w", key, err)
			}
			s.objects[k] = append(s.objects[k], o)
			return nil
		})
		if err != nil {
			return err
		}
		for _, list := range s.objects {
			slices.SortFunc(list, func(a, b object) int { return cmp.Compare(a.Seq, b.Seq) })
		}
		s.audited = tx.Bucket(auditBucket).Sequence()
		var last lastPublish
		if text := tx.Bucket(metaBucket).Get(snapshotKey); text != nil {
			if err := json.Unmarshal(text, &last); err != nil {
				return fmt.Errorf("snapshot: %w", err)
			}
		}
		s.version, s.made, s.sum, s.health, s.byProbes = last.Version, last.Made, last.Sum, last.Health, last.ByProbes
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("control: state: %w", err)
	}
	return s, nil
}

// newValue returns what an object of a kind is decoded into.
func newValue(k kind) any {
	switch k {
	case drains:
		return &edge.Drain{}
	case sheds, autoSheds:
		return &edge.Shed{}
	case ramps:
		return &edge.Ramp{}
	case pins:
		return &edge.Pin{}
	case weights:
		return &edge.Weight{}
	case policies:
		return &edge.Policy{}
	case challenges:
		return &edge.Challenge{}
	case announcements:
		return &edge.Announcement{}
	}
	return &json.RawMessage{} // of a later version: kept, not understood
}

// apply makes a change durable, with its entry, and returns the state after
// it.
func (d *db) apply(s *state, c change, now time.Time) (*state, error) {
	var next *state
	err := d.bolt.Update(func(tx *bolt.Tx) error {
		var err error
		next, err = applyTo(tx, s, c, now)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("control: state: %w", err)
	}
	return next, nil
}

// applyTo is apply inside a transaction.
func applyTo(tx *bolt.Tx, s *state, c change, now time.Time) (*state, error) {
	objects, key := tx.Bucket(objectBucket), []byte(string(c.kind)+"/"+c.id)
	entry := Entry{Time: now.UTC(), Who: c.who, Action: "put", Object: string(key), After: c.value, Why: c.why}
	before, was := s.find(c.kind, c.id)
	entry.Before = before.Value
	if c.value == nil {
		entry.Action = "delete"
		if err := objects.Delete(key); err != nil {
			return nil, err
		}
	} else {
		o := object{Seq: before.Seq, Value: c.value}
		if !was {
			var err error
			if o.Seq, err = objects.NextSequence(); err != nil {
				return nil, err
			}
		}
		text, err := json.Marshal(o)
		if err != nil {
			return nil, err
		}
		if err := objects.Put(key, text); err != nil {
			return nil, err
		}
		before.Seq = o.Seq
	}
	if err := note(tx, &entry); err != nil {
		return nil, err
	}
	next := s.with(c.kind, c.id, c.value, before.Seq)
	next.audited = entry.Seq
	return next, nil
}

// note appends to the audit trail. Nothing is ever changed or removed there.
func note(tx *bolt.Tx, e *Entry) error {
	audit := tx.Bucket(auditBucket)
	var err error
	if e.Seq, err = audit.NextSequence(); err != nil {
		return err
	}
	text, err := json.Marshal(e)
	if err != nil {
		return err
	}
	return audit.Put(binary.BigEndian.AppendUint64(nil, e.Seq), text)
}

// published keeps what was published. A leap is noted in the audit trail.
func (d *db) published(s *state, p lastPublish, leap *Entry) (*state, error) {
	next := *s
	next.version, next.made, next.sum, next.health, next.byProbes = p.Version, p.Made, p.Sum, p.Health, p.ByProbes
	err := d.bolt.Update(func(tx *bolt.Tx) error {
		text, err := json.Marshal(p)
		if err != nil {
			return err
		}
		if leap != nil {
			if err := note(tx, leap); err != nil {
				return err
			}
			next.audited = leap.Seq
		}
		return tx.Bucket(metaBucket).Put(snapshotKey, text)
	})
	if err != nil {
		return nil, fmt.Errorf("control: state: %w", err)
	}
	return &next, nil
}

// audit returns up to limit entries after one, or the last ones if after is
// negative; the oldest first.
func (d *db) audit(after int64, limit int) ([]Entry, error) {
	list := []Entry{}
	err := d.bolt.View(func(tx *bolt.Tx) error {
		bucket := tx.Bucket(auditBucket)
		from := uint64(after) + 1
		if n := bucket.Sequence(); after < 0 {
			from = n - min(n, uint64(limit)) + 1
		}
		cursor := bucket.Cursor()
		for key, text := cursor.Seek(binary.BigEndian.AppendUint64(nil, from)); key != nil && len(list) < limit; key, text = cursor.Next() {
			var e Entry
			if err := json.Unmarshal(text, &e); err != nil {
				return err
			}
			list = append(list, e)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("control: audit: %w", err)
	}
	return list, nil
}
