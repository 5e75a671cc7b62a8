package main

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"hash/fnv"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"catchment/internal/edge"
	"catchment/internal/follow"
	"catchment/internal/node"
	"catchment/internal/synth"
	"catchment/internal/synth/spool"
)

func synthCommand() command {
	return command{"synth", "ask round the clock whether TCP survives anycast (agents)", runSynth}
}

func runSynth(ctx context.Context, io stdio, args []string) (err error) {
	fs := newFlags(io, "synth", "synth --follow URL --token-file FILE --data DIR | --fleet FILE [--out FILE] [flags]",
		"Keeps slow downloads open over every VIP and, as the control, over every PoP's own\naddresses, and tells how each connection ended. With --follow records are kept under\n--data and shipped to the control node; otherwise, or with --out, they are written\nas a line of JSON each.")
	var (
		admin      = fs.String("admin", "127.0.0.1:9103", "`address` of metrics, health and pprof; it has no authentication")
		out        = fs.String("out", "", "write records to this `file`, - for stdout, and ship none; - if there is no --follow")
		agent      = fs.String("agent", "", "`name` of this agent in its records; the host's name if empty")
		seed       = fs.Uint64("seed", 0, "`number` that the schedule is drawn from; 0: from the agent's name")
		concurrent = fs.Int("concurrent", 20, "slow downloads at a time")
		length     = fs.Duration("length", 75*time.Second, "usual `length` of a slow download")
		ladder     durationList
		pause      = fs.Duration("pause", 5*time.Second, "average `pause` between two downloads of a slot")
		stall      = fs.Duration("stall", 30*time.Second, "`silence` in the middle of an object that ends a download")
		patience   = fs.Duration("timeout", 10*time.Second, "how long a connection, a handshake or an answer may take")
		families   = fs.String("families", "4,6", "address `families`")
		protocols  = fs.String("protocols", "https,h2", "`list` of http, https and h2; h2 asks under the first service's name")
		port       = fs.Uint("port", 80, "port for http")
		tlsPort    = fs.Uint("tls-port", 443, "port for https and h2")
		ca         = fs.String("probe-ca", "", "`file` with the certificate authorities of the PoPs, PEM; empty: the system's")
		spoolMiB   = fs.Int64("spool-mib", 256, "most MiB of records kept while the control node is away")
		from       sourceFlags
		logAtLeast slog.Level
	)
	from.register(fs)
	fs.Var(&ladder, "ladder", "`list` of the other lengths, for failures per minute; 1s,3s,10s,30s,75s,150s,300s,600s if empty")
	fs.TextVar(&logAtLeast, "log-level", slog.LevelInfo, "least `level` that is logged: debug, info, warn, error")
	if err := parse(fs, args); err != nil {
		return err
	}
	if fs.NArg() > 0 {
		return usagef(fs, "unexpected argument %q", fs.Arg(0))
	}
	if err := from.check(fs); err != nil {
		return err
	}
	switch {
	case *port < 1 || *port > 65535 || *tlsPort < 1 || *tlsPort > 65535:
		return usagef(fs, "--port, --tls-port: want 1 to 65535")
	case *concurrent < 1:
		return usagef(fs, "--concurrent: %d is not at least 1", *concurrent)
	case *stall <= 0 || *patience <= 0:
		return usagef(fs, "--stall, --timeout: want more than 0")
	case *spoolMiB < 1:
		return usagef(fs, "--spool-mib: %d is not at least 1", *spoolMiB)
	}
	cfg := synth.Config{
		Agent: *agent, Seed: *seed, Concurrency: *concurrent, Length: *length, Ladder: ladder, Pause: *pause,
		Port: uint16(*port), TLSPort: uint16(*tlsPort),
		Limits: synth.Limits{Connect: *patience, Answer: *patience, Stall: *stall},
	}
	if cfg.Families, err = familiesOf(*families); err != nil {
		return usagef(fs, "--families: %v", err)
	}
	for p := range strings.SplitSeq(*protocols, ",") {
		cfg.Protocols = append(cfg.Protocols, synth.Protocol(strings.TrimSpace(p)))
	}
	if cfg.Agent == "" {
		if cfg.Agent, err = os.Hostname(); err != nil {
			return err
		}
	}
	if cfg.Seed == 0 {
		cfg.Seed = seedOf(cfg.Agent)
	}
	if cfg.RootCAs, err = poolFrom(*ca); err != nil {
		return &refusedError{err}
	}
	return startSynth(ctx, io, fs, &from, cfg, *admin, *out, *spoolMiB<<20, logAtLeast)
}

