package duckdb

import (
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"

	"catchment/internal/store"
)

func readRows(t *testing.T, path string) []store.BeaconRow {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := parquet.NewGenericReader[store.BeaconRow](f)
	defer r.Close()
	rows := make([]store.BeaconRow, r.NumRows())
	if n, err := r.Read(rows); n != len(rows) || err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(n, err)
	}
	return rows
}

// The copy is the rows of the segments, in their order, with all columns.
func TestCopyParquet(t *testing.T) {
	dir, out := t.TempDir(), filepath.Join(t.TempDir(), "all.parquet")
	writeWorld(t, dir, rand.New(rand.NewPCG(3, 1)))
	e, err := Open(dir, Options{Output: []string{out}})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	for _, q := range []store.Query{
		{},
		{Since: testDay.Time().Add(time.Hour), Until: (testDay + 2).Time().Add(time.Hour)},
		{Since: (testDay + 9).Time()},
	} {
		var want []store.BeaconRow
		segments, err := store.List(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range segments {
			for _, row := range readRows(t, s.Beacons()) {
				at := time.UnixMicro(row.Received)
				if !at.Before(q.Since) && (q.Until.IsZero() || at.Before(q.Until)) {
					want = append(want, row)
				}
			}
		}
		if err := e.CopyParquet(t.Context(), q, out); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, append([]store.BeaconRow(nil), readRows(t, out)...)); d != "" {
			t.Errorf("query %v (-want +got):\n%s", q, d)
		}
		if count, err := e.Count(q); err != nil || count < int64(len(want)) {
			t.Errorf("count %d, %v, want at least %d", count, err, len(want))
		}
		file, close, version, err := openParquet(out)
		if err != nil {
			t.Fatal(err)
		}
		if version != store.SchemaVersion || file.NumRows() != int64(len(want)) {
			t.Errorf("version %d, %d rows", version, file.NumRows())
		}
		if err := close(); err != nil {
			t.Error(err)
		}
	}
	err = e.CopyParquet(t.Context(), store.Query{}, filepath.Join(filepath.Dir(out), "other.parquet"))
	if err == nil || !strings.Contains(err.Error(), "other.parquet") {
		t.Errorf("error %v", err)
	}
}
