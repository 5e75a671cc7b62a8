package store

import (
	"hash/maphash"
	"time"

	"catchment/internal/edge"
)

// deduper remembers which beacons are stored, to recognize those that are sent
// again: a browser whose beacon was stored but not acknowledged, because the
// process or the connection broke, and an import that is run twice.
//
// A beacon is looked for in the UTC hour that it was received in and in the
// hour before: one sent again is received again, maybe in the next hour, while
// one imported again was received when it was. Sets of hours are made from the
// segments when they are needed and forgotten when others are needed more.
//
// It is kept within its memory. An hour may take up to a third of it, and
// beyond that remembers its latest ids alone: with the default of 256 MiB the
// last 2.8 to 5.6 million. A copy that comes later than that, or after the end
// of the next hour, is stored twice.
//
// Ids are kept as 64-bit hashes under a key of this process, so that nobody
// can make one that collides; one in about 10¹² ids does by chance and is
// taken for a duplicate.
type deduper struct {
	seed  maphash.Seed
	max   int // ids in all sets
	total int // likewise
	clock uint64
	hours map[hour]*hourSet
}

// hour is a UTC hour, counted from 1970.
type hour int32

func hourOf(t time.Time) hour {
	sec := t.Unix()
	if sec < 0 {
		sec -= 3599
	}
	return hour(sec / 3600)
}

// day is the one that h is in.
func (h hour) day() edge.Day { return edge.DayOf(time.Unix(int64(h)*3600, 0)) }

// seen is one id that has been taken.
type seen struct {
	id   uint64
	hour hour
}

// hourSet is the ids of one hour, in two generations: when the newer is full
// the older is forgotten.
type hourSet struct {
	newer, older map[uint64]struct{}
	used         uint64        // deduper.clock when last looked at
	loading      chan struct{} // closed when loading is over; nil when loaded
}

const (
	// bytesPerID is what an id takes in a map, which is between half and
	// seven eighths full: 9 bytes a slot.
	bytesPerID = 16
	// setCost stands for the memory of a set itself, in ids.
	setCost = 64
	minIDs  = 12 * setCost
)

func newDeduper(bytes int64) *deduper {
	return &deduper{
		seed:  maphash.MakeSeed(),
		max:   int(max(minIDs, bytes/bytesPerID)),
		hours: map[hour]*hourSet{},
	}
}

func (d *deduper) hash(id string) uint64 { return maphash.String(d.seed, id) }

// generation is how many ids one generation of an hour holds: three hours, the
// most that are in use at once, fit.
func (d *deduper) generation() int { return d.max / 6 }

func (s *hourSet) has(id uint64) bool {
	if _, ok := s.newer[id]; ok {
		return true
	}
	_, ok := s.older[id]
	return ok
}

// add adds an id that s has not; it returns how many more s holds, which is
// negative when a generation was forgotten.
func (s *hourSet) add(id uint64, generation int) int {
	more := 1
	if len(s.newer) >= generation {
		more -= len(s.older)
		s.older, s.newer = s.newer, map[uint64]struct{}{}
	}
	s.newer[id] = struct{}{}
	return more
}

func newHourSet() *hourSet { return &hourSet{newer: map[uint64]struct{}{}} }

// set returns the loaded set of h and marks it as used, or the one being
// loaded, or nil.
func (d *deduper) set(h hour) *hourSet {
	s := d.hours[h]
	if s != nil {
		d.clock++
		s.used = d.clock
	}
	return s
}

// has reports whether id was taken in hour h or the one before. Both are
// loaded.
func (d *deduper) has(x seen) bool {
	return d.hours[x.hour].has(x.id) || d.hours[x.hour-1].has(x.id)
}

// add remembers x, which has said is new.
func (d *deduper) add(x seen) {
	d.total += d.hours[x.hour].add(x.id, d.generation())
	if d.total > d.max {
		d.forget(x.hour)
	}
}

// put makes s, now loaded, the set of h.
func (d *deduper) put(h hour, s *hourSet) {
	d.hours[h] = s
	d.clock++
	s.used = d.clock
	d.total += setCost + len(s.newer) + len(s.older)
	if d.total > d.max {
		d.forget(h)
	}
}

// forget drops the sets that were not used for longest until the rest fits.
// The sets of h and of the hours beside it stay: they are in use.
func (d *deduper) forget(h hour) {
	for d.total > d.max {
		oldest, found := hour(0), false
		for k, s := range d.hours {
			if s.loading != nil || k >= h-1 && k <= h+1 {
				continue
			}
			if !found || s.used < d.hours[oldest].used {
				oldest, found = k, true
			}
		}
		if !found {
			return
		}
		s := d.hours[oldest]
		d.total -= setCost + len(s.newer) + len(s.older)
		delete(d.hours, oldest)
	}
}
