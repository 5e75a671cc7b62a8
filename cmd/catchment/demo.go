package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
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
	return command{"demo", "see it: the dashboard over 18 PoPs on a generated Internet, on 127.0.0.1", runDemo}
}

// demoReserve is more segments than the history can have.
const demoReserve = 1 << 20

type demoFlags struct {
	listen, dns, data, from string
	views, days             int
	level                   slog.Level
}

func (f *demoFlags) parse(std stdio, args []string) error {
	fs := newFlags(std, "demo", "demo [flags]",
		"Runs 18 PoPs on a generated Internet, the collector, the control plane and the\n"+
			"dashboard on ports of 127.0.0.1, with two weeks of page views. Open the address\nthat it prints, which logs you in.")
	fs.StringVar(&f.listen, "listen", "127.0.0.1:8080", "`address` of the dashboard and of the page that measures you")
	fs.StringVar(&f.dns, "dns", "127.0.0.1:0", "`address` of the name server, UDP and TCP")
	fs.StringVar(&f.data, "data", "", "`directory` to keep the data in; empty: a temporary one")
	fs.StringVar(&f.from, "from", "BR", "`place` where the demo puts you: a country (BR) or a subdivision (US-AZ)")
	fs.IntVar(&f.views, "views", 5_000_000, "page views of the past to start with, at least")
	fs.IntVar(&f.days, "days", 14, "over how many days before today")
	fs.TextVar(&f.level, "log-level", slog.LevelWarn, "least `level` that is logged: debug, info, warn, error")
	if err := parse(fs, args); err != nil {
		return err
	}
	switch {
	case fs.NArg() > 0:
		return usagef(fs, "unexpected argument %q", fs.Arg(0))
	case f.views < 0 || f.views > 1e9:
		return usagef(fs, "--views: want 0 to 1000000000")
	case f.days < 1 || f.days > 365:
		return usagef(fs, "--days: want 1 to 365")
	}
	return nil
}

func runDemo(ctx context.Context, std stdio, args []string) error {
	var f demoFlags
	if err := f.parse(std, args); err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(std.err, &slog.HandlerOptions{Level: f.level}))
	reg := node.NewRegistry()
	fl, err := fleet.Parse("demo", demo.FleetFile())
	if err != nil {
		return err
	}
	internet, err := demo.Internet()
	if err != nil {
		return err
	}
	world, err := demo.NewWorld(fl, internet, demo.Seed)
	if err != nil {
		return err
	}
	visitor, err := world.Visitor(f.from)
	if err != nil {
		return err
	}
	dir := f.data
	if dir == "" {
		if dir, err = os.MkdirTemp("", "catchment-demo-"); err != nil {
			return err
		}
		defer os.RemoveAll(dir)
	}
	beacons, err := store.Open(store.Config{Dir: dir, SealEvery: 2 * time.Second, Reserve: demoReserve}, log, reg)
	if err != nil {
		return hintInUse(err)
	}
	defer beacons.Close()
	engine, err := duckdb.Open(dir, duckdb.Options{})
	if err != nil {
		return err
	}
	defer engine.Close()

	services := []node.Named{{Name: "store", Service: beacons}}
	pops, urls, err := demoPoPs(fl, visitor, log, reg)
	if err != nil {
		return err
	}
	services = append(services, pops...)
	collector, err := beacon.New(beacon.Config{
		URL:    func(t edge.Target, _ string) string { return urls[t] },
		Assets: scriptAssets(),
	}, fl, visitor, beacons, log, reg)
	if err != nil {
		return err
	}
	traffic, err := newDemoTraffic(world, beacons, time.Now(), f.days, f.views)
	if err != nil {
		return err
	}
	page := demo.Page{Visitor: visitor, Table: demoTable(dir, engine), History: traffic.progress}
	measure, err := page.Handler()
	if err != nil {
		return err
	}
	calm := log // every start of a demo is a change of health, which is nothing to warn of
	if f.level == slog.LevelWarn {
		calm = slog.New(slog.NewTextHandler(std.err, &slog.HandlerOptions{Level: slog.LevelError}))
	}
	board, err := newDemoBoard(dir, world, visitor, traffic, calm, reg)
	if err != nil {
		return err
	}
	defer board.plane.Close()
	services = append(services, board.services...)
	names, err := demoDNS(f.dns, world, log, reg)
	if err != nil {
		return err
	}
	public := &node.HTTP{Addr: f.listen, Server: beacon.Server(board.handler(measure, collector.Handler()), log)}
	if err := public.Listen(); err != nil {
		return err
	}
	at := "http://" + public.ListenAddr().String()
	fmt.Fprintf(std.out, "Open  %s%s  (Ctrl-C ends the demo)\n", at, board.login.Path())
	fmt.Fprintf(std.err, "The link logs you in once; after that, and for curl, there is the token %s\nYour own browser is measured under %s\n", board.token, demo.Path)
	fmt.Fprintf(std.err, "The data is in %s; in another terminal, meanwhile:\n  %s report assignment --data %s --by country\n",
		dir, os.Args[0], dir)
	dns := names.Addrs()[0]
	fmt.Fprintf(std.err, "Where DNS sends you, and why:\n  dig @%s -p %d whoami.%s TXT +short +subnet=%v\n", dns.Addr(), dns.Port(), fl.Zone, visitor.Prefix())
	services = append(services,
		node.Named{Name: "page", Service: public},
		node.Named{Name: "dns", Service: names},
		node.Named{Name: "steering", Service: followPlane(names, board.plane, board.places, log)},
		node.Named{Name: "traffic", Service: node.Func(func(ctx context.Context) error { return traffic.run(ctx, std) })})
	return node.Run(ctx, log, services...)
}

