// Agent runs a PoP's BGP speaker for the lab, as a process of its own that can
// be put into a network namespace, stopped and killed. It takes one JSON
// command a line on stdin and answers each with one line on stdout.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"catchment/internal/bgp"
)

// Command is what the agent is told: exactly one of its fields, or none to be
// asked for the state.
type Command struct {
	Set         []bgp.Route
	WithdrawAll bool
}

// Answer is what the agent says.
type Answer struct {
	At        time.Time // just before the command was carried out
	Error     string    `json:",omitempty"`
	Neighbors []bgp.NeighborState
	RSS       int // KiB
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	var cfg bgp.Config
	data, err := os.ReadFile(os.Args[1])
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, &cfg); err != nil {
		return err
	}
	reg := prometheus.NewRegistry()
	s, err := bgp.New(cfg, slog.New(slog.NewTextHandler(os.Stderr, nil)), reg)
	if err != nil {
		return err
	}
	if len(os.Args) > 2 { // metrics
		go http.ListenAndServe(os.Args[2], promhttp.HandlerFor(reg, promhttp.HandlerOpts{}))
	}
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer cancel()
	go serve(s)
	return s.Run(ctx)
}

func serve(s *bgp.Speaker) {
	in, out := bufio.NewScanner(os.Stdin), json.NewEncoder(os.Stdout)
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		var c Command
		err := json.Unmarshal(in.Bytes(), &c)
		a := Answer{At: time.Now()}
		switch {
		case err != nil:
		case c.WithdrawAll:
			err = s.WithdrawAll()
		case c.Set != nil:
			err = s.Set(c.Set)
		}
		if err != nil {
			a.Error = err.Error()
		}
		a.Neighbors, a.RSS = s.Neighbors(), rss()
		if err := out.Encode(a); err != nil && !errors.Is(err, os.ErrClosed) {
			return
		}
	}
}

// rss returns the process's resident memory in KiB.
func rss() (kib int) {
	data, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(data)) {
		if _, err := fmt.Sscanf(line, "VmRSS: %d kB", &kib); err == nil {
			return kib
		}
	}
	return 0
}
