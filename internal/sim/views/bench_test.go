package views

import (
	"bytes"
	"encoding/json"
	"syscall"
	"testing"
	"time"

	"catchment/internal/edge"
	"catchment/internal/sim/people"
)

// BenchmarkBeacons makes views one after another, on one core: made only, made
// and formatted, and formatted by encoding/json instead.
func BenchmarkBeacons(b *testing.B) {
	w := newHandWorld(b, people.DefaultModel(1))
	m := DefaultModel(1)
	m.Views = 1 << 30
	g := newGenerator(b, w, m)
	run := func(name string, format func(dst []byte, v *edge.Beacon) []byte) {
		b.Run(name, func(b *testing.B) {
			f, v, text := g.Filler(), &edge.Beacon{}, make([]byte, 0, 4096)
			b.ReportAllocs()
			i, size := 0, 0
			start := cpuTime()
			for b.Loop() {
				f.Fill(v, i)
				if format != nil {
					text = format(text[:0], v)
					size += len(text)
				}
				i++
			}
			b.ReportMetric(float64(b.N)/(cpuTime()-start).Seconds(), "beacons/CPU-s")
			b.ReportMetric(float64(size)/float64(b.N), "B/beacon")
		})
	}
	run("made", nil)
	run("formatted", func(dst []byte, v *edge.Beacon) []byte { return v.AppendJSON(dst) })
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	run("encoding-json", func(dst []byte, v *edge.Beacon) []byte {
		buf.Reset()
		if err := enc.Encode(v); err != nil {
			b.Fatal(err)
		}
		return buf.Bytes()
	})
}

// cpuTime returns the processor time that this process has used.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