// demoPoPs returns a server for each PoP of the fleet, listening on a port of
// its own for its own name and on one more for each scheme that leads the
// visitor to it, and the URL of each target.
func demoPoPs(f *edge.Fleet, v *demo.Visitor, log *slog.Logger, reg prometheus.Registerer) ([]node.Named, map[edge.Target]string, error) {
	var services []node.Named
	urls := map[edge.Target]string{}
	for i := range f.PoPs {
		id := f.PoPs[i].ID
		targets := []edge.Target{edge.TargetOf(id)}
		listeners := []pop.Listener{{Addr: "127.0.0.1:0"}}
		for _, s := range edge.Schemes {
			if reached, vip := v.Reached(s); reached == i {
				targets = append(targets, edge.Target(s))
				listeners = append(listeners, pop.Listener{Addr: "127.0.0.1:0", VIP: vip})
			}
		}
		server, err := pop.New(pop.Config{PoP: id, Fleet: f, Listeners: listeners, Delay: v.RTT(i)}, log,
			prometheus.WrapRegistererWith(prometheus.Labels{"pop": string(id)}, reg))
		if err != nil {
			return nil, nil, err
		}
		if err := server.Listen(); err != nil {
			return nil, nil, err
		}
		for i, addr := range server.Addrs() {
			urls[targets[i]] = "http://" + addr.String() + "/o"
		}
		services = append(services, node.Named{Name: "pop " + string(id), Service: server})
	}
	return services, urls, nil
}

// demoTable returns the reports that the page shows, by country and by state of
// the US. They are made when asked for, however many pages are open, and cost
// at most a fifth of the time.
func demoTable(dir string, engine store.Engine) func(context.Context) ([]byte, error) {
	var (
		mu    sync.Mutex
		again time.Time
		last  []byte
	)
	return func(ctx context.Context) ([]byte, error) {
		mu.Lock()
		defer mu.Unlock()
		begin := time.Now()
		if begin.Before(again) {
			return last, nil
		}
		f := reportFlags{kind: "assignment", data: dir, criteria: analysis.DefaultCriteria()}
		days, err := f.days()
		if err != nil {
			return nil, err
		}
		byCountry, byState := []analysis.Key{analysis.ByCountry}, []analysis.Key{analysis.ByCountry, analysis.BySubdivision}
		countries, states := analysis.NewAssignment(byCountry), analysis.NewAssignment(byState)
		bar := startProgress(io.Discard, "days", int64(len(days)))
		if err := analysis.Judge(f.criteria, f.windows(ctx, engine, days, bar), countries, states); err != nil {
			return nil, err
		}
		ofUS := slices.DeleteFunc(states.Rows(), func(r analysis.Row) bool { return r.Group[0].Text != "US" || r.Group[1].Text == "" })
		about := report.About{Criteria: f.criteria, Margin: analysis.DefaultMargin, Totals: countries.Totals()}
		var out bytes.Buffer
		out.WriteString(`{"countries":`)
		err = report.Assignment(&out, report.JSON, byCountry, countries.Rows(), about)
		out.WriteString(`,"states":`)
		err = errors.Join(err, report.Assignment(&out, report.JSON, byState, ofUS, about))
		out.WriteString("}")
		if err != nil {
			return nil, err
		}
		last, again = out.Bytes(), time.Now().Add(max(time.Second, 4*time.Since(begin)))
		return last, nil
	}
}
