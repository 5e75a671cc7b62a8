package report

import (
	"bytes"
	"encoding/json"
	"math"
	"testing"
	"time"

	"catchment/internal/analysis"
	"catchment/internal/edge"
)

func renderResets(t *testing.T, f Format) string {
	t.Helper()
	label := func(vip, from, to, country string, asn uint32) []analysis.Label {
		return []analysis.Label{
			{Key: analysis.ByVIP, Text: vip},
			{Key: analysis.ByFrom, Text: from},
			{Key: analysis.ByTo, Text: to},
			{Key: analysis.ByCountry, Text: country},
			{Key: analysis.ByASN, Text: "64496", Number: asn},
		}
	}
	rows := []analysis.ResetRow{
		{Group: label("global", "iad", "lax", "US", 64496), Resets: 12345, PerHour: 514.375, Sampled: 800, Confirmed: 640, Unheard: 12, Networks: 31, Balanced: 2},
		{Group: label("global", "", "gru", "BR", 64496), Resets: 3, PerHour: 0.125, Sampled: 3, Doubtful: 77, Networks: 2},
		{Group: label("americas", "iad", "", "", 64496), PerHour: math.NaN(), TimedOut: 9, Networks: 1},
	}
	about := AboutResets{
		Since: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC),
		Totals: analysis.ResetTotals{
			From: time.Date(2026, 11, 1, 3, 0, 0, 0, time.UTC), To: time.Date(2026, 11, 2, 3, 4, 0, 0, time.UTC),
			Doubts: map[edge.ResetDoubt]uint64{edge.DoubtStart: 7, edge.DoubtScan: 70}, Overflow: 4000, Excess: 12,
			Methods: map[edge.PoPID]edge.ResetMethod{"iad": edge.ResetsByKernel, "lax": edge.ResetsByPacket, "gru": edge.ResetsByCounters},
		},
		Networks: map[uint32]string{64496: "Example Access"},
	}
	keys, err := analysis.ParseResetKeys("vip,from,to,country,asn")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := Resets(&out, f, keys, rows, about); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestResets(t *testing.T) {
	for f, ext := range map[Format]string{Table: "txt", CSV: "csv", JSON: "json", Markdown: "md"} {
		golden(t, "resets."+ext, renderResets(t, f))
	}
	var rows []struct {
		Group   map[string]any
		PerHour *float64 `json:"per_hour"`
		ASName  string   `json:"as_name"`
		Resets  int
	}
	if err := json.Unmarshal([]byte(renderResets(t, JSON)), &rows); err != nil {
		t.Fatal(err)
	}
	if len(rows) != 3 || rows[0].Resets != 12345 || *rows[0].PerHour != 514.375 || rows[2].PerHour != nil || rows[0].ASName != "Example Access" || rows[0].Group["from"] != "iad" {
		t.Errorf("%+v", rows)
	}
}
