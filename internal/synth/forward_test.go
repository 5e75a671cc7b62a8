package synth

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
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

// TestHour: the collector is away for an hour, in which the agent goes on and is
// started anew once. Nothing is lost, nothing comes out of order, the disk has
// what the hour brought and memory nothing of it; then the agent catches up.
func TestHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const (
			perSecond = 2 // 20 slow downloads at a time, with their looks, bring less
			record    = 500
			all       = 80 * 60 * perSecond
		)
		begin := time.Now()
		c := &collector{answer: func([]json.RawMessage) error {
			if x := time.Since(begin); x > 5*time.Minute && x < 65*time.Minute {
				return errors.New("no route to host")
			}
			return nil
		}}
		cfg := spool.Config{Dir: t.TempDir()}
		written, most := 0, int64(0)
		// run is the agent from its start until a time.
		run := func(until time.Duration) {
			s, err := spool.Open(cfg, quiet, nil)
			if err != nil {
				t.Fatal(err)
			}
			f, err := NewForwarder(s, c, quiet, prometheus.NewPedanticRegistry())
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), until-time.Since(begin))
			defer cancel()
			go func() {
				for ctx.Err() == nil && written < all {
					r := fmt.Appendf(nil, `{"id":"%d","more":"`, written)
					r = append(append(r, bytes.Repeat([]byte("x"), record-len(r)-2)...), `"}`...)
					if err := s.Append(r); err != nil {
						t.Error(err)
					}
					written++
					sleep(ctx, time.Second/perSecond)
				}
			}()
			if err := f.Run(ctx); err != nil {
				t.Error(err)
			}
			synctest.Wait()
			most = max(most, diskUsed(t, cfg.Dir))
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
		heap := heapUsed()
		run(35 * time.Minute)
		run(64 * time.Minute)
		if grown := heapUsed() - heap; grown > 4<<20 {
			t.Errorf("%d bytes of memory more after an hour of records", grown)
		}
		if hour := int64(59 * 60 * perSecond * record); most < hour || most > 2*hour {
			t.Errorf("the spool had %d bytes on disk, %d were written in the hour", most, hour)
		}
		run(90 * time.Minute)
		next := 0
		for _, r := range c.got {
			var x struct {
				ID int `json:"id,string"`
			}
			if err := json.Unmarshal([]byte(r), &x); err != nil {
				t.Fatal(err)
			}
			if x.ID > next { // a start ships again what had been shipped a moment before
				t.Fatalf("record %d comes after %d", x.ID, next-1)
			}
			next = max(next, x.ID+1)
		}
		if next != all || written != all {
			t.Errorf("%d of %d records arrived", next, written)
		}
		if again := len(c.got) - all; again > maxBatch {
			t.Errorf("%d records came twice", again)
		}
		t.Logf("%d records, %d bytes on disk at most, %d calls of which an hour failed", all, most, len(c.calls))
	})
}

func heapUsed() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func diskUsed(t *testing.T, dir string) (n int64) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil {
			n += info.Size()
		}
	}
	return n
}
