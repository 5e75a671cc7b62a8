package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/cheggaaa/pb/v3"
	"github.com/prometheus/client_golang/prometheus"

	"catchment/internal/beacon"
	"catchment/internal/fleet"
	"catchment/internal/geo"
	"catchment/internal/store"
)

func importCommand() command {
	return command{"import", "store relayed beacons from NDJSON files", runImport}
}

// maxReported is how many refused lines are printed in full.
const maxReported = 20

func runImport(ctx context.Context, io stdio, args []string) error {
	fs := newFlags(io, "import", "import --fleet FILE --data DIR [flags] FILE...",
		"Stores relayed beacons: NDJSON, plain or gzip; - is standard input. Lines that are refused are reported and\n"+
			"do not stop it; the exit status is then 3. After an interruption the same command goes on where it stopped.")
	var (
		fleetFile = fs.String("fleet", "", "fleet `file` (required)")
		data      = fs.String("data", "", "`directory` that holds the store (required)")
		keepV4    = fs.Int("keep-v4", 24, "bits of IPv4 client addresses that are kept, 8 to 28")
		keepV6    = fs.Int("keep-v6", 48, "bits of IPv6 client addresses that are kept, 16 to 58")
		again     = fs.Bool("again", false, "read files from the start even if they were imported before; known beacons are dropped")
		places    placeFlags
	)
	places.register(fs)
	if err := parse(fs, args); err != nil {
		return err
	}
	switch {
	case *fleetFile == "" || *data == "":
		return usagef(fs, "--fleet and --data are required")
	case fs.NArg() == 0:
		return usagef(fs, "want at least one file, or - for standard input")
	}
	world, err := fleet.Load(*fleetFile)
	if err != nil {
		return &refusedError{err}
	}
	log := slog.New(slog.NewTextHandler(io.err, &slog.HandlerOptions{Level: slog.LevelWarn}))
	db, err := geo.Open(geo.Config{Files: places.files, Places: places.overrides, Log: log})
	if err != nil {
		return &refusedError{err}
	}
	files := fs.Args()
	size, err := totalSize(files)
	if err != nil {
		return err
	}
	beacons, err := store.Open(store.Config{Dir: *data}, log, prometheus.NewRegistry())
	if err != nil {
		return hintInUse(err)
	}

	job := importJob{
		Importer: beacon.Importer{
			Names: beacon.NewNames(world), Places: db, ContinentOf: geo.ContinentOf, Sink: beacons,
			Keep: beacon.Prefixes{V4: *keepV4, V6: *keepV6},
		},
		io:  io,
		bar: startProgress(io.err, "bytes", size),
	}
	if !*again {
		job.Checkpoints = filepath.Join(*data, "import")
	}
	started := time.Now()
	for _, name := range files {
		if err = job.file(ctx, name); err != nil {
			break
		}
	}
	job.bar.Finish()
	err = errors.Join(err, beacons.Close()) // seals, so that reports see all of it
	job.summary(time.Since(started))
	switch {
	case errors.Is(err, context.Canceled):
		return errors.New("interrupted; the same command goes on from here")
	case err != nil:
		return err
	case job.total.Refused > 0:
		return &refusedError{fmt.Errorf("catchment import: %d lines were refused, the others are stored", job.total.Refused)}
	}
	return nil
}

// importJob imports files and tells how it goes.
type importJob struct {
	beacon.Importer
	io    stdio
	bar   *pb.ProgressBar
	total beacon.Imported

	reported int // refused lines, all of them
}

// file imports one file, or standard input, which cannot be continued.
func (j *importJob) file(ctx context.Context, name string) error {
	open := func() (io.ReadCloser, error) {
		f, err := os.Open(name)
		if err != nil {
			return nil, errors.Unwrap(err) // the name is said anyway
		}
		return struct { // the bar's own Close would end the bar
			io.Reader
			io.Closer
		}{j.bar.NewProxyReader(f), f}, nil
	}
	shown, checkpoints := name, j.Checkpoints
	if name == "-" {
		shown, checkpoints = "<stdin>", ""
		open = func() (io.ReadCloser, error) { return io.NopCloser(j.bar.NewProxyReader(j.io.in)), nil }
	}
	im := j.Importer
	im.Checkpoints = checkpoints
	im.Refused = func(line int, err error) {
		if j.reported++; j.reported <= maxReported {
			j.say("%s:%d: %v\n", shown, line, err)
		}
	}
	n, err := im.File(ctx, shown, open)
	j.total.Add(n)
	return err
}

// say prints a line to people, over the progress bar, which then comes back.
func (j *importJob) say(format string, args ...any) {
	if j.bar.IsStarted() {
		fmt.Fprint(j.io.err, "\r\033[K")
	}
	fmt.Fprintf(j.io.err, format, args...)
}

func (j *importJob) summary(took time.Duration) {
	t := j.total
	if more := j.reported - maxReported; more > 0 {
		j.say("... and %d more lines were refused\n", more)
	}
	j.say("%d beacons stored, %d known already, %d lines refused, %d lines done earlier, in %v",
		t.Accepted, t.Duplicates, t.Refused, t.Earlier, took.Round(time.Millisecond))
	if s := took.Seconds(); s >= 1 {
		j.say(" (%.0f/s)", float64(t.Accepted+t.Duplicates)/s)
	}
	j.say("\n")
}

// totalSize adds up the sizes of files; 0 if one of them has none, as standard
// input. It finds what cannot be read before anything is stored.
func totalSize(files []string) (size int64, err error) {
	known := true
	for _, name := range files {
		if name == "-" {
			known = false
			continue
		}
		info, err := os.Stat(name)
		if err != nil {
			return 0, err
		}
		if info.IsDir() {
			return 0, fmt.Errorf("%s is a directory (want files)", name)
		}
		known = known && info.Mode().IsRegular()
		size += info.Size()
	}
	if !known {
		return 0, nil
	}
	return size, nil
}

// hintInUse says what to do while serve has the data directory.
func hintInUse(err error) error {
	if strings.Contains(err.Error(), "in use") {
		return fmt.Errorf("%w\nif that is 'catchment serve', POST the files to /v1/relay on its control listener instead", err)
	}
	return err
}
