package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/cheggaaa/pb/v3"

	"catchment/internal/report"
	"catchment/internal/sim/metros"
	"catchment/internal/sim/sources"
	"catchment/internal/sim/topology"
)

func simImport() command {
	return command{"import", "make a topology from public files that you have downloaded", runSimImport}
}

const simImportAbout = `Joins public files into a topology, writes it to --out and prints what it has.
Files may be packed by gzip or bzip2; a name that ends in .mmdb is in MaxMind
format. Flags may be given several times. Nothing is downloaded: what you may use
is between you and whoever publishes it (docs/sim-import.md tells where files are
and under which terms). If a file is refused the exit status is 3.`

// importFile is a file to be read, and what reads it.
type importFile struct {
	name string
	read func(name string, r io.Reader) error
	mmdb func(name string, data []byte) error // nil: it has no such form
}

func runSimImport(ctx context.Context, io stdio, args []string) error {
	fs := newFlags(io, "sim import", "sim import --as-rel FILE [flags] --out FILE", simImportAbout)
	var asRel, prefixes, cities, users, peering stringList
	fs.Var(&asRel, "as-rel", "CAIDA AS relationships, serial-1 or serial-2: a `file` of who buys from and peers with whom (required)")
	fs.Var(&prefixes, "prefixes", "`file` of which AS announces which addresses: CSV or .mmdb")
	fs.Var(&cities, "cities", "`file` of where addresses are: CSV or .mmdb")
	fs.Var(&users, "apnic", "APNIC's `file` of users by AS and economy: CSV or JSON")
	fs.Var(&peering, "peeringdb", "PeeringDB: a dump, or a `file` of nets, netfacs, facs, netixlans, ixes or ixfacs: JSON")
	out := fs.String("out", "", "topology `file` to write (required)")
	format := fs.String("format", string(report.Table), "of what is printed: table or json")
	if err := parse(fs, args); err != nil {
		return err
	}
	switch {
	case fs.NArg() > 0:
		return usagef(fs, "unexpected argument %q", fs.Arg(0))
	case len(asRel) == 0 || *out == "":
		return usagef(fs, "--as-rel and --out are required")
	case !statsFormat(*format):
		return usagef(fs, "--format: %q is not one of table, json", *format)
	}
	set, err := sources.New(metros.Cities())
	if err != nil {
		return err
	}
	var files []importFile
	var names []string
	add := func(list stringList, f importFile) {
		for _, name := range list {
			f.name = name
			files = append(files, f)
			names = append(names, name)
		}
	}
	add(asRel, importFile{read: set.ASRelationships})
	add(prefixes, importFile{read: set.Prefixes, mmdb: set.PrefixesMMDB})
	add(cities, importFile{read: set.Cities, mmdb: set.CitiesMMDB})
	add(users, importFile{read: set.Users})
	add(peering, importFile{read: set.PeeringDB})
	size, err := totalSize(names)
	if err != nil {
		return err
	}
	if err := readFiles(ctx, io, files, size); err != nil {
		return err
	}
	in, notes, err := set.Input()
	if err != nil {
		return &refusedError{err}
	}
	t, err := topology.Build(in)
	if err != nil {
		return &refusedError{err}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := writeWhole(*out, t.Encode); err != nil {
		return err
	}
	for _, n := range notes {
		fmt.Fprintf(io.err, "note: %s\n", n)
	}
	return writeStats(io.out, *format, t, notes)
}

// readFiles reads all files, so that the problems of all are told.
func readFiles(ctx context.Context, std stdio, files []importFile, size int64) error {
	bar := startProgress(std.err, "bytes", size)
	defer bar.Finish()
	var refused []error
	for _, f := range files {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := readFile(ctx, std, f, bar)
		var problems sources.Problems
		switch {
		case errors.As(err, &problems):
			refused = append(refused, problems)
		case err != nil:
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if len(refused) > 0 {
		return &refusedError{errors.Join(refused...)}
	}
	return nil
}

// maxMMDB is how large a file in MaxMind format may be, which is held in
// memory: the largest that vendors sell are a few hundred MB.
const maxMMDB = 2 << 30

func readFile(ctx context.Context, std stdio, f importFile, bar *pb.ProgressBar) error {
	name, in := "<stdin>", std.in
	if f.name != "-" {
		file, err := os.Open(f.name)
		if err != nil {
			return err
		}
		defer file.Close()
		name, in = f.name, file
	}
	in = bar.NewProxyReader(untilDone{ctx, in})
	if f.mmdb == nil || !strings.HasSuffix(name, ".mmdb") {
		return f.read(name, in)
	}
	data, err := io.ReadAll(io.LimitReader(in, maxMMDB+1))
	switch {
	case err != nil:
		return fmt.Errorf("read %s: %w", name, err)
	case len(data) > maxMMDB:
		return sources.Problems{{File: name, Msg: fmt.Sprintf("the file is larger than %d bytes", int64(maxMMDB))}}
	}
	return f.mmdb(name, data)
}

// untilDone reads until the command is interrupted.
type untilDone struct {
	ctx context.Context
	r   io.Reader
}

func (u untilDone) Read(p []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.r.Read(p)
}
