package main

import (
	"errors"
	"flag"
	"log/slog"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"catchment/internal/edge"
	"catchment/internal/follow"
	"catchment/internal/resets"
)

// resetFlag says how a PoP watches for reset connections.
type resetFlag string

func (f *resetFlag) register(fs *flag.FlagSet) {
	*f = "auto"
	fs.Var(f, "reset-watcher", "`how` connections that came to the wrong PoP are seen: auto (the best that is permitted), ebpf, packet, counters, or off")
}

func (f *resetFlag) String() string { return string(*f) }

func (f *resetFlag) Set(s string) error {
	if s != "auto" && s != "off" && !slices.Contains(edge.ResetMethods, edge.ResetMethod(s)) {
		return errors.New("want auto, ebpf, packet, counters or off")
	}
	*f = resetFlag(s)
	return nil
}

// watcher returns nil if it is off. Without a control node it only counts.
func (f resetFlag) watcher(pop edge.PoPID, client *follow.Client, log *slog.Logger, reg prometheus.Registerer) (*resets.Watcher, error) {
	cfg := resets.Config{PoP: pop}
	switch f {
	case "off":
		return nil, nil
	case "auto":
	default:
		cfg.Method = edge.ResetMethod(f)
	}
	if client == nil { // a nil *Client is no nil Poster
		return resets.New(cfg, nil, log, reg)
	}
	return resets.New(cfg, client, log, reg)
}
