package rehearsal

import (
	"time"

	"catchment/internal/edge"
)

// book keeps the one ramp in memory, and publishes at once.
type book struct {
	cfg      *Config
	traffic  *traffic
	record   edge.RampRecord
	snapshot *edge.Snapshot
	looks    [][]byte
	points   [][]byte
}

func newBook(cfg *Config, w *traffic) *book {
	return &book{cfg: cfg, traffic: w, snapshot: &edge.Snapshot{Version: 1, Made: cfg.From.Time(), Fleet: cfg.World.Fleet}}
}

func (b *book) RampRecords() ([]edge.RampRecord, error) {
	if b.record.Seq == 0 {
		return nil, nil
	}
	return []edge.RampRecord{b.record}, nil
}

func (b *book) ChangeRamp(x edge.RampChange) (uint64, error) {
	if x.Seq != b.record.Seq {
		return 0, edge.ErrRampChanged
	}
	next := *b.snapshot
	next.Ramps, next.Version = x.Shares, next.Version+1
	if err := b.traffic.steer(&next); err != nil {
		return 0, err
	}
	b.snapshot = &next
	b.record = edge.RampRecord{ID: x.ID, Seq: b.record.Seq + 1, Plan: x.Plan, State: x.State}
	if x.Look != nil {
		b.looks = append(b.looks, x.Look)
	}
	if x.Point != nil {
		b.points = append(b.points, x.Point)
	}
	return b.record.Seq, nil
}

func (b *book) LeaseRamps(holder string, d time.Duration, now time.Time) (edge.RampLease, error) {
	return edge.RampLease{Holder: holder, Term: 1, Until: now.Add(d)}, nil
}

func (b *book) ReleaseRamps(edge.RampLease) error { return nil }

func (b *book) RampTrail(_ string, after int64, limit int) ([][]byte, int64, error) {
	return from(b.looks, after, limit)
}

func (b *book) RampCurve(_ string, after int64, limit int) ([][]byte, int64, error) {
	return from(b.points, after, limit)
}

func from(all [][]byte, after int64, limit int) ([][]byte, int64, error) {
	if after < 0 {
		return all[max(0, len(all)-limit):], int64(len(all)), nil
	}
	part := all[min(int(after), len(all)):]
	part = part[:min(limit, len(part))]
	return part, after + int64(len(part)), nil
}

func (b *book) Snapshot() *edge.Snapshot            { return b.snapshot }
func (b *book) RampFollowed(string, time.Time) bool { return true }

func (b *book) Loads() []edge.PoPLoad {
	var all []edge.PoPLoad
	for i := range b.cfg.World.Fleet.PoPs {
		if p := &b.cfg.World.Fleet.PoPs[i]; p.Capacity > 0 {
			all = append(all, edge.PoPLoad{PoP: p.ID, Load: p.Capacity / 2, Capacity: p.Capacity})
		}
	}
	return all
}
