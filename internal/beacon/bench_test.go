package beacon

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// BenchmarkCollector posts beacons over loopback connections that stay open,
// with a sink that takes no time, beside a handler that only reads the body:
// the difference is the collector's own. CPU is that of both sides.
func BenchmarkCollector(b *testing.B) {
	c, err := New(Config{BeaconLimit: Limit{PerMinute: 1e9, Burst: 1e6}}, testFleet(), places{}, nothing{},
		slog.New(slog.DiscardHandler), nil)
	if err != nil {
		b.Fatal(err)
	}
	readOnly := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusNoContent)
	})
	for _, v := range []struct {
		name string
		h    http.Handler
	}{{"collector", c.Handler()}, {"read-only", readOnly}} {
		b.Run(v.name, func(b *testing.B) {
			server := httptest.NewUnstartedServer(nil)
			server.Config = Server(v.h, slog.New(slog.DiscardHandler))
			server.Start()
			defer server.Close()
			request := fmt.Sprintf("POST /v1/beacons HTTP/1.1\r\nHost: beacons.example\r\nContent-Length: %d\r\n"+
				"Content-Type: text/plain;charset=UTF-8\r\nOrigin: https://www.example\r\nAccept: */*\r\nAccept-Language: en\r\n"+
				"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36\r\n"+
				"Sec-Fetch-Mode: no-cors\r\nSec-Fetch-Site: cross-site\r\n\r\n%s", len(typical), typical)
			b.ReportAllocs()
			start := cpuTime()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				conn, err := net.Dial("tcp", server.Listener.Addr().String())
				if err != nil {
					b.Error(err)
					return
				}
				defer conn.Close()
				answers := bufio.NewReader(conn)
				for pb.Next() {
					if _, err := io.WriteString(conn, request); err != nil {
						b.Error(err)
						return
					}
					line, err := answers.ReadString('\n')
					if err != nil || !strings.Contains(line, " 204 ") {
						b.Error(line, err)
						return
					}
					for line != "\r\n" {
						if line, err = answers.ReadString('\n'); err != nil {
							b.Error(err)
							return
						}
					}
				}
			})
			b.ReportMetric(float64((cpuTime()-start).Nanoseconds())/float64(b.N), "cpu-ns/op")
		})
	}
}

// BenchmarkHandler is the collector without the network.
func BenchmarkHandler(b *testing.B) {
	c, err := New(Config{BeaconLimit: Limit{PerMinute: 1e9, Burst: 1e6}}, testFleet(), places{}, nothing{},
		slog.New(slog.DiscardHandler), nil)
	if err != nil {
		b.Fatal(err)
	}
	h := c.Handler()
	plan := c.cfg.Keys.planID(0, newSeed(time.Now(), 1))
	text := strings.Replace(typical, `"t":`, `"plan":"`+plan+`","t":`, 1)
	body := strings.NewReader(text)
	r := httptest.NewRequest("POST", "/v1/beacons", body)
	r.RemoteAddr = "203.0.113.7:40000"
	r.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36")
	w := discard{http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		body.Reset(text)
		h.ServeHTTP(w, r)
	}
}

// discard is a ResponseWriter that keeps nothing.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(status int) {
	if status != http.StatusNoContent {
		panic(status)
	}
}

// cpuTime is what this process has used, user and system.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkAskers fills the table of who asked to the brim and looks plans up
// in it: bytes are those of all of it, for each plan.
func BenchmarkAskers(b *testing.B) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	now := time.Unix(1_790_000_000, 0)
	a := newAskers(askersMost, func(int) {})
	seeds := make([]seed, askersMost)
	for i := range seeds {
		seeds[i] = newSeed(now, uint64(i)*0x9e3779b97f4a7c15)
		a.note(seeds[i], asker{at: 1, rank: rankOther}, now)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	i := 0
	for b.Loop() {
		i = (i + 7919) % len(seeds)
		a.of(seeds[i])
	}
	held := after.HeapAlloc - before.HeapAlloc - uint64(len(seeds)*len(seed{}))
	b.ReportMetric(float64(held)/(1<<20), "MiB")
	runtime.KeepAlive(a)
}
