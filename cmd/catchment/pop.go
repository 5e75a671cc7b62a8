package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"catchment/internal/certs"
	"catchment/internal/edge"
	"catchment/internal/follow"
	"catchment/internal/health"
	"catchment/internal/member"
	"catchment/internal/node"
	"catchment/internal/pop"
	"catchment/internal/resets"
)

func popCommand() command {
	return command{"pop", "serve a PoP's measurement objects (each PoP)", runPoP}
}

func runPoP(ctx context.Context, io stdio, args []string) error {
	fs := newFlags(io, "pop", "pop --pop ID --follow URL --token-file FILE --data DIR | --fleet FILE [flags]",
		"Serves /o, /slow, /big and /healthz, and names the PoP in every answer; runs the\nPoP's health checks, and announces its VIPs to its BGP neighbors while they are up.\nWith --follow it takes the fleet from the control node and reports there. A fleet\nfile is read again on SIGHUP, certificates when their files change.")
	var (
		id         = fs.String("pop", "", "`id` of this PoP in the fleet (required)")
		admin      = fs.String("admin", "127.0.0.1:9101", "`address` of metrics, health and pprof; it has no authentication")
		conns      = fs.Int("max-connections", 10_000, "connections that may be open at a time")
		plain      stringList
		secure     stringList
		cert, key  stringList
		proxies    prefixList
		from       sourceFlags
		watch      resetFlag
		announce   memberFlags
		logAtLeast slog.Level
	)
	from.register(fs)
	watch.register(fs)
	announce.register(fs)
	fs.Var(&plain, "listen", "`address` for HTTP, such as :80; several with commas, or repeated; :80 if no address is given at all")
	fs.Var(&secure, "listen-tls", "`address` for HTTPS, such as :443; several with commas, or repeated")
	fs.Var(&cert, "tls-cert", "certificate chain `file`, PEM; repeatable, the preferred first")
	fs.Var(&key, "tls-key", "private key `file`, PEM; one for each --tls-cert, in the same order")
	fs.Var(&proxies, "trusted-proxy", "`network` whose connections must begin with a PROXY header, version 1 or 2; repeatable; from elsewhere the header never counts")
	fs.TextVar(&logAtLeast, "log-level", slog.LevelInfo, "least `level` that is logged: debug, info, warn, error")
	if err := parse(fs, args); err != nil {
		return err
	}
	listeners := append(listenersAt(plain, false), listenersAt(secure, true)...)
	if len(listeners) == 0 {
		listeners = listenersAt([]string{":80"}, false)
	}
	switch {
	case fs.NArg() > 0:
		return usagef(fs, "unexpected argument %q", fs.Arg(0))
	case *id == "":
		return usagef(fs, "--pop is required")
	case len(cert) != len(key):
		return usagef(fs, "there are %d of --tls-cert and %d of --tls-key: they go together", len(cert), len(key))
	case len(secure) > 0 && len(cert) == 0:
		return usagef(fs, "--listen-tls needs --tls-cert and --tls-key")
	case len(secure) == 0 && len(cert) > 0:
		return usagef(fs, "--tls-cert is for --listen-tls, which is not given")
	case *conns < 1:
		return usagef(fs, "--max-connections: %d is not at least 1", *conns)
	}
	if err := from.check(fs); err != nil {
		return err
	}
	membercfg, err := announce.config(edge.PoPID(*id), from.data)
	if err != nil {
		return usagef(fs, "%v", err)
	}
	log := slog.New(slog.NewTextHandler(io.err, &slog.HandlerOptions{Level: logAtLeast}))
	reg := node.NewRegistry()

	cfg := pop.Config{
		PoP: edge.PoPID(*id), Listeners: listeners, TrustedProxies: proxies,
		Limits: pop.Limits{Connections: *conns},
	}
	for i := range cert {
		cfg.KeyPairs = append(cfg.KeyPairs, certs.Pair{Cert: cert[i], Key: key[i]})
	}
	client, err := from.connect()
	if err != nil {
		return err
	}
	if announce.dryRun {
		return dryRun(ctx, io, &from, client, membercfg, log)
	}
	p := &popProcess{cfg: cfg, log: log, reg: reg}
	if p.reporter, err = newReporter(cfg.PoP, client, log, reg); err != nil {
		return err
	}
	drain := func(closing bool) { p.server.SetDraining(closing) }
	if p.member, err = announce.open(membercfg, p.reporter, client, drain, log, reg); err != nil {
		return err
	}
	if p.resets, err = watch.watcher(cfg.PoP, client, log, reg); err != nil {
		return err
	}
	more := http.NewServeMux()
	more.HandleFunc("GET /draining", p.member.serveDraining)
	adminServer := node.NewAdmin(*admin, reg, func() error { return nil }, more)
	if err := adminServer.Listen(); err != nil {
		return err
	}
	early := node.Start(adminServer) // there may be no snapshot for long, which must be seen
	defer early.Close()
	snapshots, err := from.open(ctx, client, log, reg, p.apply)
	if ctx.Err() != nil {
		return nil // stopped while it waited
	}
	if err != nil {
		return err
	}
	if err := p.server.Listen(); err != nil {
		return err
	}
	announcements, err := p.member.after()
	if err != nil {
		return err
	}
	// What is listed later ends earlier: first the routes go, then those who
	// serve, then the addresses.
	services := append([]node.Named{
		{Name: "admin", Service: early},
		{Name: "snapshots", Service: snapshots},
	}, p.member.before()...)
	services = append(services, node.Named{Name: "objects", Service: p.server})
	if p.resets != nil {
		services = append(services, node.Named{Name: "reset watcher", Service: p.resets})
	}
	services = append(services, announcements...)
	services = append(services, node.Named{Name: "health", Service: p.reporter})
	log.Info("listening", "admin", adminServer.ListenAddr().String(), "pop", *id)
	return node.Run(ctx, log, services...)
}

