package downloadlog

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"catchment/internal/edge"
)

const suffix = ".ndjson"

var (
	errDisk = errors.New("downloadlog: too little free disk space")
	errFull = errors.New("downloadlog: the day's log is full")
)

// append writes records, which are durable when it returns nil; with an error
// none of them is kept. l.mu is held.
func (l *Log) append(records []edge.DownloadRecord, now time.Time) error {
	if len(records) == 0 {
		return nil
	}
	if err := l.enter(edge.DayOf(now)); err != nil {
		return fmt.Errorf("downloadlog: %w", err)
	}
	var text []byte
	for i := range records {
		line, err := json.Marshal(&records[i])
		if err != nil {
			return fmt.Errorf("downloadlog: %w", err)
		}
		text = append(append(text, line...), '\n')
	}
	if l.dayAll+int64(len(text)) > l.cfg.MaxDayBytes {
		return errFull
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(l.cfg.Dir, &fs); err == nil && fs.Bavail*uint64(fs.Bsize) < l.cfg.MinFreeBytes {
		return errDisk
	}
	_, err := l.file.WriteAt(text, l.size)
	if err == nil {
		err = l.file.Sync()
	}
	if err != nil {
		// What the file holds now is not known: it ends where it was well.
		return errors.Join(fmt.Errorf("downloadlog: %w", err), l.file.Truncate(l.size), l.close())
	}
	l.size += int64(len(text))
	l.dayAll += int64(len(text))
	return nil
}

// enter makes the file of a day ready. Each process begins files of its own,
// so that a line torn by a crash is the last of its file.
func (l *Log) enter(day edge.Day) error {
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
	if err := errors.Join(syncDir(dir), syncDir(filepath.Dir(dir)), syncDir(l.cfg.Dir)); err != nil {
		return errors.Join(err, file.Close())
	}
	l.file, l.day, l.size, l.dayAll = file, day, 0, all
	return nil
}

func (l *Log) close() error {
	if l.file == nil {
		return nil
	}
	err := l.file.Close()
	l.file = nil
	return err
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
