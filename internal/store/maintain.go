package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"catchment/internal/edge"
)

// droppedMark is the file in a day's directory that takes the day out of every
// List. The files stay for Config.Grace, for queries that have listed them.
const droppedMark = "dropped"

// maintainLoop merges, drops and cleans until ctx is done.
func (s *Store) maintainLoop(ctx context.Context) {
	tick := time.NewTicker(s.cfg.CompactEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		s.maintain(ctx)
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

// maintain does once what is due. Failures are logged and tried again.
func (s *Store) maintain(ctx context.Context) {
	for _, task := range []struct {
		name string
		run  func(context.Context) error
	}{{"drop", s.dropOldDays}, {"compact", s.compact}, {"clean", s.clean}} {
		if err := task.run(ctx); err != nil && ctx.Err() == nil {
			s.metrics.failed(task.name)
			s.log.Error("store maintenance failed, will try again", "task", task.name, "err", err)
		}
	}
}

// dropOldDays marks the days whose retention is over.
func (s *Store) dropOldDays(context.Context) error {
	if s.cfg.Retention == 0 {
		return nil
	}
	days, err := listDays(s.cfg.Dir)
	if err != nil {
		return err
	}
	for _, day := range days {
		if s.now().Sub((day + 1).Time()) < s.cfg.Retention {
			break
		}
		mark := filepath.Join(dayDir(s.cfg.Dir, day), droppedMark)
		if _, err := os.Stat(mark); err == nil {
			continue
		}
		if err := os.WriteFile(mark, nil, 0o644); err != nil {
			return fmt.Errorf("store: drop %s: %w", day, err)
		}
		s.metrics.dropped.Inc()
		s.log.Info("dropped a day whose retention is over", "day", day.String())
	}
	return nil
}

// clean removes what nobody reads any more: days that were dropped, and
// segments that were replaced, Config.Grace ago.
func (s *Store) clean(context.Context) error {
	days, err := listDays(s.cfg.Dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, day := range days {
		if at, err := modTime(filepath.Join(dayDir(s.cfg.Dir, day), droppedMark)); err == nil {
			if s.now().Sub(at) >= s.cfg.Grace {
				errs = append(errs, removeDay(s.cfg.Dir, day))
			}
			continue
		}
		errs = append(errs, s.cleanDay(day))
	}
	return errors.Join(errs...)
}

func (s *Store) cleanDay(day edge.Day) error {
	segments, err := listDay(s.cfg.Dir, day)
	if err != nil {
		return err
	}
	live, covered := splitCovered(segments)
	var errs []error
	for _, c := range covered {
		for _, l := range live {
			if !l.covers(c) {
				continue
			}
			if at, err := modTime(l.Beacons()); err == nil && s.now().Sub(at) >= s.cfg.Grace {
				errs = append(errs, removeFiles(c.Beacons(), c.Assignments(), c.Latencies()))
			}
		}
	}
	return errors.Join(errs...)
}

func modTime(path string) (time.Time, error) {
	info, err := os.Stat(path)
	if err != nil {
		return time.Time{}, err
	}
	return info.ModTime(), nil
}

// removeDay removes a dropped day's directory, the mark last.
func removeDay(dir string, day edge.Day) error {
	path := dayDir(dir, day)
	entries, err := os.ReadDir(path)
	if err != nil {
		return fmt.Errorf("store: remove %s: %w", day, err)
	}
	var files []string
	for _, e := range entries {
		if e.Name() != droppedMark {
			files = append(files, filepath.Join(path, e.Name()))
		}
	}
	return removeFiles(append(files, filepath.Join(path, droppedMark), path)...)
}

// removeFiles removes files in the order given, up to the first failure.
func removeFiles(paths ...string) error {
	for _, path := range paths {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("store: %w", err)
		}
	}
	return nil
}

// removeLeftovers removes what a crash left behind: files under temporary
// names, and aggregates without beacons.
func removeLeftovers(dir string) error {
	days, err := listDays(dir)
	if err != nil {
		return err
	}
	for _, day := range days {
		entries, err := os.ReadDir(dayDir(dir, day))
		if err != nil {
			return fmt.Errorf("store: %w", err)
		}
		exists := map[string]bool{}
		for _, e := range entries {
			exists[e.Name()] = true
		}
		for name := range exists {
			if leftover(name, exists) {
				if err := removeFiles(filepath.Join(dayDir(dir, day), name)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func leftover(name string, exists map[string]bool) bool {
	if strings.HasSuffix(name, ".parquet"+temporarySuffix) {
		return true
	}
	for _, suffix := range []string{assignmentsSuffix, latenciesSuffix} {
		if base, ok := strings.CutSuffix(name, suffix); ok {
			_, _, ours := parseRange(base)
			return ours && !exists[base+beaconsSuffix]
		}
	}
	return false
}
