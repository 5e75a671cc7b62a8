package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"catchment/internal/authdns"
	"catchment/internal/edge"
	"catchment/internal/geo"
	"catchment/internal/health"
	"catchment/internal/steer"
)

// nameServer makes a name server out of its first snapshot, and keeps it up to
// date with snapshots, places and the zone file.
type nameServer struct {
	cfg      authdns.Config
	zoneFile string
	keyDir   string
	places   *geo.DB
	log      *slog.Logger
	reg      prometheus.Registerer

	prober *health.Prober // nil: PoPs are not probed

	mu     sync.Mutex
	last   *edge.Snapshot
	known  string // version of the places that last was compiled with
	server *authdns.Server
	costs  atomic.Pointer[[]*steer.Service]
}

// healthy reports whether there is anything to answer by.
func (n *nameServer) healthy() error {
	if n.costs.Load() == nil {
		return errors.New("no snapshot yet")
	}
	return nil
}

// apply answers by a snapshot from now on. On an error the former one stays.
func (n *nameServer) apply(s *edge.Snapshot) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.use(s)
}

func (n *nameServer) use(s *edge.Snapshot) error {
	known := n.places.Version()
	t, err := newSteering(s, n.places)
	if err != nil {
		return err
	}
	state := authdns.State{Steering: t}
	for _, c := range s.Challenges {
		state.Challenges = append(state.Challenges, authdns.Challenge{Name: c.Name, Values: c.Values})
	}
	switch {
	case n.server == nil:
		err = n.open(s.Fleet, state)
	case !strings.EqualFold(s.Fleet.Zone, n.last.Fleet.Zone) || !strings.EqualFold(s.Fleet.Probe, n.last.Fleet.Probe):
		err = fmt.Errorf("the zone is %s and the probe zone %s, and they were %s and %s: restart to serve other zones",
			s.Fleet.Zone, s.Fleet.Probe, n.last.Fleet.Zone, n.last.Fleet.Probe)
	default:
		err = n.server.SetState(state)
	}
	if err != nil {
		return err
	}
	n.last, n.known = s, known
	n.costs.Store(&t.costs)
	if n.prober != nil {
		n.prober.SetFleet(s.Fleet)
	}
	debug.FreeOSMemory() // compiling leaves more behind than it keeps, and there may be no other garbage for hours
	return nil
}

// open makes the server.
func (n *nameServer) open(f *edge.Fleet, state authdns.State) (err error) {
	cfg := n.cfg
	cfg.Probe, cfg.State = f.Probe, state
	if cfg.Zone, err = readZone(n.zoneFile, f); err != nil {
		return err
	}
	if n.keyDir != "" {
		if cfg.Keys, err = authdns.LoadKeys(n.keyDir, f.Zone); err != nil {
			return err
		}
	}
	server, err := authdns.New(cfg, n.log, n.reg)
	if err != nil {
		return err
	}
	n.server = server
	return n.reg.Register(costCollector{n})
}

// readZone reads the zone file of a fleet's zone.
func readZone(file string, f *edge.Fleet) (*authdns.Zone, error) {
	if f.Zone == "" {
		return nil, errors.New("the fleet has no zone")
	}
	text, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer text.Close()
	return authdns.ParseZone(text, f.Zone, file)
}

// reloadZone reads the zone file again. One with mistakes changes nothing.
func (n *nameServer) reloadZone() {
	n.mu.Lock()
	defer n.mu.Unlock()
	zone, err := readZone(n.zoneFile, n.last.Fleet)
	if err == nil {
		err = n.server.SetZone(zone)
	}
	if err != nil {
		n.log.Error("zone file not reloaded, the former one stays", "error", err)
		return
	}
	n.log.Info("zone file reloaded", "zone", zone.Origin())
}

// watchPlaces applies the snapshot in use again when the places have changed.
func (n *nameServer) watchPlaces(ctx context.Context) error {
	tick := time.NewTicker(geo.DefaultPoll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		n.mu.Lock()
		if version := n.places.Version(); version != n.known {
			if err := n.use(n.last); err != nil {
				n.log.Error("steering by new places refused, the former stays", "error", err)
				n.known = version // not again
			} else {
				n.log.Info("steering by new places", "version", version)
			}
		}
		n.mu.Unlock()
	}
}

// costCollector tells what answers cost in the caches of resolvers.
type costCollector struct{ *nameServer }

var scopeEntries = prometheus.NewDesc("catchment_dns_scope_entries",
	"Cache entries that resolvers which send ECS need for all known prefixes of a service, now and if no ramp, shed or weight were partial.",
	[]string{"service", "family", "state"}, nil)

func (c costCollector) Describe(ch chan<- *prometheus.Desc) { ch <- scopeEntries }

func (c costCollector) Collect(ch chan<- prometheus.Metric) {
	for _, s := range *c.costs.Load() {
		cost := s.Cost()
		for i, family := range []string{"4", "6"} {
			ch <- prometheus.MustNewConstMetric(scopeEntries, prometheus.GaugeValue, cost.Entries[i], s.Name(), family, "now")
			ch <- prometheus.MustNewConstMetric(scopeEntries, prometheus.GaugeValue, cost.Settled[i], s.Name(), family, "settled")
		}
	}
}
