package resetlog

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"catchment/internal/edge"
)

// Read returns what was received from since on and before until (zero: no
// limit), in the order in which it was received. It may run while the log is
// written. An error ends it; a line that a crash has torn is left out.
func Read(data string, since, until time.Time) iter.Seq2[*edge.ResetRecord, error] {
	return func(yield func(*edge.ResetRecord, error) bool) {
		days, err := listDays(data)
		if err != nil {
			yield(nil, err)
			return
		}
		for _, day := range days {
			if !since.IsZero() && !since.Before((day+1).Time()) || !until.IsZero() && !day.Time().Before(until) {
				continue
			}
			entries, err := os.ReadDir(dayDir(data, day))
			if err != nil && !errors.Is(err, os.ErrNotExist) { // dropped meanwhile
				yield(nil, fmt.Errorf("resetlog: %w", err))
				return
			}
			slices.SortFunc(entries, func(a, b os.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
			for _, e := range entries {
				if !strings.HasSuffix(e.Name(), suffix) {
					continue
				}
				wanted := func(r *edge.ResetRecord, err error) bool {
					if err == nil && (r.Received.Before(since) || !until.IsZero() && !r.Received.Before(until)) {
						return true
					}
					return yield(r, err) && err == nil
				}
				if !readFile(filepath.Join(dayDir(data, day), e.Name()), wanted) {
					return
				}
			}
		}
	}
}

// maxLine is far more than a record of eight samples has.
const maxLine = 64 << 10

// readFile reports whether to go on.
func readFile(path string, yield func(*edge.ResetRecord, error) bool) bool {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return true
	}
	if err != nil {
		return yield(nil, fmt.Errorf("resetlog: %w", err))
	}
	defer f.Close()
	in := bufio.NewReaderSize(f, maxLine)
	for n := 1; ; n++ {
		line, err := in.ReadSlice('\n')
		if errors.Is(err, io.EOF) {
			return true // torn, or being written, if there is anything
		}
		if err != nil {
			return yield(nil, fmt.Errorf("resetlog: %s:%d: %w", path, n, err))
		}
		r := &edge.ResetRecord{}
		if err := json.Unmarshal(line, r); err != nil {
			return yield(nil, fmt.Errorf("resetlog: %s:%d: %w", path, n, err))
		}
		if !yield(r, nil) {
			return false
		}
	}
}
