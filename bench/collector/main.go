// Collector measures the CPU that one beacon costs Catchment's collector
// (validated, enriched, truncated, durable when answered) against an
// OpenTelemetry Collector that writes the same beacon, as OTLP/HTTP JSON, to a
// file without ever syncing it: once as one string body, once as structured
// attributes.
//
// What a server still does when it is told to stop counts apart: Catchment then
// seals what was measured into Parquet and makes its aggregates.
//
// Each server is pinned to core 0 with GOMAXPROCS=1, the load to core 1; their
// rounds are interleaved and the least CPU per request of the rounds counts,
// because the noise of a shared machine only ever adds.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

func main() {
	log.SetFlags(0)
	var (
		catchment = flag.String("catchment", "bin/catchment", "catchment binary")
		otelcol   = flag.String("otelcol", "", "binary built from bench/otelcol")
		rounds    = flag.Int("rounds", 5, "rounds per server")
		warm      = flag.Duration("warm", time.Second, "warm-up of a round")
		span      = flag.Duration("time", 3*time.Second, "measured part of a round")
		conns     = flag.Int("connections", 256, "kept-alive connections")
	)
	flag.Parse()
	dir, err := os.MkdirTemp("", "catchment-bench-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := run(dir, *catchment, *otelcol, *rounds, *warm, *span, *conns); err != nil {
		log.Print(err)
		os.RemoveAll(dir)
		os.Exit(1)
	}
}

// contender is a server under load.
type contender struct {
	name  string
	start func() (*server, error)
	// requests returns the request that connection c sends, to be patched in
	// place before each send.
	template func(s *server) (*template, error)
	wants    int // HTTP status

	best float64 // least CPU per request, µs
	rest float64 // least CPU per request to finish with it, µs
	rate float64 // best requests per second
}

func run(dir, catchment, otelcol string, rounds int, warm, span time.Duration, conns int) error {
	contenders, err := all(dir, catchment, otelcol)
	if err != nil {
		return err
	}
	// The load keeps off the servers' core.
	var cpu1 unix.CPUSet
	cpu1.Set(1)
	if err := unix.SchedSetaffinity(0, &cpu1); err != nil {
		return fmt.Errorf("pin the load to core 1: %w", err)
	}
	for round := range rounds {
		for _, c := range contenders {
			cost, rest, rate, err := measure(c, warm, span, conns)
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			fmt.Fprintf(os.Stderr, "round %d  %-44s %6.1f µs  %8.0f/s  %6.1f µs to finish\n", round+1, c.name, cost, rate, rest)
			if round == 0 || cost < c.best {
				c.best = cost
			}
			if round == 0 || rest < c.rest {
				c.rest = rest
			}
			c.rate = max(c.rate, rate)
		}
	}
	ours := contenders[0]
	fmt.Printf("\nCPU per beacon, least of %d rounds, %d connections kept alive:\n", rounds, conns)
	for _, c := range contenders {
		fmt.Printf("  %-44s %6.1f µs  best %6.0f/s  catchment is %.2f of it, %.2f with sealing\n",
			c.name, c.best, c.rate, ours.best/c.best, (ours.best+ours.rest)/c.best)
	}
	fmt.Printf("  %-44s %6.1f µs\n", "catchment, sealing into Parquet", ours.rest)
	return nil
}

// measure starts c, loads it, and returns its CPU per request in µs, what it
// then takes to finish with the request, and the requests per second.
func measure(c *contender, warm, span time.Duration, conns int) (cost, rest, rate float64, err error) {
	s, err := c.start()
	if err != nil {
		return 0, 0, 0, err
	}
	defer s.stop()
	t, err := c.template(s)
	if err != nil {
		return 0, 0, 0, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), warm+span+10*time.Second)
	defer cancel()
	l, err := newLoad(ctx, s.addr, t, conns, c.wants)
	if err != nil {
		return 0, 0, 0, err
	}
	defer l.close()
	time.Sleep(warm)
	cpu0, n0, t0 := s.cpu(), l.done.Load(), time.Now()
	time.Sleep(span)
	cpu1, n1, t1 := s.cpu(), l.done.Load(), time.Now()
	if err := l.err(); err != nil {
		return 0, 0, 0, err
	}
	n := float64(n1 - n0)
	if n == 0 {
		return 0, 0, 0, fmt.Errorf("no request was answered")
	}
	l.close()
	cpu2 := s.cpu()
	rest = float64((s.stop() - cpu2).Microseconds()) / float64(l.done.Load())
	return float64((cpu1 - cpu0).Microseconds()) / n, rest, n / t1.Sub(t0).Seconds(), nil
}

