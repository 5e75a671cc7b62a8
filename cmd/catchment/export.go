package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/cheggaaa/pb/v3"

	"catchment/internal/edge"
	"catchment/internal/store"
	"catchment/internal/store/duckdb"
)

func exportCommand() command {
	return command{"export", "write stored beacons as NDJSON or Parquet", runExport}
}

func runExport(ctx context.Context, io stdio, args []string) error {
	fs := newFlags(io, "export", "export --data DIR [flags]",
		"Writes the stored beacons: as NDJSON, one a line, which 'catchment import' reads, or as one Parquet file.\nIt may run while 'catchment serve' writes. Client addresses are the truncated ones that are stored.")
	var (
		data   = fs.String("data", "", "`directory` that holds the store (required)")
		since  = fs.String("since", "", "only beacons received from then on: RFC 3339, a UTC day, or how long ago (24h, 7d)")
		until  = fs.String("until", "", "only beacons received before then")
		format = fs.String("format", "ndjson", "ndjson or parquet")
		out    = fs.String("out", "", "`file` to write; standard output without it")
	)
	if err := parse(fs, args); err != nil {
		return err
	}
	if fs.NArg() > 0 {
		return usagef(fs, "unexpected argument %q", fs.Arg(0))
	}
	if *data == "" {
		return usagef(fs, "--data is required")
	}
	var q store.Query
	var err error
	now := time.Now()
	if q.Since, err = parseWhen(*since, now); err != nil {
		return usagef(fs, "--since: %v", err)
	}
	if q.Until, err = parseWhen(*until, now); err != nil {
		return usagef(fs, "--until: %v", err)
	}
	if info, err := os.Stat(*data); err != nil {
		return err
	} else if !info.IsDir() {
		return fmt.Errorf("--data: %s is not a directory", *data)
	}
	switch *format {
	case "ndjson":
		return exportNDJSON(ctx, io, *data, *out, q)
	case "parquet":
		return exportParquet(ctx, io, *data, *out, q)
	default:
		return usagef(fs, "--format: %q is neither ndjson nor parquet", *format)
	}
}

// exportNDJSON writes beacons in the form of relays.
func exportNDJSON(ctx context.Context, io stdio, data, out string, q store.Query) (err error) {
	engine, err := duckdb.Open(data, duckdb.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, engine.Close()) }()
	total, err := engine.Count(q)
	if err != nil {
		return err
	}
	bar := startProgress(io.err, "beacons", total)
	defer bar.Finish()
	if out == "" {
		return writeNDJSON(io.out, bar, engine.Beacons(ctx, q))
	}
	return writeAside(out, func(aside string) error {
		f, err := os.Create(aside)
		if err != nil {
			return err
		}
		return errors.Join(writeNDJSON(f, bar, engine.Beacons(ctx, q)), f.Close())
	})
}

func writeNDJSON(w io.Writer, bar *pb.ProgressBar, beacons iter.Seq2[*edge.Beacon, error]) error {
	buf := bufio.NewWriterSize(w, 1<<20)
	enc := json.NewEncoder(buf) // ends each value with a newline
	enc.SetEscapeHTML(false)
	for b, err := range beacons {
		if err != nil {
			return err
		}
		shorten(b)
		if b.Probes == nil {
			b.Probes = []edge.Probe{} // a beacon must have them: [], not null
		}
		if err := enc.Encode(b); err != nil {
			return err
		}
		bar.Increment()
	}
	return buf.Flush()
}

// exportParquet writes one file, which for standard output is a temporary one
// first: a Parquet file is written with seeks.
func exportParquet(ctx context.Context, io stdio, data, out string, q store.Query) error {
	bar := startProgress(io.err, "bytes", 0)
	defer bar.Finish()
	if out != "" {
		return writeAside(out, func(aside string) error { return copyParquet(ctx, data, aside, q, bar) })
	}
	dir, err := os.MkdirTemp("", "catchment-export-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "beacons.parquet")
	if err := copyParquet(ctx, data, file, q, bar); err != nil {
		return err
	}
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteTo(io.out)
	return err
}

func copyParquet(ctx context.Context, data, file string, q store.Query, bar *pb.ProgressBar) (err error) {
	engine, err := duckdb.Open(data, duckdb.Options{Output: []string{file}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, engine.Close()) }()
	watched, stop := context.WithCancel(ctx)
	defer stop()
	go func() { // the bar shows how far the file has grown
		tick := time.NewTicker(500 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-watched.Done():
				return
			case <-tick.C:
				if info, err := os.Stat(file); err == nil {
					bar.SetCurrent(info.Size())
				}
			}
		}
	}()
	return engine.CopyParquet(ctx, q, file)
}

// writeAside has write fill a file beside out and then gives it that name, so
// that out is never half written. What is not a regular file, such as a pipe,
// is written to as it is.
func writeAside(out string, write func(path string) error) error {
	if info, err := os.Stat(out); err == nil && !info.Mode().IsRegular() {
		return write(out)
	}
	aside := out + ".tmp"
	if err := write(aside); err != nil {
		_ = os.Remove(aside)
		return err
	}
	return os.Rename(aside, out)
}

// shorten replaces the durations of b, which the store keeps as 32-bit floats,
// by the shortest decimals that are stored as the same: 18.7, not
// 18.700000762939453.
func shorten(b *edge.Beacon) {
	p := &b.Page
	for _, ms := range []*float64{&p.DNS, &p.Connect, &p.TLS, &p.TTFB, &p.Load} {
		*ms = shortest(*ms)
	}
	for i := range b.Probes {
		p := &b.Probes[i]
		p.RTT, p.Srv, p.MRTT = shortest(p.RTT), shortest(p.Srv), shortest(p.MRTT)
		for _, list := range [][]float64{p.Warm, p.Cold} {
			for j := range list {
				list[j] = shortest(list[j])
			}
		}
	}
}

func shortest(ms float64) float64 {
	if micros := math.Round(ms*1000) / 1000; float32(micros) == float32(ms) {
		return micros // all that is measured in whole microseconds, and quick
	}
	short, err := strconv.ParseFloat(strconv.FormatFloat(ms, 'g', -1, 32), 64)
	if err != nil {
		return ms
	}
	return short
}
