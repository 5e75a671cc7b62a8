package daylog

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"

	"catchment/internal/edge"
)

const (
	suffix = ".ndjson"

	// MaxLine is far more than a record may have, in bytes.
	MaxLine = 64 << 10
)

func dayDir(dir string, day edge.Day) string { return filepath.Join(dir, day.String()) }

// Days lists the days of a log, in order.
func Days(dir string) ([]edge.Day, error) {
	entries, err := os.ReadDir(dir) // sorted
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var days []edge.Day
	for _, e := range entries {
		if day, err := edge.ParseDay(e.Name()); err == nil && e.IsDir() {
			days = append(days, day)
		}
	}
	return days, nil
}

// Files lists a day's files in the order in which they were written.
func Files(dir string, day edge.Day) (paths []string, err error) {
	entries, err := os.ReadDir(dayDir(dir, day)) // sorted; numbers have leading zeros
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	for _, e := range entries {
		if filepath.Ext(e.Name()) == suffix {
			paths = append(paths, filepath.Join(dayDir(dir, day), e.Name()))
		}
	}
	return paths, nil
}

// Read returns the records of the days that are wanted, in the order in which
// they were written. It may run while the log is written. An error, which names
// file and line, ends it; a line that a crash has torn is left out.
func Read[R any](dir string, wanted func(edge.Day) bool) iter.Seq2[*R, error] {
	return func(yield func(*R, error) bool) {
		days, err := Days(dir)
		if err != nil {
			yield(nil, err)
			return
		}
		for _, day := range days {
			if !wanted(day) {
				continue
			}
			paths, err := Files(dir, day)
			if err != nil {
				yield(nil, err)
				return
			}
			for _, path := range paths {
				if !readFile(path, yield) {
					return
				}
			}
		}
	}
}

// readFile reports whether to go on.
func readFile[R any](path string, yield func(*R, error) bool) bool {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) { // dropped meanwhile
		return true
	}
	if err != nil {
		yield(nil, err)
		return false
	}
	defer f.Close()
	in := bufio.NewReaderSize(f, MaxLine)
	for n := 1; ; n++ {
		line, err := in.ReadSlice('\n')
		if errors.Is(err, io.EOF) {
			return true // torn, or being written, if there is anything
		}
		r := new(R)
		if err == nil {
			err = json.Unmarshal(line, r)
		}
		if err != nil {
			yield(nil, fmt.Errorf("%s:%d: %w", path, n, err))
			return false
		}
		if !yield(r, nil) {
			return false
		}
	}
}
