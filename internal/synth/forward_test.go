package synth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"catchment/internal/synth/spool"
)

// collector takes batches, unless answer says otherwise.
type collector struct {
	got    []string
	calls  []int // sizes of batches
	answer func(batch []json.RawMessage) error
}

func (c *collector) Ship(_ context.Context, batch []json.RawMessage) error {
	c.calls = append(c.calls, len(batch))
	if c.answer != nil {
		if err := c.answer(batch); err != nil {
			return err
		}
	}
	for _, r := range batch {
		c.got = append(c.got, string(r))
	}
	return nil
}

// forwarding runs a forwarder over count records for an hour.
func forwarding(t *testing.T, count int, c *collector) *Forwarder {
	t.Helper()
	s, err := spool.Open(spool.Config{Dir: t.TempDir()}, quiet, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	for _, r := range lines(count) {
		if err := s.Append([]byte(r)); err != nil {
			t.Fatal(err)
		}
	}
	f, err := NewForwarder(s, c, quiet, prometheus.NewPedanticRegistry())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	if err := f.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if left, _, err := s.Read(1, 1<<20); err != nil || len(left) > 0 {
		t.Errorf("left in the spool: %s, %v", left, err)
	}
	return f
}

func lines(count int) (all []string) {
	for i := range count {
		all = append(all, fmt.Sprintf(`{"id":"%d"}`, i))
	}
	return all
}

// After an outage everything arrives, in order; while it lasts the collector is
// asked less and less.
func TestOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		c := &collector{answer: func([]json.RawMessage) error {
			if time.Since(begin) < 10*time.Minute {
				return errors.New("no route to host")
			}
			return nil
		}}
		f := forwarding(t, 1000, c)
		if d := cmp.Diff(lines(1000), c.got); d != "" {
			t.Errorf("-want +got:\n%s", d)
		}
		if n := testutil.ToFloat64(f.shipped.WithLabelValues("ok")); n != 1000 {
			t.Errorf("%v shipped", n)
		}
		if len(c.calls) > 35 { // 6 while the pause doubles to a minute, 10 at a minute, 18 to catch up
			t.Errorf("%d calls: %v", len(c.calls), c.calls)
		}
	})
}

// A batch that is too large is halved; a record that is never taken is dropped,
// alone.
func TestRefusedBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &collector{answer: func(batch []json.RawMessage) error {
			for _, r := range batch {
				if string(r) == `{"id":"5"}` {
					return fmt.Errorf("%w: 400", ErrRefused)
				}
			}
			if len(batch) > 3 {
				return errors.New("413 too large")
			}
			return nil
		}}
		f := forwarding(t, 10, c)
		want := lines(10)
		want = append(want[:5], want[6:]...)
		if d := cmp.Diff(want, c.got); d != "" {
			t.Errorf("-want +got:\n%s\ncalls: %v", d, c.calls)
		}
		if n := testutil.ToFloat64(f.shipped.WithLabelValues("refused")); n != 1 {
			t.Errorf("%v refused", n)
		}
	})
}