// newReporter returns who checks the PoP, and reports if there is a control
// node.
func newReporter(id edge.PoPID, control *follow.Client, log *slog.Logger, reg prometheus.Registerer) (*health.Reporter, error) {
	if control == nil { // a nil *Client is no nil Poster
		return health.NewReporter(id, 0, nil, log, reg)
	}
	return health.NewReporter(id, 0, control, log, reg)
}

// dryRun prints what would be announced.
func dryRun(ctx context.Context, io stdio, from *sourceFlags, client *follow.Client, cfg member.Config, log *slog.Logger) error {
	if client == nil {
		from.data = "" // nothing is kept
	}
	text := ""
	_, err := from.open(ctx, client, log, prometheus.NewRegistry(), func(s *edge.Snapshot) (err error) {
		text, err = member.DryRun(cfg, s)
		return err
	})
	if err != nil {
		return err
	}
	fmt.Fprint(io.out, text)
	return nil
}

// popProcess hands snapshots to the parts of the process.
type popProcess struct {
	cfg      pop.Config
	log      *slog.Logger
	reg      prometheus.Registerer
	server   *pop.Server // made with the first snapshot
	reporter *health.Reporter
	resets   *resets.Watcher // nil: off
	member   *membership
}

// apply is called before the process runs, and then by one goroutine of it. A
// part that refuses a snapshot does so before any has taken it, but for the
// server, to which fleets are alike.
func (p *popProcess) apply(s *edge.Snapshot) (err error) {
	if _, ok := s.Fleet.PoP(p.cfg.PoP); !ok {
		return fmt.Errorf("--pop: %q is not in the fleet, which has %s", p.cfg.PoP, popIDs(s.Fleet))
	}
	if p.server == nil {
		p.cfg.Fleet = s.Fleet
		p.server, err = pop.New(p.cfg, p.log, p.reg)
	} else {
		err = p.server.SetFleet(s.Fleet)
	}
	if err != nil {
		return err
	}
	if err := p.member.set(s); err != nil {
		return err
	}
	p.reporter.SetFleet(s.Fleet)
	if p.resets != nil {
		p.resets.SetFleet(s.Fleet)
	}
	return nil
}

// listenersAt returns a listener for each address; an element of list may hold
// several, with commas.
func listenersAt(list []string, secure bool) (all []pop.Listener) {
	for _, addrs := range list {
		for addr := range strings.SplitSeq(addrs, ",") {
			all = append(all, pop.Listener{Addr: strings.TrimSpace(addr), TLS: secure})
		}
	}
	return all
}

func popIDs(f *edge.Fleet) string {
	var ids []string
	for _, p := range f.PoPs {
		ids = append(ids, string(p.ID))
	}
	return strings.Join(ids, ", ")
}
