package control

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"

	"catchment/internal/edge"
	"catchment/internal/steer"
)

// Declared ramps are kept beside the objects of the state: what they are is
// nothing to this package, but that their shares, which are objects, change in
// the same transaction.
var (
	rampBucket  = []byte("ramps")     // ID → rampEntry
	trailBucket = []byte("ramptrail") // ID, 0, number → look
	curveBucket = []byte("rampcurve") // likewise → point
	leaseKey    = []byte("ramplease") // in metaBucket → edge.RampLease
)

// maxDeclared bounds the declared ramps.
const maxDeclared = 32

type rampEntry struct {
	Seq   uint64 `json:"seq"`
	Plan  []byte `json:"plan"`
	State []byte `json:"state"`
}

func (x *rampEntry) record(id string) edge.RampRecord {
	return edge.RampRecord{ID: id, Seq: x.Seq, Plan: x.Plan, State: x.State}
}

// RampRecords returns all declared ramps, by id.
func (c *Control) RampRecords() ([]edge.RampRecord, error) {
	var all []edge.RampRecord
	err := c.db.bolt.View(func(tx *bolt.Tx) error {
		return tx.Bucket(rampBucket).ForEach(func(id, text []byte) error {
			var x rampEntry
			if err := json.Unmarshal(text, &x); err != nil {
				return fmt.Errorf("ramp %s: %w", id, err)
			}
			all = append(all, x.record(string(id)))
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("control: %w", err)
	}
	return all, nil
}

// ChangeRamp makes a change, and returns the number of the record after it.
// Record, shares, trail and audit trail are one transaction, on disk when it
// returns: what comes of a look is there as a whole or not at all, and a change
// that was made from an older record, or without the lease it names, is none.
//
// The errors are edge.ErrRampChanged, edge.ErrRampLease, why the snapshot with
// the new shares would not compile, and those of the disk.
func (c *Control) ChangeRamp(x edge.RampChange) (seq uint64, err error) {
	now := time.Now().UTC().Round(0)
	c.mu.Lock()
	defer c.mu.Unlock()
	next, changes, err := c.rampShares(&x)
	if err != nil {
		return 0, err
	}
	if len(changes) > 0 {
		if _, err := steer.Compile(c.candidate(c.fleet, next, now), nil); err != nil {
			return 0, fmt.Errorf("control: ramp %s: %w", x.ID, err)
		}
	}
	after := c.state
	err = c.db.bolt.Update(func(tx *bolt.Tx) error {
		if err := holds(tx, x.Lease); err != nil {
			return err
		}
		var err error
		if seq, err = putRamp(tx, &x); err != nil {
			return err
		}
		after = c.state
		for _, change := range changes {
			if after, err = applyTo(tx, after, change, now); err != nil {
				return err
			}
		}
		for bucket, value := range map[string][]byte{string(trailBucket): x.Look, string(curveBucket): x.Point} {
			if err := appendTo(tx.Bucket([]byte(bucket)), x.ID, value); err != nil {
				return err
			}
		}
		return nil
	})
	if errors.Is(err, edge.ErrRampChanged) || errors.Is(err, edge.ErrRampLease) {
		return 0, fmt.Errorf("control: ramp %s: %w", x.ID, err)
	}
	if err != nil {
		return 0, fmt.Errorf("control: state: %w", err)
	}
	c.state = after
	c.metrics.audit.Set(float64(after.audited))
	if len(changes) > 0 {
		c.wake()
	}
	return seq, nil
}

// rampShares returns the state with the shares of a change, and what has to be
// done for that. The caller holds mu.
func (c *Control) rampShares(x *edge.RampChange) (next *state, changes []change, err error) {
	next = c.state
	do := func(id string, value json.RawMessage) {
		changes = append(changes, change{ramps, id, value, x.Who, x.Why})
		next = next.with(ramps, id, value, 1<<63)
	}
	own := x.ID + "/"
	for _, o := range c.state.objects[ramps] {
		if strings.HasPrefix(o.ID, own) && !slices.ContainsFunc(x.Shares, func(r edge.Ramp) bool { return r.ID == o.ID }) {
			do(o.ID, nil)
		}
	}
	for _, r := range x.Shares {
		if !strings.HasPrefix(r.ID, own) {
			return nil, nil, fmt.Errorf("control: ramp %s: %q is none of its shares", x.ID, r.ID)
		}
		former, _ := c.state.find(ramps, r.ID)
		var was edge.Ramp
		_ = json.Unmarshal(former.Value, &was) // load has decoded it; there may be none
		r.By, r.Why = was.By, was.Why
		same, err := json.Marshal(r)
		if err != nil {
			return nil, nil, fmt.Errorf("control: %w", err)
		}
		if bytes.Equal(same, former.Value) {
			continue
		}
		r.By, r.Why = x.Who, x.Why
		text, err := json.Marshal(r)
		if err != nil {
			return nil, nil, fmt.Errorf("control: %w", err)
		}
		do(r.ID, text)
	}
	return next, changes, nil
}

func putRamp(tx *bolt.Tx, x *edge.RampChange) (seq uint64, err error) {
	bucket := tx.Bucket(rampBucket)
	var entry rampEntry
	switch text := bucket.Get([]byte(x.ID)); {
	case text != nil:
		if err := json.Unmarshal(text, &entry); err != nil {
			return 0, err
		}
	case x.Plan == nil:
		return 0, edge.ErrRampChanged
	case bucket.Stats().KeyN >= maxDeclared:
		return 0, fmt.Errorf("there are %d ramps already, the most there can be", maxDeclared)
	}
	if entry.Seq != x.Seq {
		return 0, edge.ErrRampChanged
	}
	if x.Plan == nil {
		return 0, bucket.Delete([]byte(x.ID))
	}
	// Numbers are never used again, also by another ramp of that name.
	if entry.Seq, err = bucket.NextSequence(); err != nil {
		return 0, err
	}
	entry.Plan, entry.State = x.Plan, x.State
	text, err := json.Marshal(&entry)
	if err != nil {
		return 0, err
	}
	return entry.Seq, bucket.Put([]byte(x.ID), text)
}

// trailKey orders the entries of a ramp; no id has a zero byte.
func trailKey(id string, n uint64) []byte {
	return binary.BigEndian.AppendUint64(append([]byte(id), 0), n)
}

// appendTo appends to what a bucket has of a ramp. Nothing is ever changed or
// removed there.
func appendTo(bucket *bolt.Bucket, id string, value []byte) error {
	if value == nil {
		return nil
	}
	n, err := bucket.NextSequence()
	if err != nil {
		return err
	}
	return bucket.Put(trailKey(id, n), value)
}

// RampTrail returns up to limit looks of a ramp after a number, or the last
// ones if after is negative, the oldest first, with the number of the last.
func (c *Control) RampTrail(id string, after int64, limit int) (looks [][]byte, last int64, err error) {
	return c.rampEntries(trailBucket, id, after, limit)
}

// RampCurve is RampTrail for points of the curve.
func (c *Control) RampCurve(id string, after int64, limit int) (points [][]byte, last int64, err error) {
	return c.rampEntries(curveBucket, id, after, limit)
}

func (c *Control) rampEntries(bucket []byte, id string, after int64, limit int) (all [][]byte, last int64, err error) {
	last = max(0, after)
	prefix := trailKey(id, 0)[:len(id)+1]
	mine := func(key []byte) bool { return len(key) == len(prefix)+8 && bytes.HasPrefix(key, prefix) }
	err = c.db.bolt.View(func(tx *bolt.Tx) error {
		cursor := tx.Bucket(bucket).Cursor()
		from := uint64(after) + 1
		if after < 0 { // from behind
			key, _ := cursor.Seek(trailKey(id, math.MaxUint64))
			if key == nil {
				key, _ = cursor.Last()
			} else {
				key, _ = cursor.Prev()
			}
			for n := 0; n < limit && mine(key); n++ {
				from = binary.BigEndian.Uint64(key[len(prefix):])
				key, _ = cursor.Prev()
			}
		}
		for key, value := cursor.Seek(trailKey(id, from)); mine(key) && len(all) < limit; key, value = cursor.Next() {
			all = append(all, bytes.Clone(value))
			last = int64(binary.BigEndian.Uint64(key[len(prefix):]))
		}
		return nil
	})
	if err != nil {
		return nil, 0, fmt.Errorf("control: %w", err)
	}
	return all, last, nil
}

// LeaseRamps gives holder the right to look after ramps for some time, or a
// longer one if it has it already. It returns who has the right then: another
// one, as long as that one's time is not over.
func (c *Control) LeaseRamps(holder string, d time.Duration, now time.Time) (edge.RampLease, error) {
	var lease edge.RampLease
	err := c.db.bolt.Update(func(tx *bolt.Tx) error {
		var err error
		if lease, err = leaseIn(tx); err != nil {
			return err
		}
		switch {
		case lease.Holder == holder && holder != "":
		case lease.Holder != "" && now.Before(lease.Until):
			return nil // another's
		default:
			lease.Holder, lease.Term = holder, lease.Term+1
		}
		lease.Until = now.Add(d).UTC().Round(0)
		return putLease(tx, lease)
	})
	if err != nil {
		return edge.RampLease{}, fmt.Errorf("control: lease of ramps: %w", err)
	}
	return lease, nil
}

// ReleaseRamps gives the right back, if it is the holder's.
func (c *Control) ReleaseRamps(mine edge.RampLease) error {
	return c.db.bolt.Update(func(tx *bolt.Tx) error {
		lease, err := leaseIn(tx)
		if err != nil || lease.Holder == "" || lease.Holder != mine.Holder || lease.Term != mine.Term {
			return err
		}
		lease.Holder = ""
		return putLease(tx, lease)
	})
}

// endLease ends the lease of an earlier process, which must be gone: the file
// is locked. Its term stays, so that the next one has another.
func (d *db) endLease() error {
	err := d.bolt.Update(func(tx *bolt.Tx) error {
		lease, err := leaseIn(tx)
		if err != nil || lease.Holder == "" {
			return err
		}
		lease.Holder = ""
		return putLease(tx, lease)
	})
	if err != nil {
		return fmt.Errorf("control: lease of ramps: %w", err)
	}
	return nil
}

func leaseIn(tx *bolt.Tx) (l edge.RampLease, err error) {
	if text := tx.Bucket(metaBucket).Get(leaseKey); text != nil {
		err = json.Unmarshal(text, &l)
	}
	return l, err
}

func putLease(tx *bolt.Tx, l edge.RampLease) error {
	text, err := json.Marshal(l)
	if err != nil {
		return err
	}
	return tx.Bucket(metaBucket).Put(leaseKey, text)
}

// holds checks a lease inside the transaction that it is needed for. Its time
// does not matter there: whoever took it over has another term.
func holds(tx *bolt.Tx, mine *edge.RampLease) error {
	if mine == nil {
		return nil
	}
	lease, err := leaseIn(tx)
	if err == nil && (lease.Holder != mine.Holder || lease.Term != mine.Term) {
		err = edge.ErrRampLease
	}
	return err
}

// Loads returns the loads that PoPs report, as far as they are fresh.
func (c *Control) Loads() []edge.PoPLoad {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	var all []edge.PoPLoad
	for i := range c.fleet.PoPs {
		p := &c.fleet.PoPs[i]
		if load, ok := c.health.load(p.ID, now); ok {
			all = append(all, edge.PoPLoad{PoP: p.ID, Load: load, Capacity: p.Capacity})
		}
	}
	return all
}

// Shares returns the ramps as the state has them, the manual ones and those of
// declared ramps, in their order.
func (c *Control) Shares() []edge.Ramp { return all[edge.Ramp](c.now(), ramps) }
