package duckdb

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/parquet-go/parquet-go"

	"catchment/internal/store"
)

// The options keep files as store writes them. A temporary name would lie
// outside of Options.Output; the caller has its own.
const copySQL = `
COPY (SELECT * EXCLUDE (filename) FROM $files WHERE $span)
TO $path (FORMAT parquet, COMPRESSION zstd, USE_TMP_FILE false, KV_METADATA {$key: $version})`

// CopyParquet writes the beacons that q selects, in the order of Beacons, into
// one Parquet file with the columns of a segment's beacons. The path must lie
// in the data directory or be one of Options.Output; what it holds is
// overwritten.
func (e *Engine) CopyParquet(ctx context.Context, q store.Query, path string) error {
	for try := 0; ; try++ {
		parts, err := e.parts(q)
		if err != nil {
			return err
		}
		if len(parts) == 0 {
			return writeEmpty(path)
		}
		all := part{since: parts[0].since, until: parts[len(parts)-1].until}
		for _, p := range parts {
			all.segments = append(all.segments, p.segments...)
		}
		err = e.copyPart(ctx, all, path)
		if err == nil || try == relists || !gone(err, all.segments) {
			return err
		}
	}
}

func (e *Engine) copyPart(ctx context.Context, p part, path string) error {
	abs, err := filepath.Abs(path)
	if err != nil {
		return fmt.Errorf("store/duckdb: %w", err)
	}
	files := paths(p.segments, store.Segment.Beacons)
	_, old, err := e.schemas.check(files)
	if err != nil {
		return err
	}
	err = e.exec(ctx, strings.NewReplacer(
		"$files", readParquet(files, old), "$span", p.condition(), "$path", quote(abs),
		"$key", quote(store.SchemaKey), "$version", quote(strconv.Itoa(store.SchemaVersion)),
	).Replace(copySQL))
	if err != nil {
		return fmt.Errorf("store/duckdb: copy to %s: %w", path, err)
	}
	return nil
}

// writeEmpty writes a file without rows; DuckDB would not know the columns.
func writeEmpty(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("store/duckdb: %w", err)
	}
	w := parquet.NewGenericWriter[store.BeaconRow](f, parquet.KeyValueMetadata(store.SchemaKey, strconv.Itoa(store.SchemaVersion)))
	if err := errors.Join(w.Close(), f.Close()); err != nil {
		return fmt.Errorf("store/duckdb: %w", err)
	}
	return nil
}

// Count returns how many beacons the segments that q touches hold: at least as
// many as it selects.
func (e *Engine) Count(q store.Query) (int64, error) {
	parts, err := e.parts(q)
	if err != nil {
		return 0, err
	}
	var total int64
	for _, p := range parts {
		err := e.retry(p, func(segments []store.Segment) error {
			rows, _, err := e.schemas.check(paths(segments, store.Segment.Beacons))
			total += rows
			return err
		})
		if err != nil {
			return 0, err
		}
	}
	return total, nil
}
