package downloadlog

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"time"

	"catchment/internal/edge"
)

// MaxLate is how long after a download its record may come: agents spool while
// they are cut off.
const MaxLate = 30 * 24 * time.Hour

// Read returns the downloads that began from since on and before until (zero:
// no limit), in the order in which they were received. It may run while the
// log is written. An error ends it; a line that a crash has torn is left out.
func Read(data string, since, until time.Time) iter.Seq2[*edge.DownloadRecord, error] {
	return func(yield func(*edge.DownloadRecord, error) bool) {
		days, err := listDays(data)
		if err != nil {
			yield(nil, err)
			return
		}
		for _, day := range days {
			// Received that day: begun then, or before, or by a clock ahead.
			if !since.IsZero() && !since.Add(-maxSkew).Before((day+1).Time()) || !until.IsZero() && day.Time().After(until.Add(MaxLate)) {
				continue
			}
			names, err := filesOf(data, day)
			if err != nil {
				yield(nil, err)
				return
			}
			for _, name := range names {
				wanted := func(r *edge.DownloadRecord, err error) bool {
					if err == nil && (r.Download.Start.Before(since) || !until.IsZero() && !r.Download.Start.Before(until)) {
						return true
					}
					return yield(r, err) && err == nil
				}
				if !readFile(filepath.Join(dayDir(data, day), name), wanted) {
					return
				}
			}
		}
	}
}

// maxLine is far more than a record has, whose texts are bounded.
const maxLine = 64 << 10

// readFile reports whether to go on.
func readFile(path string, yield func(*edge.DownloadRecord, error) bool) bool {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) { // dropped meanwhile
		return true
	}
	if err != nil {
		return yield(nil, fmt.Errorf("downloadlog: %w", err))
	}
	defer f.Close()
	in := bufio.NewReaderSize(f, maxLine)
	for n := 1; ; n++ {
		line, err := in.ReadSlice('\n')
		if errors.Is(err, io.EOF) {
			return true // torn, or being written, if there is anything
		}
		if err != nil {
			return yield(nil, fmt.Errorf("downloadlog: %s:%d: %w", path, n, err))
		}
		r := &edge.DownloadRecord{}
		if err := json.Unmarshal(line, r); err != nil {
			return yield(nil, fmt.Errorf("downloadlog: %s:%d: %w", path, n, err))
		}
		if r.Download == nil {
			return yield(nil, fmt.Errorf("downloadlog: %s:%d: no download", path, n))
		}
		if !yield(r, nil) {
			return false
		}
	}
}
