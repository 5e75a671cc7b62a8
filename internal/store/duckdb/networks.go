package duckdb

import (
	"context"
	"fmt"

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
		err := e.queryPart(ctx, p, store.Segment.Assignments, networksSQL, func(r row) (bool, error) {
			asn, isNumber := r["asn"].(uint32)
			name, isText := r["name"].(string)
			if !isNumber || !isText {
				return false, fmt.Errorf("store/duckdb: a network is (%T, %T)", r["asn"], r["name"])
			}
			all[asn] = name
			return true, nil
		})
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}
