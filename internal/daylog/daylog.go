// Package daylog keeps records durably as lines of JSON in files by UTC day,
// DIR/DAY/NUMBER.ndjson, which may be read while they are written. What a
// record says and who may hand it in is its users' business.
package daylog

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"catchment/internal/edge"
)

// Config says where records are and how much of them.
type Config struct {
	Dir          string // DATA/what
	MaxDayBytes  int64  // of a day's files
	MinFreeBytes uint64 // floor under the file system's free space
}

// What Append cannot do for now.
var (
	ErrDisk = errors.New("too little free disk space")
	ErrFull = errors.New("the day's log is full")
)

// Log is a log of records R. Safe for concurrent use; one process writes.
type Log[R any] struct {
	cfg Config

	mu     sync.Mutex // all that follows; held while files are written
	file   *os.File   // nil: none yet
	day    edge.Day   // of file
	size   int64      // of file
	dayAll int64      // of the day's files
}

// New returns a log, which touches nothing before there is something to write.
func New[R any](cfg Config) *Log[R] { return &Log[R]{cfg: cfg} }

// Append writes records, which are durable when it returns nil; with an error,
// which may be ErrDisk or ErrFull, none of them is kept.
func (l *Log[R]) Append(records []R, now time.Time) error {
	if len(records) == 0 {
		return nil
	}
	var text []byte
	for i := range records {
		line, err := json.Marshal(&records[i])
		if err != nil {
			return err
		}
		text = append(append(text, line...), '\n')
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.enter(edge.DayOf(now)); err != nil {
		return err
	}
	if l.dayAll+int64(len(text)) > l.cfg.MaxDayBytes {
		return ErrFull
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(l.cfg.Dir, &fs); err == nil && fs.Bavail*uint64(fs.Bsize) < l.cfg.MinFreeBytes {
		return ErrDisk
	}
	_, err := l.file.WriteAt(text, l.size)
	if err == nil {
		err = l.file.Sync()
	}
	if err != nil {
		// What the file holds now is not known: it ends where it was well.
		return errors.Join(err, l.file.Truncate(l.size), l.close())
	}
	l.size += int64(len(text))
	l.dayAll += int64(len(text))
	return nil
}

// enter makes the file of a day ready. Each process begins files of its own,
// so that a line torn by a crash is the last of its file.
func (l *Log[R]) enter(day edge.Day) error {
	if l.file != nil && l.day == day {
		return nil
	}
	if err := l.close(); err != nil {
		return err
	}
	dir := dayDir(l.cfg.Dir, day)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	all := int64(0)
	for _, e := range entries {
		if info, err := e.Info(); err == nil {
			all += info.Size()
		}
	}
	var file *os.File
	for n := len(entries) + 1; ; n++ {
		file, err = os.OpenFile(filepath.Join(dir, fmt.Sprintf("%06d%s", n, suffix)), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if !errors.Is(err, os.ErrExist) {
			break
		}
	}
	if err != nil {
		return err
	}
	if err := errors.Join(SyncDir(dir), SyncDir(l.cfg.Dir), SyncDir(filepath.Dir(l.cfg.Dir))); err != nil {
		return errors.Join(err, file.Close())
	}
	l.file, l.day, l.size, l.dayAll = file, day, 0, all
	return nil
}

// Close closes the file that is being written, if there is one.
func (l *Log[R]) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.close()
}

func (l *Log[R]) close() error {
	if l.file == nil {
		return nil
	}
	err := l.file.Close()
	l.file = nil
	return err
}

// SyncDir makes the names in a directory durable.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// DropOld removes the days that ended so long ago; 0 keeps all.
func (l *Log[R]) DropOld(retention time.Duration, now time.Time) error {
	if retention == 0 {
		return nil
	}
	days, err := Days(l.cfg.Dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, day := range days {
		if now.Sub((day + 1).Time()) >= retention {
			errs = append(errs, os.RemoveAll(dayDir(l.cfg.Dir, day)))
		}
	}
	return errors.Join(errs...)
}
