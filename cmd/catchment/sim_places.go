package main

import (
	"context"
	"encoding/csv"
	"errors"
	"io"
	"net/netip"
	"os"
	"strconv"

	"catchment/internal/edge"
	"catchment/internal/sim/people"
)

func simPlaces() command {
	return command{"places", "where databases believe the resolvers to be", runSimPlaces}
}

// runSimPlaces writes the places file (docs/design.md, section 4.6) of the
// resolvers that the page views of 'sim beacons' name.
func runSimPlaces(_ context.Context, std stdio, args []string) error {
	m := people.DefaultModel(0)
	fs := newFlags(std, "sim places", "sim places --topology FILE [flags]",
		"Writes where databases, errors included, believe the resolvers of the simulated\nusers to be: a places file, for the --places of other commands.")
	topology := fs.String("topology", "", "topology `file` (required)")
	fs.Uint64Var(&m.Seed, "seed", 1, "that 'sim beacons' was given")
	fs.Float64Var(&m.Public, "public", m.Public, "as that of 'sim beacons'")
	fs.Float64Var(&m.PublicECS, "ecs", m.PublicECS, "as that of 'sim beacons'")
	fs.Float64Var(&m.AbroadScale, "abroad", m.AbroadScale, "as that of 'sim beacons'")
	out := fs.String("out", "", "`file` to write; standard output without it")
	if err := parse(fs, args); err != nil {
		return err
	}
	if fs.NArg() > 0 {
		return usagef(fs, "unexpected argument %q", fs.Arg(0))
	}
	if *topology == "" {
		return usagef(fs, "--topology is required")
	}
	if err := m.Validate(); err != nil {
		return usagef(fs, "%v", err)
	}
	t, err := readTopology(*topology)
	if err != nil {
		return err
	}
	population := people.New(t, m)
	if *out == "" {
		return writeResolvers(std.out, population, len(t.Groups))
	}
	return writeAside(*out, func(aside string) error {
		file, err := os.Create(aside)
		if err != nil {
			return err
		}
		return errors.Join(writeResolvers(file, population, len(t.Groups)), file.Close())
	})
}

// writeResolvers writes every resolver once. One that sends ECS, which databases
// know as well as any other, is where it is.
func writeResolvers(w io.Writer, p *people.Population, groups int) error {
	c := csv.NewWriter(w)
	if err := c.Write([]string{"prefix", "continent", "country", "subdivision", "city", "asn", "as_name", "lat", "lon"}); err != nil {
		return err
	}
	done := map[netip.Prefix]bool{}
	var askers []people.Asker
	for g := range groups {
		askers = p.AppendAskers(askers[:0], g)
		for i := range askers {
			a := &askers[i]
			if addr := a.Resolver.Addr; !done[addr] {
				done[addr] = true
				at := a.Located
				if a.ECS {
					at = p.Topology().Cities[a.Resolver.Metro].Place
				}
				if err := c.Write(placeRow(addr, at)); err != nil {
					return err
				}
			}
		}
	}
	c.Flush()
	return c.Error()
}

func placeRow(prefix netip.Prefix, p edge.Place) []string {
	asn := ""
	if p.ASN != 0 {
		asn = strconv.FormatUint(uint64(p.ASN), 10)
	}
	coord := func(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }
	return []string{prefix.String(), p.Continent, p.Country, p.Subdivision, p.City, asn, p.ASName, coord(p.Lat), coord(p.Lon)}
}
