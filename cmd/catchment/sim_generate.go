package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"catchment/internal/sim/generate"
	"catchment/internal/sim/topology"
)

func simGenerate() command {
	return command{"generate", "make an invented Internet of the size and shape of the real one", runSimGenerate}
}

func runSimGenerate(ctx context.Context, std stdio, args []string) error {
	fs := newFlags(std, "sim generate", "sim generate --out FILE [flags]",
		"Makes an invented Internet: networks, who buys from and peers with whom, where they are and how many users they have.\n"+
			"Nothing in it is licensed or real but metros (GeoNames, CC BY 4.0) and the number of users of countries.\n"+
			"The same --ases and --seed give the same Internet. AS numbers are from the private-use range.")
	var (
		ases  = fs.Int("ases", 80_000, fmt.Sprintf("how many `networks`, %d to %d", generate.MinASes, generate.MaxASes))
		seed  = fs.Uint64("seed", 1, "another `number` gives other links and other users")
		out   = fs.String("out", "", "topology `file` to write, for the other sim commands (required, unless --as-rel is given)")
		asRel = fs.String("as-rel", "", "`file` to write the links to, as text in CAIDA's serial-1 format")
	)
	if err := parse(fs, args); err != nil {
		return err
	}
	switch {
	case fs.NArg() > 0:
		return usagef(fs, "unexpected argument %q", fs.Arg(0))
	case *out == "" && *asRel == "":
		return usagef(fs, "--out is required")
	case *ases < generate.MinASes || *ases > generate.MaxASes:
		return usagef(fs, "--ases: %d (want %d to %d)", *ases, generate.MinASes, generate.MaxASes)
	}
	bar := startProgress(std.err, "links", 0)
	in, err := generate.Generate(generate.Params{ASes: *ases, Seed: *seed, Progress: func(links, of int) {
		bar.SetTotal(int64(of)).SetCurrent(int64(links))
	}})
	bar.Finish()
	if err != nil {
		return err
	}
	t, err := topology.Build(in)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if *asRel != "" {
		if err := writeWhole(*asRel, func(w io.Writer) error { return generate.WriteASRel(w, in) }); err != nil {
			return err
		}
	}
	if *out != "" {
		if err := writeWhole(*out, t.Encode); err != nil {
			return err
		}
	}
	describeGenerated(std.err, t)
	return nil
}

// writeWhole writes a file aside and renames it, so that nobody reads half of
// it.
func writeWhole(path string, write func(io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // unless it has its name
	err = write(f)
	if err == nil {
		err = f.Chmod(0o644)
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return os.Rename(f.Name(), path)
}

// describeGenerated says what was made.
func describeGenerated(w io.Writer, t *topology.Topology) {
	count := map[generate.Kind]int{}
	for _, asn := range t.ASNs {
		kind, _ := generate.KindOf(asn)
		count[kind]++
	}
	fmt.Fprintf(w, "%d networks:", t.Len())
	for k := range generate.Enterprise + 1 {
		fmt.Fprintf(w, " %d %v", count[k], k)
		if k < generate.Enterprise {
			fmt.Fprint(w, ",")
		}
	}
	fmt.Fprintf(w, "\n%d links: %d transit, %d peering\n", len(t.Customers.To)+len(t.Peers.To)/2, len(t.Customers.To), len(t.Peers.To)/2)
	fmt.Fprintf(w, "%.0f million users, in %d groups by network and metro, in %d metros\n", t.Users()/1e6, len(t.Groups), len(t.Cities))
}
