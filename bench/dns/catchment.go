package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"catchment/internal/edge"
	"catchment/internal/fleet"
	"catchment/internal/geo"
	"catchment/internal/steer"
)

// fleetText is a fleet with a PoP, a region and its VIP on each continent. Who
// is nowhere gets the VIP global.
func fleetText() string {
	var pops, vips, regions strings.Builder
	for i, c := range continents {
		id := strings.ToLower(c.code)
		fmt.Fprintf(&pops, "  - {id: %s, place: {country: %s, lat: %v, lon: %v}, unicast: [192.0.2.%d]}\n", id, c.country, c.lat, c.lon, 11+i)
		fmt.Fprintf(&vips, "  - {id: %s, addresses: [%v], prefixes: [203.0.113.%d/28]}\n", id, address(i), 16*i)
		fmt.Fprintf(&regions, "  - {id: %s, vip: %[1]s, continents: [%s], pops: [%[1]s]}\n", id, c.code)
	}
	return fmt.Sprintf(`zone: %s
probe: probe.%[1]s
pops:
%svips:
  - {id: global, addresses: [%v], prefixes: [198.51.100.0/24]}
%sregions:
%sservices:
  - {name: %s, scheme: regional, ttl: %ds}
`, zone, pops.String(), address(nowhere), vips.String(), regions.String(), service, ttl)
}

// catchment answers by regions, one for each continent, out of a fleet file.
func catchment(s *site) *contender {
	return &contender{name: "catchment", ours: true, queries: pack(s.queries, false), start: func() (*daemon, error) {
		dir, err := s.files("catchment", map[string]string{"fleet.yaml": fleetText(), "zone": zoneText})
		if err != nil {
			return nil, err
		}
		return s.startCatchment(dir, "--fleet", filepath.Join(dir, "fleet.yaml"))
	}}
}

func (s *site) startCatchment(dir string, source ...string) (*daemon, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	return startDaemon(addr, append([]string{
		s.catchment, "dns", "--data", filepath.Join(dir, "data"), "--zone", filepath.Join(dir, "zone"),
		"--geo", s.places, "--listen", addr.String(), "--admin", "127.0.0.1:0", "--workers", "1", "--id", "bench", "--log-level", "warn",
	}, source...)...)
}

// ramps of the full variant: each moves a twentieth of who is left to another
// scheme, so that hardly a client's answer is its neighbors'.
const ramps = 10

// catchmentFull is with everything on: a signed zone that is asked for
// signatures, and ramps that are under way. What is right for a client is what
// package steer says, whose own tests hold it to the rules.
func catchmentFull(s *site) (*contender, error) {
	dir, err := s.files("catchment-full", map[string]string{"fleet.yaml": fleetText(), "zone": zoneText})
	if err != nil {
		return nil, err
	}
	world, err := fleet.Load(filepath.Join(dir, "fleet.yaml"))
	if err != nil {
		return nil, err
	}
	snapshot := &edge.Snapshot{Version: 1, Made: time.Now().UTC(), Fleet: world}
	for i := range ramps {
		name := fmt.Sprintf("ramp-%d", i)
		scheme := edge.Global
		if i%2 == 1 {
			scheme = edge.Unicast
		}
		snapshot.Ramps = append(snapshot.Ramps, edge.Ramp{ID: name, Service: service, Scheme: scheme, Share: 0.05, Salt: name})
	}
	text, err := json.Marshal(snapshot)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "snapshot.json")
	if err := os.WriteFile(file, text, 0o644); err != nil {
		return nil, err
	}
	queries := pack(s.queries, true)
	if err := s.steered(snapshot, queries); err != nil {
		return nil, err
	}
	return &contender{name: "catchment, signed, 10 ramps", ours: true, queries: queries, start: func() (*daemon, error) {
		keys := filepath.Join(dir, "keys")
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if out, err := exec.CommandContext(ctx, s.catchment, "keygen", "--zone", zone, "--dir", keys).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("keygen: %w\n%s", err, out)
		}
		return s.startCatchment(dir, "--snapshot", file, "--key-dir", keys)
	}}, nil
}

// steered makes queries want what a snapshot comes to.
func (s *site) steered(snapshot *edge.Snapshot, queries []query) error {
	places, err := geo.Open(geo.Config{Files: []string{s.places}})
	if err != nil {
		return err
	}
	plan, err := steer.Compile(snapshot, places)
	if err != nil {
		return err
	}
	www := plan.Services()[0]
	answers := www.Answers()
	moved := 0
	for i := range queries {
		answer, scope := www.Lookup(queries[i].client.Addr())
		addr := answers[answer].A[0].As4()
		if addr != queries[i].want.addr {
			moved++
		}
		queries[i].want = want{addr, scope}
	}
	// 1 − 0.95¹⁰ = 40 % of the clients are in a ramp, and hardly any of them had
	// its answer before.
	if share := float64(moved) / float64(len(queries)); len(queries) >= 1000 && (share < 0.3 || share > 0.5) {
		return fmt.Errorf("ramps move %.0f %% of the clients", 100*share)
	}
	return nil
}
