package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"catchment/internal/authdns"
	"catchment/internal/certs"
	"catchment/internal/geo"
	"catchment/internal/health"
	"catchment/internal/node"
)

func dnsCommand() command {
	return command{"dns", "answer for the zone: authoritative name server (two or more)", runDNS}
}

func runDNS(ctx context.Context, io stdio, args []string) error {
	fs := newFlags(io, "dns", "dns --zone FILE (--follow URL --token-file FILE --data DIR | --fleet FILE) [flags]",
		"Answers for the names of a zone file, for the fleet's services and for its probe\nnames. SIGHUP reads the zone file and --fleet or --snapshot again; certificates and\nplaces are read when their files change.")
	var (
		zoneFile  = fs.String("zone", "", "zone `file` (RFC 1035) of the fleet's zone: SOA, NS and whatever is not steered (required)")
		admin     = fs.String("admin", "127.0.0.1:9102", "`address` of metrics, health and pprof; it has no authentication")
		id        = fs.String("id", hostname(), "`name` of this server, told by NSID and id.server; empty: not told")
		keyDir    = fs.String("key-dir", "", "`directory` of the zone's DNSSEC keys, as 'catchment keygen' makes them; empty: the zone is not signed")
		secrets   = fs.String("cookie-secrets", "", "`file` with a secret for DNS cookies a line, 32 hex digits; all servers of one address need the same; empty: one of this process alone")
		rate      = fs.Float64("rate-limit", 0, "answers a second over UDP to one client network (/24, /56) for one name, other than to clients with a DNS cookie; 0: no limit")
		slip      = fs.Int("rate-limit-slip", 2, "every so many of the limited answers one is sent truncated, so that real clients try TCP; 0: none")
		logEvery  = fs.Int("log-queries", 0, "log one of every `N` queries; 0: none")
		probe     = fs.String("probe-pops", "", "with --follow: `check` of PoPs' own addresses, reported to the control node for when a PoP is silent: tcp:443, http:80/healthz or https:443/healthz; empty: none")
		workers   = fs.Int("workers", 0, "UDP sockets for each address; 0: one for each core")
		listen    stringList
		secure    stringList
		cert, key stringList
		transfers prefixList
		src       sourceFlags
		places    placeFlags
		level     slog.Level
	)
	src.register(fs)
	places.register(fs)
	fs.Var(&listen, "listen", "`address` for DNS over UDP and TCP, such as :53 or 192.0.2.53:53; repeatable; :53 if none is given")
	fs.Var(&secure, "listen-tls", "`address` for DNS over TLS, such as :853; repeatable")
	fs.Var(&cert, "tls-cert", "certificate chain `file` for --listen-tls, PEM; repeatable")
	fs.Var(&key, "tls-key", "private key `file`, PEM; one for each --tls-cert, in the same order")
	fs.Var(&transfers, "allow-transfer", "`network` that may transfer the zone file (AXFR); repeatable")
	fs.TextVar(&level, "log-level", slog.LevelInfo, "least `level` that is logged: debug, info, warn, error")
	if err := parse(fs, args); err != nil {
		return err
	}
	switch {
	case fs.NArg() > 0:
		return usagef(fs, "unexpected argument %q", fs.Arg(0))
	case *zoneFile == "":
		return usagef(fs, "--zone is required")
	case len(cert) != len(key):
		return usagef(fs, "there are %d of --tls-cert and %d of --tls-key: they go together", len(cert), len(key))
	case len(secure) > 0 && len(cert) == 0:
		return usagef(fs, "--listen-tls needs --tls-cert and --tls-key")
	case *logEvery < 0 || *workers < 0:
		return usagef(fs, "--log-queries and --workers must not be negative")
	}
	if err := src.check(fs); err != nil {
		return err
	}
	if *probe != "" && src.follow == "" {
		return usagef(fs, "--probe-pops goes with --follow")
	}
	log := slog.New(slog.NewTextHandler(io.err, &slog.HandlerOptions{Level: level}))
	reg := node.NewRegistry()

	cfg := authdns.Config{
		ID: *id, Version: "Catchment", Transfers: transfers, LogEvery: *logEvery, Workers: *workers,
		Responses: authdns.ResponseLimit{PerSecond: *rate, Slip: *slip},
	}
	if len(listen) == 0 {
		listen = stringList{":53"}
	}
	for _, addr := range listen {
		cfg.Listeners = append(cfg.Listeners, authdns.Listener{Addr: addr})
	}
	for _, addr := range secure {
		cfg.Listeners = append(cfg.Listeners, authdns.Listener{Addr: addr, TLS: true})
	}
	for i := range cert {
		cfg.KeyPairs = append(cfg.KeyPairs, certs.Pair{Cert: cert[i], Key: key[i]})
	}
	if *secrets != "" {
		text, err := os.ReadFile(*secrets)
		if err == nil {
			cfg.Cookies, err = authdns.ParseCookieSecrets(text)
		}
		if err != nil {
			return &refusedError{fmt.Errorf("--cookie-secrets: %w", err)}
		}
	}
	db, err := geo.Open(geo.Config{Files: places.files, Places: places.overrides, Log: log, Metrics: reg})
	if err != nil {
		return &refusedError{err}
	}
	n := &nameServer{cfg: cfg, zoneFile: *zoneFile, keyDir: *keyDir, places: db, log: log, reg: reg}
	adminServer := node.NewAdmin(*admin, reg, n.healthy, nil)
	if err := adminServer.Listen(); err != nil {
		return err
	}
	early := node.Start(adminServer) // there may be no snapshot for long, which must be seen
	defer early.Close()
	client, err := src.connect()
	if err != nil {
		return err
	}
	var reports []node.Named
	if client != nil {
		n.cfg.Nonces = client
		if *probe != "" {
			if n.prober, err = health.NewProber(health.ProberConfig{Check: *probe}, client, log, reg); err != nil {
				return usagef(fs, "--probe-pops: %v", err)
			}
			reports = append(reports, node.Named{Name: "probes", Service: n.prober})
		}
	}
	snapshots, err := src.open(ctx, client, log, reg, n.apply)
	if ctx.Err() != nil {
		return nil // stopped while it waited
	}
	if err != nil {
		return err
	}
	if err := n.server.Listen(); err != nil {
		return err
	}
	if len(places.files) == 0 && places.overrides == "" {
		log.Warn("no places: every client is answered alike; give --geo or --places")
	}
	var at []string
	for _, a := range n.server.Addrs() {
		at = append(at, a.String())
	}
	log.Info("listening", "dns", strings.Join(at, " "), "admin", adminServer.ListenAddr().String(), "id", *id)
	services := []node.Named{
		{Name: "admin", Service: early},
		{Name: "places", Service: db},
		{Name: "snapshots", Service: snapshots},
		{Name: "zone", Service: onHangup(n.reloadZone)},
		{Name: "new places", Service: node.Func(n.watchPlaces)},
		{Name: "dns", Service: n.server},
	}
	return node.Run(ctx, log, append(services, reports...)...)
}

