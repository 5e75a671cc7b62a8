package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"catchment/internal/beacon"
	"catchment/internal/beacon/rum"
	"catchment/internal/certs"
	"catchment/internal/control"
	"catchment/internal/downloadlog"
	"catchment/internal/edge"
	"catchment/internal/fleet"
	"catchment/internal/geo"
	"catchment/internal/node"
	"catchment/internal/resetlog"
	"catchment/internal/steer"
	"catchment/internal/store"
	"catchment/internal/tokens"
)

func serveCommand() command {
	return command{"serve", "collect beacons and keep them (control node)", runServe}
}

func runServe(ctx context.Context, io stdio, args []string) error {
	fs := newFlags(io, "serve", "serve --fleet FILE --data DIR [flags]",
		"Hands out probe plans, collects beacons and keeps them; publishes the snapshot that\nname servers and PoPs follow. The fleet file is read again on SIGHUP.")
	var (
		fleetFile = fs.String("fleet", "", "fleet `file` (required)")
		data      = fs.String("data", "", "`directory` that holds all state (required)")
		listen    = fs.String("listen", ":8080", "public `address`: plan, beacons, /rum.js, /healthz")
		cert      = fs.String("tls-cert", "", "certificate `file` of the public listener; without it, plain HTTP for a TLS terminator in front")
		key       = fs.String("tls-key", "", "private key `file` of the public listener")
		admin     = fs.String("admin", "127.0.0.1:9100", "`address` of metrics, health and pprof, which have no authentication, and of the dashboard and /api/v1, which have")
		ctlAddr   = fs.String("control", "", "`address` of the control listener, TLS: snapshots, reports, relayed beacons; empty: none")
		ctlCert   = fs.String("control-cert", "", "certificate `file` of the control listener")
		ctlKey    = fs.String("control-key", "", "private key `file` of the control listener")
		tokenFile = fs.String("tokens", "", "`file` with a line \"ROLE ID TOKEN\" for each relay, name server, PoP, synthetic agent and operator")
		retention = fs.Duration("retention", 90*24*time.Hour, "how long beacons are kept; 0: forever")
		minFree   = fs.Uint64("min-free", 1<<30, "free disk space in `bytes` below which beacons are refused with 503")
		sealEvery = fs.Duration("seal-every", 10*time.Second, "how old the newest beacons in reports may be, at most 20s")
		keepV4    = fs.Int("keep-v4", 24, "bits of IPv4 client addresses that are kept, 8 to 28")
		keepV6    = fs.Int("keep-v6", 48, "bits of IPv6 client addresses that are kept, 16 to 58")
		planTTL   = fs.Duration("plan-ttl", 5*time.Minute, "how long after it was handed out a plan may be used")
		needPlan  = fs.Bool("require-plan", false, "refuse beacons that name no plan instead of flagging them")
		shedLow   = fs.Float64("shed-low", 0, "`share` of its capacity from which on a PoP sheds by load, such as 0.8; with --shed-high")
		shedHigh  = fs.Float64("shed-high", 0, "`share` of its capacity at which a PoP sheds everything, such as 1.2; 0: no PoP sheds by itself")
		measured  = fs.Int("measured-days", 7, "UTC `days`, today among them, whose beacons tell steering how far PoPs are; 0: none, only distance does")
		proxies   prefixList
		places    placeFlags
		ramps     rampFlags
		dashboard dashFlags
		level     slog.Level
	)
	fs.Var(&proxies, "trusted-proxy", "`network` whose X-Forwarded-For and Forwarded headers count; repeatable")
	places.register(fs)
	ramps.register(fs)
	dashboard.register(fs)
	fs.TextVar(&level, "log-level", slog.LevelInfo, "least `level` that is logged: debug, info, warn, error")
	if err := parse(fs, args); err != nil {
		return err
	}
	switch {
	case fs.NArg() > 0:
		return usagef(fs, "unexpected argument %q", fs.Arg(0))
	case *fleetFile == "" || *data == "":
		return usagef(fs, "--fleet and --data are required")
	case (*cert == "") != (*key == ""):
		return usagef(fs, "--tls-cert and --tls-key go together")
	case *ctlAddr != "" && (*ctlCert == "" || *ctlKey == "" || *tokenFile == ""):
		return usagef(fs, "--control needs --control-cert, --control-key and --tokens")
	case *measured < 0:
		return usagef(fs, "--measured-days: want 0 or more")
	case (*shedLow != 0 || *shedHigh != 0) && !(*shedLow > 0 && *shedHigh > *shedLow):
		return usagef(fs, "--shed-low and --shed-high go together: want 0 < low < high")
	}
	log := slog.New(slog.NewTextHandler(io.err, &slog.HandlerOptions{Level: level}))
	reg := node.NewRegistry()

	world, err := fleet.Load(*fleetFile)
	if err != nil {
		return &refusedError{err}
	}
	db, err := geo.Open(geo.Config{Files: places.files, Places: places.overrides, Log: log, Metrics: reg})
	if err != nil {
		return &refusedError{err}
	}
	beacons, err := store.Open(store.Config{
		Dir: *data, SealEvery: *sealEvery, Retention: *retention, MinFreeBytes: *minFree,
	}, log, reg)
	if err != nil {
		return err
	}
	defer beacons.Close()
	keys, err := openPlanKeys(*data)
	if err != nil {
		return err
	}
	requests, requestDays := newRequestLog(*data, *minFree, *retention, log)
	cfg := beacon.Config{
		Requests: requests,
		Keys:     keys, PlanTTL: *planTTL, RequirePlan: *needPlan,
		TrustedProxies: proxies, Keep: beacon.Prefixes{V4: *keepV4, V6: *keepV6},
		Assets: scriptAssets(), Healthy: beacons.Healthy, ContinentOf: geo.ContinentOf,
	}
	if *tokenFile != "" {
		if cfg.Tokens, err = tokens.Load(*tokenFile); err != nil {
			return &refusedError{err}
		}
	}
	collector, err := beacon.New(cfg, world, db, beacons, log, reg)
	if err != nil {
		return err
	}
	steering := control.Config{Dir: *data, Places: db, Tokens: cfg.Tokens}
	if *shedHigh > 0 {
		steering.Sheds = &steer.Watermarks{Low: *shedLow, High: *shedHigh}
	}
	plane, err := control.New(steering, world, log, reg)
	if err != nil {
		return err
	}
	defer plane.Close()
	resets, err := resetlog.New(resetlog.Config{Dir: *data, Tokens: cfg.Tokens, Retention: *retention, MinFreeBytes: *minFree}, db, log, reg)
	if err != nil {
		return err
	}
	downloads, err := downloadlog.New(downloadlog.Config{Dir: *data, Tokens: cfg.Tokens, Retention: *retention, MinFreeBytes: *minFree}, db, log, reg)
	if err != nil {
		return err
	}

	services := []node.Named{{Name: "store", Service: beacons}, {Name: "places", Service: db}, {Name: "control plane", Service: plane}, {Name: "resets", Service: resets}, {Name: "downloads", Service: downloads}, {Name: "requests", Service: requestDays}}
	listenOn := func(name, addr, certFile, keyFile string, h http.Handler) (*node.HTTP, error) {
		server := &node.HTTP{Addr: addr, Server: beacon.Server(h, log)}
		if certFile != "" {
			files, err := certs.Open(name, []certs.Pair{{Cert: certFile, Key: keyFile}}, nil, log.With("listener", name), reg)
			if err != nil {
				return nil, err
			}
			server.Server.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: files.Get}
			services = append(services, node.Named{Name: name + " certificates", Service: files})
		}
		if err := server.Listen(); err != nil {
			return nil, err
		}
		services = append(services, node.Named{Name: name, Service: server})
		return server, nil
	}
	if *measured > 0 {
		services = append(services, node.Named{Name: "measurements", Service: measureFleet(*data, *measured, plane, log)})
	}
	ramp, api, err := serveRamps(&ramps, *data, edge.Granule{V4: *keepV4, V6: *keepV6}, db, cfg.Tokens, plane, resets, log, reg)
	if err != nil {
		return err
	}
	services = append(services, node.Named{Name: "ramps", Service: ramp})
	board, pages, err := serveDash(&dashboard, *data, world, db, cfg.Tokens, proxies, plane, api, log, reg)
	if err != nil {
		return err
	}
	services = append(services, node.Named{Name: "dashboard", Service: board})
	adminServer := node.NewAdmin(*admin, reg, beacons.Healthy, pages)
	if err := adminServer.Listen(); err != nil {
		return err
	}
	services = append(services, node.Named{Name: "admin", Service: adminServer})
	at := []any{"admin", adminServer.ListenAddr().String()}
	if *ctlAddr != "" {
		server, err := listenOn("control", *ctlAddr, *ctlCert, *ctlKey, controlHandler(plane, collector, resets.Handler(), downloads.Handler()))
		if err != nil {
			return err
		}
		server.Server.RegisterOnShutdown(plane.Release)
		at = append(at, "control", server.ListenAddr().String())
	}
	public, err := listenOn("public", *listen, *cert, *key, collector.Handler())
	if err != nil {
		return err
	}
	services = append(services, node.Named{Name: "fleet", Service: reloadFleet(*fleetFile, log, func(f *edge.Fleet) error {
		if err := plane.SetFleet(f); err != nil {
			return err
		}
		collector.SetFleet(f)
		return nil
	})})

	log.Info("listening", append([]any{"public", public.ListenAddr().String()}, append(at, "data", *data, "pops", len(world.PoPs))...)...)
	if len(places.files) == 0 && places.overrides == "" {
		log.Warn("no places: reports will not know where clients are; give --geo or --places")
	}
	return node.Run(ctx, log, services...)
}

