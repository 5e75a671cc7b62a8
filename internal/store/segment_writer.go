package store

import (
	"fmt"

	"catchment/internal/edge"
)

// segmentWriter writes one segment from a stream of beacons. It holds one row
// group of them, compressed, and the aggregates.
type segmentWriter struct {
	segment   Segment
	beacons   *parquetFile[BeaconRow]
	aggregate *aggregator
	step      func(string) // tests: called between the steps of finish
}

func newSegmentWriter(s Segment) (*segmentWriter, error) {
	if err := makeDir(dayDir(s.Dir, s.Day)); err != nil {
		return nil, err
	}
	f, err := createParquet[BeaconRow](s.Beacons(), beaconLayout())
	if err != nil {
		return nil, err
	}
	return &segmentWriter{segment: s, beacons: f, aggregate: newAggregator(s.Day), step: func(string) {}}, nil
}

// add writes b, of which it keeps nothing but, for a while, strings.
func (w *segmentWriter) add(b *edge.Beacon) error {
	if day := edge.DayOf(b.Received); day != w.segment.Day {
		return fmt.Errorf("store: beacon %q was received on %s, which is not the segment's day, %s", b.ID, day, w.segment.Day)
	}
	w.aggregate.add(b)
	setRow(w.beacons.next(), b)
	return w.beacons.put()
}

// finish makes the segment exist, or leaves nothing of it but maybe its
// aggregates, which do not count without the beacons.
func (w *segmentWriter) finish() error {
	defer w.abort()
	err := writeFile(w.segment.Latencies(), aggregateLayout(), w.aggregate.writeLatencies)
	if err != nil {
		return err
	}
	w.step("wrote latencies")
	err = writeFile(w.segment.Assignments(), aggregateLayout(), w.aggregate.writeAssignments)
	if err != nil {
		return err
	}
	w.step("wrote assignments")
	return w.beacons.publish()
}

func (w *segmentWriter) abort() { w.beacons.abort() }

// writeFile writes a Parquet file whose rows write puts into it.
func writeFile[T any](path string, l layout, write func(*parquetFile[T]) error) error {
	f, err := createParquet[T](path, l)
	if err != nil {
		return err
	}
	defer f.abort()
	if err := write(f); err != nil {
		return err
	}
	return f.publish()
}
