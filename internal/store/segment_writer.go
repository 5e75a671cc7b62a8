package store

import (
	"fmt"

	"catchment/internal/edge"
)

// segmentWriter writes one segment from a stream of beacons. It holds one row
// group of them, packed, and the aggregates.
type segmentWriter struct {
	segment   Segment
	beacons   *beaconFile
	aggregate *aggregator
	step      func(string) // tests: called between the steps of finish
}

// segmentMemory is what a segmentWriter works in, to be used again: some 50 MB.
type segmentMemory struct {
	beacons   *beaconWriter
	aggregate aggregator
}

func newSegmentMemory() (*segmentMemory, error) {
	w, err := newBeaconWriter()
	if err != nil {
		return nil, err
	}
	return &segmentMemory{beacons: w}, nil
}

// newSegmentWriter begins a segment; m is used for it alone until it is finished.
func newSegmentWriter(s Segment, m *segmentMemory) (*segmentWriter, error) {
	if err := makeDir(dayDir(s.Dir, s.Day)); err != nil {
		return nil, err
	}
	f, err := createBeacons(s.Beacons(), m.beacons)
	if err != nil {
		return nil, err
	}
	m.aggregate.reset(s.Day)
	return &segmentWriter{segment: s, beacons: f, aggregate: &m.aggregate, step: func(string) {}}, nil
}

// add writes b, of which it keeps nothing but, for a while, strings.
func (w *segmentWriter) add(b *edge.Beacon) error {
	if day := edge.DayOf(b.Received); day != w.segment.Day {
		return fmt.Errorf("store: beacon %q was received on %s, which is not the segment's day, %s", b.ID, day, w.segment.Day)
	}
	v := b.View()
	w.aggregate.add(b, &v)
	if err := w.beacons.add(b, &v); err != nil {
		return fmt.Errorf("store: write %s: %w", w.segment.Beacons(), err)
	}
	return nil
}

// finish makes the segment exist, or leaves nothing of it but maybe its
// aggregates, which do not count without the beacons.
func (w *segmentWriter) finish() error {
	defer w.abort()
	err := writeFile(w.segment.Latencies(), w.aggregate.writeLatencies)
	if err != nil {
		return err
	}
	w.step("wrote latencies")
	err = writeFile(w.segment.Assignments(), w.aggregate.writeAssignments)
	if err != nil {
		return err
	}
	w.step("wrote assignments")
	return w.beacons.publish()
}

func (w *segmentWriter) abort() { w.beacons.abort() }

// writeFile writes a Parquet file whose rows write puts into it.
func writeFile[T any](path string, write func(*parquetFile[T]) error) error {
	f, err := createParquet[T](path)
	if err != nil {
		return err
	}
	defer f.abort()
	if err := write(f); err != nil {
		return err
	}
	return f.publish()
}

// segmentMemory returns some to be put back into s.memory.
func (s *Store) segmentMemory() (*segmentMemory, error) {
	if m, ok := s.memory.Get().(*segmentMemory); ok {
		return m, nil
	}
	return newSegmentMemory()
}