// hostname is the machine's name without its domain, or nothing.
func hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return ""
	}
	name, _, _ = strings.Cut(name, ".")
	return name
}

func keygenCommand() command {
	return command{"keygen", "make a DNSSEC key for the zone", runKeygen}
}

func runKeygen(_ context.Context, io stdio, args []string) error {
	fs := newFlags(io, "keygen", "keygen --zone NAME --dir DIR",
		"Makes an ECDSA P-256 key (algorithm 13) and prints the DS records that the parent\nzone needs, of all keys in the directory. By default the one key signs everything.")
	var (
		zone = fs.String("zone", "", "`name` of the zone (required)")
		dir  = fs.String("dir", "", "`directory` for the two files of the key (required)")
		zsk  = fs.Bool("zsk", false, "make a zone-signing key, beside a key that signs keys")
		only = fs.Bool("ds", false, "make no key, print the DS records of those that are there")
	)
	if err := parse(fs, args); err != nil {
		return err
	}
	if *zone == "" || *dir == "" || fs.NArg() > 0 {
		return usagef(fs, "want --zone and --dir, and nothing else")
	}
	if !*only {
		if err := os.MkdirAll(*dir, 0o700); err != nil {
			return err
		}
		path, err := authdns.GenerateKey(*dir, *zone, !*zsk)
		if err != nil {
			return err
		}
		fmt.Fprintf(io.err, "made %s.key and %s.private\n", path, path)
	}
	keys, err := authdns.LoadKeys(*dir, *zone)
	if err != nil {
		return &refusedError{err}
	}
	var failed error
	for _, ds := range keys.DS() {
		_, err := fmt.Fprintln(io.out, ds)
		failed = errors.Join(failed, err)
	}
	return failed
}
