package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"catchment/internal/analysis"
	"catchment/internal/beacon"
	"catchment/internal/demo"
	"catchment/internal/edge"
	"catchment/internal/fleet"
	"catchment/internal/node"
	"catchment/internal/pop"
	"catchment/internal/report"
	"catchment/internal/store"
	"catchment/internal/store/duckdb"
)

func demoCommand() command {
	return command{"demo", "see it: four PoPs, the collector and a page, on 127.0.0.1", runDemo}
}

// What the demo generates around the visitor's own page view.
const (
	demoHistory   = 28_000 // page views, 4,000 per geography
	demoPerSecond = 40
	demoSeed      = 2015
)

func runDemo(ctx context.Context, std stdio, args []string) error {
	fs := newFlags(std, "demo", "demo [flags]",
		"Runs four PoPs, the collector and a page on ports of 127.0.0.1. Open the address that it prints.")
	var (
		listen = fs.String("listen", "127.0.0.1:8080", "`address` of the page")
		data   = fs.String("data", "", "`directory` to keep the data in; empty: a temporary one")
		level  slog.Level
	)
	fs.TextVar(&level, "log-level", slog.LevelWarn, "least `level` that is logged: debug, info, warn, error")
	if err := parse(fs, args); err != nil {
		return err
	}
	if fs.NArg() > 0 {
		return usagef(fs, "unexpected argument %q", fs.Arg(0))
	}
	log := slog.New(slog.NewTextHandler(std.err, &slog.HandlerOptions{Level: level}))
	reg := node.NewRegistry()
	world, err := fleet.Parse("demo", demo.FleetFile())
	if err != nil {
		return err
	}
	dir := *data
	if dir == "" {
		if dir, err = os.MkdirTemp("", "catchment-demo-"); err != nil {
			return err
		}
		defer os.RemoveAll(dir)
	}

	beacons, err := store.Open(store.Config{Dir: dir, SealEvery: 2 * time.Second}, log, reg)
	if err != nil {
		return err
	}
	defer beacons.Close()
	engine, err := duckdb.Open(dir, duckdb.Options{})
	if err != nil {
		return err
	}
	defer engine.Close()

	services := []node.Named{{Name: "store", Service: beacons}}
	urls := map[edge.Target]string{}
	for _, p := range world.PoPs {
		targets := []edge.Target{edge.TargetOf(p.ID)}
		listeners := []pop.Listener{{Addr: "127.0.0.1:0"}}
		for _, s := range edge.Schemes {
			if demo.Reached(s) == p.ID {
				targets = append(targets, edge.Target(s))
				listeners = append(listeners, pop.Listener{Addr: "127.0.0.1:0", VIP: demo.VIPOf(s)})
			}
		}
		server, err := pop.New(pop.Config{
			PoP: p.ID, Fleet: world, Listeners: listeners, Delay: demo.RTT(p.ID),
		}, log, prometheus.WrapRegistererWith(prometheus.Labels{"pop": string(p.ID)}, reg))
		if err != nil {
			return err
		}
		if err := server.Listen(); err != nil {
			return err
		}
		for i, addr := range server.Addrs() {
			urls[targets[i]] = "http://" + addr.String() + "/o"
		}
		services = append(services, node.Named{Name: "pop " + string(p.ID), Service: server})
	}

	collector, err := beacon.New(beacon.Config{
		URL:    func(t edge.Target, _ string) string { return urls[t] },
		Assets: scriptAssets(),
	}, world, demo.Places{}, beacons, log, reg)
	if err != nil {
		return err
	}
	page, err := demo.Handler(demoTable(dir, engine), collector.Handler())
	if err != nil {
		return err
	}
	public := &node.HTTP{Addr: *listen, Server: beacon.Server(page, log)}
	if err := public.Listen(); err != nil {
		return err
	}
	services = append(services,
		node.Named{Name: "page", Service: public},
		node.Named{Name: "traffic", Service: node.Func(func(ctx context.Context) error {
			traffic := demo.NewTraffic(demoSeed)
			if err := traffic.History(ctx, beacons, time.Now(), demoHistory, time.Hour); err != nil {
				return err
			}
			return traffic.Live(ctx, beacons, demoPerSecond)
		})})
	fmt.Fprintf(std.out, "Open  http://%s/  (Ctrl-C ends the demo)\n", public.ListenAddr())
	fmt.Fprintf(std.err, "The data is in %s; in another terminal, meanwhile:\n  %s report assignment --data %s --by country,subdivision\n",
		dir, os.Args[0], dir)
	return node.Run(ctx, log, services...)
}

// demoTable returns the report that the page shows. It is made at most once a
// second, however many pages are open.
func demoTable(dir string, engine store.Engine) func(context.Context) ([]byte, error) {
	var (
		mu   sync.Mutex
		made time.Time
		last []byte
	)
	return func(ctx context.Context) ([]byte, error) {
		mu.Lock()
		defer mu.Unlock()
		if time.Since(made) < time.Second {
			return last, nil
		}
		f := reportFlags{
			kind: "assignment", data: dir, by: []analysis.Key{analysis.ByCountry, analysis.BySubdivision},
			format: report.JSON, criteria: analysis.DefaultCriteria(), margin: analysis.DefaultMargin,
		}
		var out bytes.Buffer
		if err := f.run(ctx, stdio{out: &out, err: io.Discard}, engine); err != nil {
			return nil, err
		}
		made, last = time.Now(), out.Bytes()
		return last, nil
	}
}
