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
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"catchment/internal/pop"
)

// BenchmarkDownloads keeps slow downloads open from a PoP in another process,
// 1,000 of them, or as many as SYNTH_DOWNLOADS says, and reports what they take
// of the agent and of the PoP: memory (RSS of the process, without the sockets'
// in the kernel) and CPU (of one core). The case net/http is the same with the
// standard library's client.
func BenchmarkDownloads(b *testing.B) {
	count := 1000
	if testing.Short() { // that it runs, not what it says
		count = 100
	}
	if text := os.Getenv("SYNTH_DOWNLOADS"); text != "" {
		var err error
		if count, err = strconv.Atoi(text); err != nil {
			b.Fatal(err)
		}
	}
	cert, pool := certificate(b, "*.probe.edge.example", "www.edge.example")
	far, port, tlsPort := popProcess(b, cert)
	a, out, _ := newAgent(b, Config{Port: port, TLSPort: tlsPort, RootCAs: pool, Limits: Limits{Connect: time.Minute, Answer: time.Minute, Stall: time.Minute}})
	for _, p := range []Protocol{HTTP, HTTPS, HTTP2} {
		r := routeTo(b, a, "pop:iad", "127.0.0.1", p)
		b.Run(string(p), func(b *testing.B) {
			load(b, far, count, func(ctx context.Context) { a.slow(ctx, r, 2*time.Minute) })
			ended := 0
			for _, d := range out.all {
				if d.Outcome == Stopped {
					continue
				}
				if ended++; ended <= 3 {
					b.Logf("%s at %s after %.0f ms: %s %s", d.Outcome, d.Stage, d.Duration, d.Errno, d.Error)
				}
			}
			// A machine that has no time for handshakes: PoPs wait 5 s for a request.
			b.ReportMetric(float64(ended), "ended-early")
			out.all = nil
		})
	}
	b.Run("net/http", func(b *testing.B) {
		t := &http.Transport{}
		load(b, far, count, func(ctx context.Context) {
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

// load runs count downloads at a time and reports what they cost this process
// and that of the PoP while all of them are under way.
func load(b *testing.B, pop, count int, download func(context.Context)) {
	debug.FreeOSMemory() // what the case before took
	agent := os.Getpid()
	before := rss(b, agent)
	for b.Loop() {
		ctx, cancel := context.WithCancel(b.Context())
		var all sync.WaitGroup
		for range count {
			all.Go(func() { download(ctx) })
			time.Sleep(3 * time.Millisecond) // an agent spreads them over 75 s
		}
		settle, measure := 3*time.Second, 10*time.Second
		if testing.Short() { // that it runs, not what it says
			settle, measure = 100*time.Millisecond, 100*time.Millisecond
		}
		time.Sleep(settle)
		used, usedThere, begin := cpu(b, agent), cpu(b, pop), time.Now()
		time.Sleep(measure)
		took := time.Since(begin).Seconds()
		share, shareThere := (cpu(b, agent)-used).Seconds()/took, (cpu(b, pop)-usedThere).Seconds()/took
		taken := rss(b, agent)
		b.ReportMetric(float64(taken-before)/float64(count), "B/download")
		b.ReportMetric(1e6*share/float64(count), "CPU-µs/s/download")
		b.ReportMetric(float64(taken)/(1<<20), "agent-MiB")
		b.ReportMetric(100*share, "agent-%core")
		b.ReportMetric(float64(rss(b, pop))/(1<<20), "PoP-MiB")
		b.ReportMetric(100*shareThere, "PoP-%core")
		b.ReportMetric(0, "ns/op")
		cancel()
		all.Wait()
	}
}

// rss is the memory of a process, bytes.
func rss(b *testing.B, pid int) int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
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

// cpu is what a process has used: utime and stime of proc_pid_stat(5), in
// ticks of 10 ms.
func cpu(b *testing.B, pid int) (used time.Duration) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Skip(err)
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	for _, field := range strings.Fields(rest)[11:13] {
		ticks, err := strconv.Atoi(field)
		if err != nil {
			b.Fatal(err)
		}
		used += time.Duration(ticks) * 10 * time.Millisecond
	}
	return used
}

// popProcess runs a PoP in a process of its own, until the benchmark ends.
func popProcess(b *testing.B, cert *tls.Certificate) (pid int, port, tlsPort uint16) {
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
	return cmd.Process.Pid, port, tlsPort
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
