package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"catchment/internal/edge"
	"catchment/internal/fleet"
	"catchment/internal/follow"
	"catchment/internal/node"
)

// sourceFlags are the flags that say where a role's snapshots come from:
// exactly one of the control node, a fleet file and a snapshot in a file.
type sourceFlags struct {
	fleet, snapshot string
	follow          string
	controlFlags
	data string
}

// controlFlags are the flags of whoever talks to the control node.
type controlFlags struct{ tokenFile, ca string }

func (c *controlFlags) register(fs *flag.FlagSet) {
	fs.StringVar(&c.tokenFile, "token-file", "", "`file` with this role's token for the control node")
	fs.StringVar(&c.ca, "ca", "", "`file` with the certificate authorities of the control node, PEM; empty: the system's")
}

func (s *sourceFlags) register(fs *flag.FlagSet) {
	fs.StringVar(&s.follow, "follow", "", "`URL` of the control node's --control listener, whose snapshots are followed: https://control.example:9443")
	s.controlFlags.register(fs)
	fs.StringVar(&s.data, "data", "", "`directory` that holds all state, such as the last good snapshot; required with --follow")
	fs.StringVar(&s.fleet, "fleet", "", "fleet `file`, instead of --follow: a fleet without health, drains and measurements")
	fs.StringVar(&s.snapshot, "snapshot", "", "snapshot `file` (JSON), instead of --follow")
}

// check says what is wrong with the flags, as errUsage.
func (s *sourceFlags) check(fs *flag.FlagSet) error {
	given := 0
	for _, v := range []string{s.follow, s.fleet, s.snapshot} {
		if v != "" {
			given++
		}
	}
	switch {
	case given != 1:
		return usagef(fs, "want exactly one of --follow, --fleet and --snapshot")
	case s.follow != "" && (s.tokenFile == "" || s.data == ""):
		return usagef(fs, "--follow needs --token-file and --data")
	case s.follow == "" && (s.tokenFile != "" || s.ca != ""):
		return usagef(fs, "--token-file and --ca go with --follow")
	}
	return nil
}

// connect returns a client of the control node, nil without --follow.
func (s *sourceFlags) connect() (*follow.Client, error) {
	if s.follow == "" {
		return nil, nil
	}
	client, err := follow.NewClient(s.follow, s.tokenFile, s.ca)
	if err != nil {
		return nil, &refusedError{err}
	}
	return client, nil
}

// open returns a service that hands snapshots to apply, to be put among the
// first of a process, once apply has taken a first snapshot: with --follow that of
// the control node, else the last good one on disk, for which it waits until
// ctx is done. An error of apply keeps the snapshot out; the one before stays.
// Apply is called for one snapshot at a time, and versions only rise. A file
// is read again on SIGHUP. An error of a file, or of apply for it, is a
// refusedError.
func (s *sourceFlags) open(ctx context.Context, client *follow.Client, log *slog.Logger, reg prometheus.Registerer, apply func(*edge.Snapshot) error) (node.Service, error) {
	if s.data != "" {
		if err := os.MkdirAll(s.data, 0o700); err != nil {
			return nil, err
		}
	}
	if client == nil {
		return s.openFile(log, reg, apply)
	}
	f, err := follow.New(client, filepath.Join(s.data, "snapshot.json"), apply, log, reg)
	if err != nil {
		return nil, err
	}
	if err := f.First(ctx); err != nil {
		return nil, fmt.Errorf("no snapshot from %s: %w", s.follow, err)
	}
	return f, nil
}

func (s *sourceFlags) openFile(log *slog.Logger, reg prometheus.Registerer, apply func(*edge.Snapshot) error) (node.Service, error) {
	metrics, err := follow.NewMetrics(reg)
	if err != nil {
		return nil, err
	}
	var version uint64
	load := func() error {
		next, err := s.read()
		if err != nil {
			return err
		}
		next.Version = max(next.Version, version+1)
		if err := apply(next); err != nil {
			return err
		}
		version = next.Version
		metrics.Applied(version, follow.FromFile)
		return nil
	}
	if err := load(); err != nil {
		return nil, &refusedError{err}
	}
	return onHangup(func() {
		if err := load(); err != nil {
			metrics.Refused()
			log.Error("steering not reloaded, the former snapshot stays", "error", err)
			return
		}
		log.Info("steering reloaded", "version", version)
	}), nil
}

// read reads the file that is given.
func (s *sourceFlags) read() (*edge.Snapshot, error) {
	if s.snapshot != "" {
		return follow.ReadFile(s.snapshot)
	}
	world, err := fleet.Load(s.fleet)
	if err != nil {
		return nil, err
	}
	return &edge.Snapshot{Made: time.Now().UTC(), Fleet: world}, nil
}

// onHangup is a service that calls reload on every SIGHUP.
func onHangup(reload func()) node.Service {
	return node.Func(func(ctx context.Context) error {
		hup := make(chan os.Signal, 1)
		signal.Notify(hup, syscall.SIGHUP)
		defer signal.Stop(hup)
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-hup:
				reload()
			}
		}
	})
}
