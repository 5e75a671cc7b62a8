package main

import (
	"fmt"
	"strconv"
	"strings"

	"catchment/internal/sim/generate"
	"catchment/internal/sim/topology"
)

// readTopology reads a topology that 'sim generate' or 'sim import' has
// written; generate:ASES[:SEED] makes one in memory.
func readTopology(name string) (*topology.Topology, error) {
	if spec, ok := strings.CutPrefix(name, "generate:"); ok {
		return generateTopology(name, spec)
	}
	return loadTopology(name)
}

func generateTopology(name, spec string) (*topology.Topology, error) {
	ases, seed, seeded := strings.Cut(spec, ":")
	n, err := strconv.Atoi(ases)
	s := uint64(1)
	if err == nil && seeded {
		s, err = strconv.ParseUint(seed, 10, 64)
	}
	if err != nil || n < generate.MinASes || n > generate.MaxASes {
		return nil, &refusedError{fmt.Errorf("--topology %s: want generate:ASES[:SEED], %d to %d ASes", name, generate.MinASes, generate.MaxASes)}
	}
	in, err := generate.Generate(generate.Params{ASes: n, Seed: s})
	if err != nil {
		return nil, err
	}
	return topology.Build(in)
}
