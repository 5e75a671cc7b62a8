package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	suffix     = ".spool"
	cursorName = "cursor"
	cursorSize = 20 // segment and offset, 64 bits each, and their CRC-32C
)

// load reads the directory: the cursor, and which frames of each segment are
// good.
func (s *Spool) load() error {
	s.cursor = readCursor(s.dir)
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return err
	}
	s.next = s.cursor.segment + 1
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), suffix)
		number, err := strconv.ParseUint(name, 16, 64)
		if !ok || err != nil || len(name) != 16 {
			continue
		}
		g := &segment{number: number}
		if err := s.scan(g); err != nil {
			return err
		}
		s.list = append(s.list, g)
		s.bytes += g.onDisk
		s.next = max(s.next, number+1)
	}
	slices.SortFunc(s.list, func(a, b *segment) int {
		if a.number < b.number {
			return -1
		}
		return 1
	})
	if err := s.tidy(); err != nil {
		return err
	}
	s.measure()
	return nil
}

func (s *Spool) scan(g *segment) error {
	f, err := os.Open(s.path(g.number))
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	g.onDisk = info.Size()
	readFrames(io.LimitReader(f, g.onDisk), 0, func(_ []byte, end int64) bool {
		g.size, g.count = end, g.count+1
		return true
	})
	if torn := g.onDisk - g.size; torn > 0 {
		s.metrics.torn.Add(float64(torn))
		s.log.Warn("a segment of the spool ends torn", "segment", g.number, "bytes", torn)
	}
	return nil
}

// readCursor returns the start where there is no good cursor: records are then
// shipped twice, which their ids tell, rather than never.
func readCursor(dir string) Mark {
	b, err := os.ReadFile(filepath.Join(dir, cursorName))
	if err != nil || len(b) != cursorSize ||
		crc32.Checksum(b[:16], castagnoli) != binary.LittleEndian.Uint32(b[16:]) {
		return Mark{}
	}
	return Mark{binary.LittleEndian.Uint64(b), int64(binary.LittleEndian.Uint64(b[8:]))}
}

// writeCursor replaces the cursor, so that it is the old or the new one
// whatever happens.
func writeCursor(dir string, m Mark) error {
	b := binary.LittleEndian.AppendUint64(nil, m.segment)
	b = binary.LittleEndian.AppendUint64(b, uint64(m.offset))
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
	path := filepath.Join(dir, cursorName)
	f, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err == nil {
		err = syncDir(dir)
	}
	return err
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	err = d.Sync()
	return errors.Join(err, d.Close())
}

// lockDir takes the directory for this process; the kernel frees it when the
// process ends, however it ends.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("spool: %s is in use by another process (want another directory, or stop it)", dir)
		}
		return nil, fmt.Errorf("spool: lock %s: %w", dir, err)
	}
	return f, nil
}