func all(dir, catchment, otelcol string) ([]*contender, error) {
	fleet := filepath.Join(dir, "fleet.yaml")
	if err := os.WriteFile(fleet, []byte(fleetFile), 0o644); err != nil {
		return nil, err
	}
	cityFile := filepath.Join(dir, "city.mmdb")
	if err := writeCity(cityFile); err != nil {
		return nil, err
	}
	n := 0
	ours := &contender{
		name: "catchment, 204 after the sync", wants: http.StatusNoContent,
		start: func() (*server, error) {
			n++
			addr, err := freeAddr()
			if err != nil {
				return nil, err
			}
			return start(addr, catchment, "serve", "--fleet", fleet, "--data", filepath.Join(dir, fmt.Sprintf("data%d", n)),
				"--geo", cityFile, "--listen", addr, "--admin", "127.0.0.1:0", "--trusted-proxy", "127.0.0.0/8")
		},
		template: func(s *server) (*template, error) {
			plan, err := fetchPlan(s.addr)
			if err != nil {
				return nil, err
			}
			return newTemplate(s.addr, "/v1/beacons", "text/plain;charset=UTF-8", beacon(plan))
		},
	}
	peer := func(name string, body func([]byte) ([]byte, error)) *contender {
		return &contender{
			name: name, wants: http.StatusOK,
			start: func() (*server, error) {
				n++
				config := filepath.Join(dir, fmt.Sprintf("otel%d.yaml", n))
				return startOtel(otelcol, config, filepath.Join(dir, fmt.Sprintf("otel%d.json", n)))
			},
			template: func(s *server) (*template, error) {
				b, err := body(beacon("0000000000000000000000000000000000000000"))
				if err != nil {
					return nil, err
				}
				return newTemplate(s.addr, "/v1/logs", "application/json", b)
			},
		}
	}
	return []*contender{
		ours,
		peer("otel collector → file, one string body", stringBody),
		peer("otel collector → file, structured attributes", structuredBody),
	}, nil
}

func fetchPlan(addr string) (string, error) {
	resp, err := http.Get("http://" + addr + "/v1/plan")
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	var plan struct{ ID string }
	if err := json.NewDecoder(resp.Body).Decode(&plan); err != nil {
		return "", fmt.Errorf("plan: %w", err)
	}
	return plan.ID, nil
}

// logRecord wraps fields of an OTLP log record (OTLP/HTTP JSON encoding).
func logRecord(fields map[string]any) ([]byte, error) {
	fields["timeUnixNano"] = "1790000000123000000"
	return json.Marshal(map[string]any{"resourceLogs": []any{map[string]any{
		"scopeLogs": []any{map[string]any{"logRecords": []any{fields}}},
	}}})
}

func stringBody(b []byte) ([]byte, error) {
	return logRecord(map[string]any{"body": map[string]any{"stringValue": string(b)}})
}

func structuredBody(b []byte) ([]byte, error) {
	var v map[string]any
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	return logRecord(map[string]any{"attributes": keyValues(v)})
}

func keyValues(m map[string]any) []any {
	var list []any
	for k, v := range m {
		list = append(list, map[string]any{"key": k, "value": anyValue(v)})
	}
	return list
}

// anyValue returns v as an OTLP AnyValue.
func anyValue(v any) map[string]any {
	switch v := v.(type) {
	case string:
		return map[string]any{"stringValue": v}
	case json.Number:
		f, _ := v.Float64() // the input is our own
		return map[string]any{"doubleValue": f}
	case []any:
		values := make([]any, len(v))
		for i := range v {
			values[i] = anyValue(v[i])
		}
		return map[string]any{"arrayValue": map[string]any{"values": values}}
	case map[string]any:
		return map[string]any{"kvlistValue": map[string]any{"values": keyValues(v)}}
	}
	return map[string]any{}
}