// startSynth wires the agent and runs it.
func startSynth(ctx context.Context, io stdio, fs *flag.FlagSet, from *sourceFlags, cfg synth.Config, admin, out string, spoolBytes int64, least slog.Level) error {
	log := slog.New(slog.NewTextHandler(io.err, &slog.HandlerOptions{Level: least}))
	reg := node.NewRegistry()
	client, err := from.connect()
	if err != nil {
		return err
	}
	sink, kept, done, err := synthSink(io, from, client, out, spoolBytes, log, reg)
	if err != nil {
		return err
	}
	defer done()
	agent, err := synth.New(cfg, sink, log, reg)
	if err != nil {
		return usagef(fs, "%v", err)
	}
	adminServer := node.NewAdmin(admin, reg, func() error { return nil }, nil)
	if err := adminServer.Listen(); err != nil {
		return err
	}
	early := node.Start(adminServer) // there may be no snapshot for long, which must be seen
	defer early.Close()
	snapshots, err := from.open(ctx, client, log, reg, func(s *edge.Snapshot) error {
		agent.SetFleet(s.Fleet)
		return nil
	})
	if ctx.Err() != nil {
		return nil // stopped while it waited
	}
	if err != nil {
		return err
	}
	services := []node.Named{{Name: "admin", Service: early}, {Name: "snapshots", Service: snapshots}}
	services = append(services, kept...)
	services = append(services, node.Named{Name: "downloads", Service: agent}) // stops first
	log.Info("downloading", "agent", cfg.Agent, "concurrent", cfg.Concurrency, "admin", adminServer.ListenAddr().String())
	return node.Run(ctx, log, services...)
}

// synthSink returns where records go, with the services that this needs, and
// what is to be called at the end.
func synthSink(io stdio, from *sourceFlags, client *follow.Client, out string, spoolBytes int64, log *slog.Logger, reg prometheus.Registerer) (synth.Sink, []node.Named, func(), error) {
	switch {
	case out == "-" || out == "" && client == nil:
		return synth.NewLines(io.out), nil, func() {}, nil
	case out != "":
		f, err := os.OpenFile(out, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
		if err != nil {
			return nil, nil, nil, err
		}
		return synth.NewLines(f), nil, func() { _ = f.Close() }, nil
	}
	kept, err := spool.Open(spool.Config{Dir: filepath.Join(from.data, "spool"), MaxBytes: spoolBytes}, log, reg)
	if err != nil {
		return nil, nil, nil, err
	}
	forward, err := synth.NewForwarder(kept, shipDownloads{client}, log, reg)
	if err != nil {
		_ = kept.Close()
		return nil, nil, nil, err
	}
	return kept, []node.Named{{Name: "spool", Service: kept}, {Name: "forwarder", Service: forward}}, func() { _ = kept.Close() }, nil
}

// shipDownloads ships records to the control node.
type shipDownloads struct{ client *follow.Client }

func (s shipDownloads) Ship(ctx context.Context, batch []json.RawMessage) error {
	err := s.client.Post(ctx, "/v1/downloads", batch)
	var status *follow.StatusError
	if errors.As(err, &status) && status.Code == http.StatusBadRequest {
		return fmt.Errorf("%w: %w", synth.ErrRefused, err)
	}
	return err
}

func familiesOf(list string) (all []int, err error) {
	for f := range strings.SplitSeq(list, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(f))
		if err != nil || n != 4 && n != 6 || slices.Contains(all, n) {
			return nil, fmt.Errorf("%q: want 4, 6, or both", list)
		}
		all = append(all, n)
	}
	return all, nil
}

// seedOf makes agents differ, and each the same after every start.
func seedOf(name string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name)) // never fails
	return h.Sum64()
}

// poolFrom reads certificate authorities; nil without a file: the system's.
func poolFrom(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate (want PEM)", file)
	}
	return pool, nil
}

// durationList is a flag of durations with commas.
type durationList []time.Duration

func (l *durationList) String() string { return "" }

func (l *durationList) Set(s string) error {
	*l = nil
	for part := range strings.SplitSeq(s, ",") {
		d, err := time.ParseDuration(strings.TrimSpace(part))
		if err != nil {
			return err
		}
		*l = append(*l, d)
	}
	return nil
}
