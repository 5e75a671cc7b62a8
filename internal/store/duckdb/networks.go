package duckdb

import (
	"context"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"catchment/internal/store"
)

// The order of paths is the order of days and segments.
const networksSQL = `
SELECT asn, arg_max(as_name, (filename, as_name)) AS name
FROM $files
WHERE as_name <> ''
GROUP BY asn`

// Networks implements store.Engine: the name that each ASN had last in the
// days that q touches, without those that never had one.
func (e *Engine) Networks(ctx context.Context, q store.Query) (map[uint32]string, error) {
	parts, err := e.parts(q)
	if err != nil {
		return nil, err
	}
	all := make(map[uint32]string)
	for _, p := range parts { // ascending
		err := e.queryPart(ctx, p, store.Segment.Assignments, networksSQL, func(batch arrow.RecordBatch) (bool, error) {
			asn, err := columnOf[*array.Uint32](batch, "asn")
			if err != nil {
				return false, err
			}
			name, err := columnOf[*array.String](batch, "name")
			if err != nil {
				return false, err
			}
			for i := range asn.Len() {
				all[asn.Value(i)] = strings.Clone(name.Value(i)) // lies in the batch
			}
			return true, nil
		})
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}
