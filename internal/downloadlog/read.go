package downloadlog

import (
	"errors"
	"fmt"
	"iter"
	"time"

	"catchment/internal/daylog"
	"catchment/internal/edge"
)

// MaxLate is how long after a download its record may come: agents spool while
// they are cut off.
const MaxLate = 30 * 24 * time.Hour

// Read returns the downloads that began from since on and before until (zero:
// no limit), in the order in which they were received. It may run while the
// log is written. An error ends it; a line that a crash has torn is left out.
func Read(data string, since, until time.Time) iter.Seq2[*edge.DownloadRecord, error] {
	// Received that day: begun then, or before, or by a clock ahead.
	wanted := func(day edge.Day) bool {
		return (since.IsZero() || since.Add(-maxSkew).Before((day + 1).Time())) && (until.IsZero() || !day.Time().After(until.Add(MaxLate)))
	}
	return func(yield func(*edge.DownloadRecord, error) bool) {
		for r, err := range daylog.Read[edge.DownloadRecord](dir(data), wanted) {
			if err == nil && r.Download == nil {
				err = errors.New("a record without a download")
			}
			switch {
			case err != nil:
				yield(nil, fmt.Errorf("downloadlog: %w", err))
				return
			case r.Download.Start.Before(since) || !until.IsZero() && !r.Download.Start.Before(until):
			case !yield(r, nil):
				return
			}
		}
	}
}
