package synth

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"catchment/internal/pop"
)

// BenchmarkDownloads keeps slow downloads open from a PoP in another process,
// 1,000 of them, or as many as SYNTH_DOWNLOADS says, and reports what one costs
// the agent: memory (RSS, without the sockets' in the kernel) and CPU. The
// case net/http is the same with the standard library's client.
func BenchmarkDownloads(b *testing.B) {
	count := 1000
	if text := os.Getenv("SYNTH_DOWNLOADS"); text != "" {
		var err error
		if count, err = strconv.Atoi(text); err != nil {
			b.Fatal(err)
		}
	}
	cert, pool := certificate(b, "*.probe.edge.example", "www.edge.example")
	port, tlsPort := popProcess(b, cert)
	a, _, _ := newAgent(b, Config{Port: port, TLSPort: tlsPort, RootCAs: pool, Limits: Limits{Connect: time.Minute, Answer: time.Minute, Stall: time.Minute}})
	for _, p := range []Protocol{HTTP, HTTPS, HTTP2} {
		r := routeTo(b, a, "pop:iad", "127.0.0.1", p)
		b.Run(string(p), func(b *testing.B) {
			load(b, count, func(ctx context.Context) { a.slow(ctx, r, 2*time.Minute) })
		})
	}
	b.Run("net/http", func(b *testing.B) {
		t := &http.Transport{}
		load(b, count, func(ctx context.Context) {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/slow?seconds=120&bytes=48000", port), nil)
			if err != nil {
				panic(err)
			}
			if resp, err := t.RoundTrip(req); err == nil {
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			}
		})
	})
}

// load runs count downloads at a time and reports what one costs while all of
// them are under way.
func load(b *testing.B, count int, download func(context.Context)) {
	runtime.GC()
	before := rss(b)
	for b.Loop() {
		ctx, cancel := context.WithCancel(b.Context())
		var all sync.WaitGroup
		for range count {
			all.Go(func() { download(ctx) })
			time.Sleep(time.Millisecond) // 1,000 a second
		}
		settle, measure := 3*time.Second, 10*time.Second
		if testing.Short() { // that it runs, not what it says
			settle, measure = 100*time.Millisecond, 100*time.Millisecond
		}
		time.Sleep(settle)
		used, begin := cpu(b), time.Now()
		time.Sleep(measure)
		share := (cpu(b) - used).Seconds() / time.Since(begin).Seconds()
		b.ReportMetric(float64(rss(b)-before)/float64(count), "RSS-B/download")
		b.ReportMetric(1e6*share/float64(count), "CPU-µs/s/download")
		b.ReportMetric(0, "ns/op")
		cancel()
		all.Wait()
	}
}

func rss(b *testing.B) int {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Skip(err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, err := strconv.Atoi(strings.Fields(rest)[0])
			if err != nil {
				b.Fatal(err)
			}
			return kb << 10
		}
	}
	b.Fatal("no VmRSS")
	return 0
}

func cpu(b *testing.B) time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		b.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// popProcess runs a PoP in a process of its own, until the benchmark ends.
func popProcess(b *testing.B, cert *tls.Certificate) (port, tlsPort uint16) {
	b.Helper()
	key, err := pemOf(cert)
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "SYNTH_POP="+key)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { in.Close(); cmd.Process.Kill(); cmd.Wait() })
	if _, err := fmt.Fscanf(out, "ports %d %d\n", &port, &tlsPort); err != nil {
		b.Fatal(err)
	}
	go io.Copy(io.Discard, out)
	return port, tlsPort
}

// TestMain runs the tests, or, for a benchmark that started it so, a PoP that
// ends with its input.
func TestMain(m *testing.M) {
	pem := os.Getenv("SYNTH_POP")
	if pem == "" {
		os.Exit(m.Run())
	}
	if err := popForBenchmark(pem); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// popForBenchmark prints the ports of a PoP that has the certificate and its key.
func popForBenchmark(pem string) error {
	cert, err := tls.X509KeyPair([]byte(pem), []byte(pem))
	if err != nil {
		return err
	}
	s, err := pop.New(pop.Config{
		PoP: "iad", Fleet: world(), Certificates: []tls.Certificate{cert},
		Listeners: []pop.Listener{{Addr: "127.0.0.1:0"}, {Addr: "127.0.0.1:0", TLS: true}},
		Limits: pop.Limits{
			Connections: 1 << 17, ConnectionsPerPrefix: 1 << 17, Downloads: 1 << 17, DownloadsPerPrefix: 1 << 17,
			BytesPerMinute: 1 << 40,
		},
	}, quiet, prometheus.NewRegistry())
	if err != nil {
		return err
	}
	if err := s.Listen(); err != nil {
		return err
	}
	fmt.Printf("ports %d %d\n", s.Addrs()[0].(*net.TCPAddr).Port, s.Addrs()[1].(*net.TCPAddr).Port)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() { io.Copy(io.Discard, os.Stdin); cancel() }()
	return s.Run(ctx)
}
