package main

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"catchment/internal/authdns"
	"catchment/internal/control"
	"catchment/internal/demo"
	"catchment/internal/edge"
	"catchment/internal/node"
	"catchment/internal/steer"
)

// demoZone is what the demo's zone has beside steered names.
const demoZone = `$TTL 3600
@   SOA ns1 hostmaster 1 7200 900 1209600 300
@   NS  ns1
ns1 A   127.0.0.1
`

// demoDNS returns a name server for the demo's services, by the places of its
// world.
func demoDNS(addr string, w *demo.World, log *slog.Logger, reg prometheus.Registerer) (*authdns.Server, error) {
	s, err := newSteering(&edge.Snapshot{Version: 1, Made: time.Now(), Fleet: w.Fleet}, w)
	if err != nil {
		return nil, err
	}
	zone, err := authdns.ParseZone(strings.NewReader(demoZone), w.Fleet.Zone, "demo")
	if err != nil {
		return nil, err
	}
	server, err := authdns.New(authdns.Config{
		ID: "demo", Listeners: []authdns.Listener{{Addr: addr}}, Workers: 1,
		Zone: zone, Probe: w.Fleet.Probe, State: authdns.State{Steering: s},
	}, log, reg)
	if err != nil {
		return nil, err
	}
	return server, server.Listen()
}

// followPlane has a name server answer by what the control plane publishes.
func followPlane(server *authdns.Server, plane *control.Control, places steer.Places, log *slog.Logger) node.Service {
	return node.Func(func(ctx context.Context) error {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		version := uint64(0)
		for {
			if s := plane.Snapshot(); s != nil && s.Version != version {
				version = s.Version
				t, err := newSteering(s, places)
				if err == nil {
					err = server.SetState(authdns.State{Steering: t})
				}
				if err != nil {
					log.Error("snapshot not used, the former one stays", "version", s.Version, "error", err)
				}
			}
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
			}
		}
	})
}
