package main

import (
	"context"
	"log/slog"
	"strings"

	"catchment/internal/certs"
	"catchment/internal/edge"
	"catchment/internal/fleet"
	"catchment/internal/node"
	"catchment/internal/pop"
)

func popCommand() command {
	return command{"pop", "serve a PoP's measurement objects (each PoP)", runPoP}
}

func runPoP(ctx context.Context, io stdio, args []string) error {
	fs := newFlags(io, "pop", "pop --pop ID --fleet FILE [flags]",
		"Serves /o, /slow, /big and /healthz, and names the PoP in every answer. The\nfleet file is read again on SIGHUP, certificates when their files change.")
	var (
		id         = fs.String("pop", "", "`id` of this PoP in the fleet file (required)")
		fleetFile  = fs.String("fleet", "", "fleet `file` (required)")
		admin      = fs.String("admin", "127.0.0.1:9101", "`address` of metrics, health and pprof; it has no authentication")
		conns      = fs.Int("max-connections", 10_000, "connections that may be open at a time")
		plain      stringList
		secure     stringList
		cert, key  stringList
		proxies    prefixList
		logAtLeast slog.Level
	)
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
	case *id == "" || *fleetFile == "":
		return usagef(fs, "--pop and --fleet are required")
	case len(cert) != len(key):
		return usagef(fs, "there are %d of --tls-cert and %d of --tls-key: they go together", len(cert), len(key))
	case len(secure) > 0 && len(cert) == 0:
		return usagef(fs, "--listen-tls needs --tls-cert and --tls-key")
	case len(secure) == 0 && len(cert) > 0:
		return usagef(fs, "--tls-cert is for --listen-tls, which is not given")
	case *conns < 1:
		return usagef(fs, "--max-connections: %d is not at least 1", *conns)
	}
	log := slog.New(slog.NewTextHandler(io.err, &slog.HandlerOptions{Level: logAtLeast}))
	reg := node.NewRegistry()

	world, err := fleet.Load(*fleetFile)
	if err != nil {
		return &refusedError{err}
	}
	if _, ok := world.PoP(edge.PoPID(*id)); !ok {
		return usagef(fs, "--pop: %q is not in %s, which has %s", *id, *fleetFile, popIDs(world))
	}
	cfg := pop.Config{
		PoP: edge.PoPID(*id), Fleet: world, Listeners: listeners, TrustedProxies: proxies,
		Limits: pop.Limits{Connections: *conns},
	}
	for i := range cert {
		cfg.KeyPairs = append(cfg.KeyPairs, certs.Pair{Cert: cert[i], Key: key[i]})
	}
	server, err := pop.New(cfg, log, reg)
	if err != nil {
		return err
	}
	adminServer := node.NewAdmin(*admin, reg, func() error { return nil }, nil)
	if err := adminServer.Listen(); err != nil {
		return err
	}
	if err := server.Listen(); err != nil {
		return err
	}
	log.Info("listening", "admin", adminServer.ListenAddr().String(), "pop", *id)
	return node.Run(
		ctx, log,
		node.Named{Name: "admin", Service: adminServer},
		node.Named{Name: "fleet", Service: reloadFleet(*fleetFile, log, server.SetFleet)},
		node.Named{Name: "objects", Service: server},
	)
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
