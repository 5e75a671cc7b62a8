package resetlog

import (
	"fmt"
	"iter"
	"time"

	"catchment/internal/daylog"
	"catchment/internal/edge"
)

// Read returns what was received from since on and before until (zero: no
// limit), in the order in which it was received. It may run while the log is
// written. An error ends it; a line that a crash has torn is left out.
func Read(data string, since, until time.Time) iter.Seq2[*edge.ResetRecord, error] {
	wanted := func(day edge.Day) bool {
		return (since.IsZero() || since.Before((day + 1).Time())) && (until.IsZero() || day.Time().Before(until))
	}
	return func(yield func(*edge.ResetRecord, error) bool) {
		for r, err := range daylog.Read[edge.ResetRecord](dir(data), wanted) {
			switch {
			case err != nil:
				yield(nil, fmt.Errorf("resetlog: %w", err))
				return
			case r.Received.Before(since) || !until.IsZero() && !r.Received.Before(until):
			case !yield(r, nil):
				return
			}
		}
	}
}
