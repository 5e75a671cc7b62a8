package store

import (
	"context"
	"fmt"
	"iter"
	"os"

	"github.com/parquet-go/parquet-go"

	"catchment/internal/edge"
)

// merge writes the segment that replaces a run of neighbors of one day: its
// aggregates first and its beacons last, whose appearance is the replacement.
func (s *Store) merge(ctx context.Context, run []Segment) error {
	target := run[0]
	target.Last = run[len(run)-1].Last
	sources := make([]*openedParquet, 0, len(run))
	defer func() {
		for _, f := range sources {
			_ = f.close()
		}
	}()
	current := true
	for _, segment := range run {
		f, err := openParquet(segment.Beacons())
		if err != nil {
			return err
		}
		sources = append(sources, f)
		current = current && f.version == SchemaVersion
	}
	if !current {
		return s.remake(ctx, target, run)
	}

	err := writeFile(target.Latencies(), func(f *parquetFile[LatencyRow]) error {
		return mergeRows(ctx, f, run, Segment.Latencies, compareLatencies, addLatencies)
	})
	if err != nil {
		return err
	}
	s.step("merged latencies")
	err = writeFile(target.Assignments(), func(f *parquetFile[AssignmentRow]) error {
		return mergeRows(ctx, f, run, Segment.Assignments, compareAssignments, addAssignments)
	})
	if err != nil {
		return err
	}
	s.step("merged assignments")
	if err := s.mergeBeacons(ctx, target.Beacons(), sources); err != nil {
		return err
	}
	s.step("merged beacons")
	return nil
}

// remake is merge for segments of an older schema: it makes everything again
// from their beacons.
func (s *Store) remake(ctx context.Context, target Segment, run []Segment) error {
	memory, err := s.segmentMemory()
	if err != nil {
		return err
	}
	defer s.memory.Put(memory)
	w, err := newSegmentWriter(target, memory)
	if err != nil {
		return err
	}
	defer w.abort()
	for _, segment := range run {
		for b, err := range ReadBeacons(segment) {
			if err == nil {
				err = ctx.Err()
			}
			if err == nil {
				err = w.add(b)
			}
			if err != nil {
				return err
			}
		}
	}
	return w.finish()
}

func (s *Store) mergeBeacons(ctx context.Context, path string, sources []*openedParquet) error {
	memory, err := s.segmentMemory()
	if err != nil {
		return err
	}
	defer s.memory.Put(memory)
	f, err := createBeacons(path, memory.beacons)
	if err != nil {
		return err
	}
	defer f.abort()
	if err := mergeGroups(ctx, f.beaconWriter, sources, beaconGroupRows); err != nil {
		return fmt.Errorf("store: write %s: %w", path, err)
	}
	return f.publish()
}

// mergeGroups puts the sources' row groups one after the other: those that fit
// into one of groupRows together, others as they are, without decoding them.
func mergeGroups(ctx context.Context, w *beaconWriter, sources []*openedParquet, groupRows int64) error {
	type place struct {
		file  *parquet.File
		index int
	}
	var small []place
	var rows int64
	flush := func() error {
		defer func() { small, rows = small[:0], 0 }()
		if len(small) == 1 {
			return w.copyGroup(small[0].file, small[0].index)
		}
		var groups []parquet.RowGroup
		for _, p := range small {
			groups = append(groups, p.file.RowGroups()[p.index])
		}
		return w.join(ctx, groups)
	}
	for _, f := range sources {
		for i, group := range f.file.RowGroups() {
			if err := ctx.Err(); err != nil {
				return err
			}
			if rows+group.NumRows() > groupRows {
				if err := flush(); err != nil {
					return err
				}
			}
			small = append(small, place{f.file, i})
			rows += group.NumRows()
		}
	}
	return flush()
}

// mergeRows merges the sorted rows of one kind of aggregate file; add makes
// one row of all that compare equal, given in the order of their segments.
func mergeRows[T any](ctx context.Context, f *parquetFile[T], run []Segment, path func(Segment) string, compare func(a, b *T) int, add func(sum *T, rows []*T)) error {
	type source struct {
		row  *T
		next func() (*T, error, bool)
	}
	var sources []*source
	for _, segment := range run {
		next, stop := iter.Pull2(readRows[T](path(segment), nil))
		defer stop()
		row, err, ok := next()
		if err != nil {
			return err
		}
		if ok {
			sources = append(sources, &source{row, next})
		}
	}
	var equal []*T
	var from []*source
	for len(sources) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		equal, from = equal[:0], from[:0]
		for _, s := range sources {
			order := -1
			if len(equal) > 0 {
				order = compare(s.row, equal[0])
			}
			if order < 0 {
				equal, from = equal[:0], from[:0]
			}
			if order <= 0 {
				equal, from = append(equal, s.row), append(from, s)
			}
		}
		add(f.next(), equal)
		if err := f.put(); err != nil {
			return err
		}
		for _, s := range from {
			row, err, ok := s.next()
			if err != nil {
				return err
			}
			s.row = row
			if !ok {
				sources = without(sources, s)
			}
		}
	}
	return nil
}

func without[T comparable](list []T, x T) []T {
	for i, y := range list {
		if x == y {
			return append(list[:i], list[i+1:]...)
		}
	}
	return list
}

// addAssignments makes sum of rows of one cell.
func addAssignments(sum *AssignmentRow, rows []*AssignmentRow) {
	var prefixes counted[prefixViews]
	name := ""
	for _, r := range rows {
		if name == "" {
			name = r.ASName
		}
		for i, p := range r.Prefixes {
			prefixes.list = append(prefixes.list, prefixViews{p, r.Views[i], r.Weights[i], r.Weights2[i]})
		}
	}
	lists := *sum
	*sum = *rows[0]
	sum.ASName = name
	sum.Prefixes, sum.Views, sum.Weights, sum.Weights2 = lists.Prefixes[:0], lists.Views[:0], lists.Weights[:0], lists.Weights2[:0]
	for _, p := range prefixes.addUp() {
		sum.appendViews(p)
	}
}

// addLatencies likewise.
func addLatencies(sum *LatencyRow, rows []*LatencyRow) {
	var samples counted[sampleCount]
	for _, r := range rows {
		for i, s := range r.Samples {
			samples.list = append(samples.list, sampleCount{edge.Sample(s), r.Counts[i]})
		}
	}
	lists := *sum
	*sum = *rows[0]
	sum.Samples, sum.Counts = lists.Samples[:0], lists.Counts[:0]
	for _, s := range samples.addUp() {
		sum.appendSample(s)
	}
}

func fileSize(path string) (int64, error) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, fmt.Errorf("store: %w", err)
	}
	return info.Size(), nil
}