// controlHandler is what the control listener carries.
func controlHandler(plane *control.Control, collector *beacon.Collector, resets, downloads http.Handler) http.Handler {
	mux := http.NewServeMux()
	for _, path := range []string{"/v1/snapshot", "/v1/health", "/v1/probes", "/v1/announce"} {
		mux.Handle(path, plane.Handler())
	}
	mux.Handle("/v1/resets", resets)
	mux.Handle("/v1/downloads", downloads)
	mux.Handle("/", collector.ControlHandler())
	return mux
}

// openPlanKeys returns the keys in DATA/keys/plan.key, made at first start.
func openPlanKeys(data string) (*beacon.Keys, error) {
	dir := filepath.Join(data, "keys")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	return beacon.LoadKeys(filepath.Join(dir, "plan.key"))
}

// scriptAssets are the browser scripts on the public listener.
func scriptAssets() map[string]http.Handler {
	h := rum.Handler()
	return map[string]http.Handler{"/" + rum.ScriptName: h, "/" + rum.BoomerangName: h}
}

// prefixList is a repeatable flag of networks, or of addresses.
type prefixList []netip.Prefix

func (l *prefixList) String() string { return fmt.Sprint([]netip.Prefix(*l)) }

func (l *prefixList) Set(s string) error {
	p, err := netip.ParsePrefix(s)
	if err != nil && !strings.Contains(s, "/") {
		var a netip.Addr
		if a, err = netip.ParseAddr(s); err == nil {
			p = netip.PrefixFrom(a, a.BitLen())
		}
	}
	if err != nil {
		return errors.New("want a network such as 192.0.2.0/24")
	}
	if p != p.Masked() {
		return fmt.Errorf("host bits are set (want %v)", p.Masked())
	}
	*l = append(*l, p)
	return nil
}
