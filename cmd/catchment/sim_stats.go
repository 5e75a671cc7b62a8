package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"catchment/internal/report"
	"catchment/internal/sim/topology"
)

func simStats() command {
	return command{"stats", "what a topology has: networks, links, tier-1s, customer cones, users", runSimStats}
}

func runSimStats(_ context.Context, io stdio, args []string) error {
	fs := newFlags(io, "sim stats", "sim stats [--format table|json] FILE",
		"Prints what a topology file has, and what it was made from.")
	format := fs.String("format", string(report.Table), "table or json")
	if err := parse(fs, args); err != nil {
		return err
	}
	switch {
	case fs.NArg() != 1:
		return usagef(fs, "want one topology file")
	case !statsFormat(*format):
		return usagef(fs, "--format: %q is not one of table, json", *format)
	}
	t, err := loadTopology(fs.Arg(0))
	if err != nil {
		return err
	}
	return writeStats(io.out, *format, t, nil)
}

// loadTopology reads a snapshot.
func loadTopology(name string) (*topology.Topology, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, topology.MaxSnapshot+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	t, err := topology.Decode(data)
	if err != nil {
		return nil, &refusedError{fmt.Errorf("%s: %w", name, err)}
	}
	return t, nil
}

func statsFormat(s string) bool { return s == string(report.Table) || s == string(report.JSON) }

// writeStats prints what a topology has. Notes, if there are, are part of JSON
// only: people were told.
func writeStats(w io.Writer, format string, t *topology.Topology, notes []string) error {
	s := t.Stats()
	if format == string(report.JSON) {
		all := struct {
			topology.Stats
			Sources []string `json:"sources"`
			Notes   []string `json:"notes,omitempty"`
		}{s, t.Sources, notes}
		if err := json.MarshalWrite(w, &all, jsontext.WithIndent("  ")); err != nil {
			return err
		}
		_, err := fmt.Fprintln(w)
		return err
	}
	var table bytes.Buffer
	tw := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	row := func(title string, n int, more string, args ...any) {
		fmt.Fprintf(tw, "%s\t%14s\t%s\n", title, grouped(n), fmt.Sprintf(more, args...))
	}
	row("networks", s.ASes, "%s without customers", grouped(s.Stubs))
	row("links", s.Links, "%s transit, %s peering", grouped(s.Transit), grouped(s.Peering))
	row("users", int(s.Users), "in %s networks, %s groups by network and metro", grouped(s.WithUsers), grouped(s.Groups))
	row("metros", s.Metros, "%s with users", grouped(s.Inhabited))
	row("tier-1s", len(s.Clique), "without providers, all peers of each other")
	for _, c := range s.Clique {
		row(fmt.Sprintf("  AS%d", c.ASN), c.Size, "%s", c.Name)
	}
	row("largest cone", s.Cones.Max, "networks, reached through customers; median %s, p90 %s, p99 %s", grouped(s.Cones.P50), grouped(s.Cones.P90), grouped(s.Cones.P99))
	for _, c := range s.Largest {
		row(fmt.Sprintf("  AS%d", c.ASN), c.Size, "%s", c.Name)
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	for _, name := range t.Sources {
		fmt.Fprintf(&table, "from %s\n", name)
	}
	for line := range strings.Lines(table.String()) {
		if _, err := fmt.Fprintln(w, strings.TrimRight(line, " \n")); err != nil {
			return err
		}
	}
	return nil
}

// grouped writes a number with commas between thousands.
func grouped(n int) string {
	s := fmt.Sprint(n)
	var b strings.Builder
	for i, c := range s {
		if i > 0 && (len(s)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(c)
	}
	return b.String()
}
