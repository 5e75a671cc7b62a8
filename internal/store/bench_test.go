package store

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math/bits"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sys/unix"

	"catchment/internal/edge"
)

func BenchmarkWriteSegment(b *testing.B) {
	beacons := newTypical(1, testDay.Time(), 20*time.Microsecond).take(50_000)
	dir := b.TempDir()
	b.ReportAllocs()
	n, before := 0, cpuTime(b)
	for b.Loop() {
		if _, err := WriteSegment(dir, testDay, 1, 1, beacons); err != nil {
			b.Fatal(err)
		}
		n += len(beacons)
	}
	b.ReportMetric(float64((cpuTime(b)-before).Microseconds())/float64(n), "cpu-µs/row")
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "rows/s")
}

// BenchmarkSeal moves beacons from the write-ahead log into segments: what they
// cost after they have been acknowledged.
func BenchmarkSeal(b *testing.B) {
	const rows = beaconGroupRows
	s, err := Open(Config{Dir: b.TempDir(), MinFreeBytes: 1, SealRows: 100 * rows}, quiet(), prometheus.NewRegistry())
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	beacons := newTypical(1, testDay.Time(), 20*time.Microsecond)
	var used time.Duration
	n := 0
	b.ReportAllocs()
	b.StopTimer()
	for range b.N {
		for range rows / 1024 {
			if _, err := s.Append(b.Context(), beacons.take(1024)...); err != nil {
				b.Fatal(err)
			}
		}
		before := cpuTime(b)
		b.StartTimer()
		if err := s.sealAll(); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		used += cpuTime(b) - before
		n += rows
	}
	b.ReportMetric(float64(used.Microseconds())/float64(n), "cpu-µs/row")
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "rows/s")
}

func BenchmarkReadBeacons(b *testing.B) {
	beacons := newTypical(1, testDay.Time(), 20*time.Microsecond).take(50_000)
	dir := b.TempDir()
	s, err := WriteSegment(dir, testDay, 1, 1, beacons)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		for _, err := range ReadBeacons(s) {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "rows/s")
}

// BenchmarkAppend acknowledges beacons durably while Run seals behind them, as
// far as it keeps up; sealed/row is the share that it had sealed by the end.
func BenchmarkAppend(b *testing.B) {
	for _, c := range []struct {
		name             string
		producers, batch int
		every            time.Duration // of each producer; 0 is at once
	}{
		{"single/1", 1, 1, 0},
		{"single/16", 16, 1, 0},
		{"single/512", 512, 1, 0},
		{"batch100/4", 4, 100, 0},
		{"batch1000/4", 4, 1000, 0},
		{"paced/5000perSecond", 500, 1, 100 * time.Millisecond},
	} {
		b.Run(c.name, func(b *testing.B) { benchmarkAppend(b, c.producers, c.batch, c.every) })
	}
}

func benchmarkAppend(b *testing.B, producers, batch int, every time.Duration) {
	s, err := Open(Config{Dir: b.TempDir(), MinFreeBytes: 1}, quiet(), prometheus.NewRegistry())
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- s.Run(ctx) }()
	// Few enough to stay in the cache, as what a decoder has just made is.
	templates := newTypical(1, testDay.Time(), time.Microsecond).take(256)

	var waits [64]atomic.Int64 // by the logarithm of the time in µs
	var left atomic.Int64
	left.Store(int64(b.N))
	before := cpuTime(b)
	b.ResetTimer()
	var group sync.WaitGroup
	for p := range producers {
		group.Go(func() {
			own := make([]*edge.Beacon, batch)
			for i := range own {
				own[i] = new(edge.Beacon)
			}
			if every > 0 {
				time.Sleep(every * time.Duration(p) / time.Duration(producers))
			}
			for n := 0; ; n += batch {
				todo := min(left.Add(-int64(batch))+int64(batch), int64(batch))
				if todo <= 0 {
					return
				}
				for i := range todo {
					*own[i] = *templates[(p*7919+n+int(i))%len(templates)]
					own[i].ID = benchmarkID(p, n+int(i))
				}
				start := time.Now()
				for {
					_, err := s.Append(ctx, own[:todo]...)
					if err == nil {
						break
					}
					if !errors.Is(err, ErrBusy) {
						b.Error(err)
						return
					}
				}
				took := time.Since(start)
				waits[bits.Len64(uint64(took.Microseconds()))].Add(todo)
				if every > 0 {
					time.Sleep(every - took)
				}
			}
		})
	}
	group.Wait()
	b.StopTimer()
	s.mu.Lock()
	waiting := s.logRows
	s.mu.Unlock()
	used := cpuTime(b) - before
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rows/s")
	b.ReportMetric(float64(used.Microseconds())/float64(b.N), "cpu-µs/row")
	b.ReportMetric(1-float64(waiting)/float64(b.N), "sealed/row")
	for _, q := range []float64{0.5, 0.99} {
		b.ReportMetric(quantile(&waits, q), fmt.Sprintf("p%.0f-ms", 100*q))
	}
	cancel()
	if err := errors.Join(<-ran, s.Close()); err != nil {
		b.Fatal(err)
	}
}

// benchmarkID is an id as long as browsers make them.
func benchmarkID(producer, n int) string {
	var b [16]byte
	binary.BigEndian.PutUint32(b[:], uint32(producer))
	binary.BigEndian.PutUint64(b[8:], uint64(n))
	var text [32]byte
	hex.Encode(text[:], b[:])
	return string(text[:])
}

// quantile returns the upper edge of the bin that quantile q lies in, in ms.
func quantile(waits *[64]atomic.Int64, q float64) float64 {
	var total, sum int64
	for i := range waits {
		total += waits[i].Load()
	}
	for i := range waits {
		if sum += waits[i].Load(); float64(sum) >= q*float64(total) {
			return float64(int64(1)<<i) / 1000
		}
	}
	return 0
}

func cpuTime(b *testing.B) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func BenchmarkEncode(b *testing.B) {
	beacons := newTypical(1, testDay.Time(), time.Microsecond).take(64)
	var buf []byte
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		buf = appendRecord(buf[:0], beacons[i%len(beacons)])
	}
	b.ReportMetric(float64(len(buf)), "B/record")
}

func BenchmarkDecode(b *testing.B) {
	record := string(appendRecord(nil, newTypical(1, testDay.Time(), time.Microsecond).next()))
	var beacon edge.Beacon
	b.ReportAllocs()
	for b.Loop() {
		if err := decodeRecord(&beacon, record); err != nil {
			b.Fatal(err)
		}
	}
}
