package duckdb

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"catchment/internal/store"
)

// queryPart runs a statement in which $files is one kind of p's files.
func (e *Engine) queryPart(ctx context.Context, p part, path func(store.Segment) string, sql string, each func(row) (bool, error)) error {
	var late error // after some of the result was handed out: no second try
	err := e.retry(p, func(segments []store.Segment) error {
		files := paths(segments, path)
		_, old, err := e.schemas.check(files)
		if err != nil {
			return err
		}
		started := false
		err = e.query(ctx, strings.ReplaceAll(sql, "$files", readParquet(files, old)), func(r row) (bool, error) {
			started = true
			return each(r)
		})
		if started {
			late, err = err, nil
		}
		return err
	})
	return cmp.Or(err, late)
}

func paths(segments []store.Segment, path func(store.Segment) string) []string {
	out := make([]string, len(segments))
	for i, s := range segments {
		out[i] = path(s)
	}
	return out
}

// readParquet returns the table function that reads files. With files of
// several schema versions, columns go by name, and one that a file lacks is
// NULL; the day of a path is not a column, the path is the column filename.
func readParquet(files []string, old bool) string {
	return fmt.Sprintf("read_parquet(%s, union_by_name = %t, hive_partitioning = false, filename = true)", quoteList(files), old)
}

// condition is p's span of receive time.
func (p part) condition() string {
	return fmt.Sprintf("received >= make_timestamp(%d) AND received < make_timestamp(%d)", p.since, p.until)
}

// quote returns s as an SQL literal.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

func quoteList(list []string) string {
	quoted := make([]string, len(list))
	for i, s := range list {
		quoted[i] = quote(s)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}
