package store

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"

	"catchment/internal/edge"
)

func TestList(t *testing.T) {
	dir := t.TempDir()
	if got, err := List(dir); err != nil || got != nil {
		t.Errorf("a fresh directory has %v, %v", got, err)
	}
	for _, path := range []string{
		"day=2026-11-01/000000000001-000000000001.beacons.parquet",
		"day=2026-11-01/000000000002-000000000002.beacons.parquet",
		"day=2026-11-01/000000000003-000000000009.beacons.parquet",
		"day=2026-11-01/000000000001-000000000002.beacons.parquet", // replaces the first two
		"day=2026-11-01/000000000010-000000000011.assignments.parquet",
		"day=2026-11-01/000000000010-000000000011.beacons.parquet.tmp",
		"day=2026-11-01/1-2.beacons.parquet",
		"day=2026-11-01/000000000013-000000000012.beacons.parquet",
		"day=2026-11-01/0000000000001-000000000001.beacons.parquet",
		"day=2026-11-01/other.parquet",
		"day=2026-10-31/000000000001-000000000002.beacons.parquet",
		"day=2026-10-31/1000000000003-1000000000003.beacons.parquet",
		"day=2026-10-30/000000000001-000000000002.beacons.parquet",
		"day=2026-10-30/dropped",
		"day=yesterday/000000000001-000000000002.beacons.parquet",
		"day=2026-9-1/000000000001-000000000002.beacons.parquet",
	} {
		path = filepath.Join(dir, segmentsDir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := List(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := []Segment{
		{dir, testDay - 1, 1, 2},
		{dir, testDay - 1, 1000000000003, 1000000000003},
		{dir, testDay, 1, 2},
		{dir, testDay, 3, 9},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestWriteSegment(t *testing.T) {
	dir := t.TempDir()
	var all []*edge.Beacon
	for _, b := range randomBeacons(61, 500) {
		if edge.DayOf(b.Received) == testDay {
			all = append(all, b)
		}
	}
	// Twice: the second time replaces the same files.
	for range 2 {
		s, err := WriteSegment(dir, testDay, 7, 9, all)
		if err != nil || s != (Segment{dir, testDay, 7, 9}) {
			t.Fatalf("%v, %v", s, err)
		}
		checkStored(t, dir, all)
		leftovers(t, dir)
	}
	f, err := openParquet(Segment{dir, testDay, 7, 9}.Beacons())
	if err != nil {
		t.Fatal(err)
	}
	defer f.close()
	least, most := all[0].Received, all[0].Received
	for _, b := range all {
		if b.Received.Before(least) {
			least = b.Received
		}
		if b.Received.After(most) {
			most = b.Received
		}
	}
	stats := f.file.Metadata().RowGroups[0].Columns[0].MetaData.Statistics
	if since, until := int64(binary.LittleEndian.Uint64(stats.MinValue)), int64(binary.LittleEndian.Uint64(stats.MaxValue)); since != least.UnixMicro() || until != most.UnixMicro() {
		t.Errorf("the file says %d to %d, which is how queries find a time; its beacons are of %v to %v", since, until, least, most)
	}
	if s, err := WriteSegment(dir, testDay, 10, 10, nil); err != nil {
		t.Errorf("an empty segment: %v, %v", s, err)
	}
	checkStored(t, dir, all)

	_, err = WriteSegment(dir, testDay+1, 11, 11, all[:1])
	want := fmt.Sprintf("store: beacon %q was received on 2026-11-01, which is not the segment's day, 2026-11-02", all[0].ID)
	if err == nil || err.Error() != want {
		t.Errorf("%v", err)
	}
	if left, _ := os.ReadDir(dayDir(dir, testDay+1)); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// writeOther writes a beacons file as another version of the program, or
// another program, would.
func writeOther[T any](t *testing.T, s Segment, rows []T, options ...parquet.WriterOption) {
	t.Helper()
	if err := os.MkdirAll(dayDir(s.Dir, s.Day), 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(s.Beacons())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := parquet.NewGenericWriter[T](f, options...)
	if _, err := w.Write(rows); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

// rowVersion0 is what a file without a schema version may have: few columns,
// in another order.
type rowVersion0 struct {
	ID       string      `parquet:"id"`
	Received int64       `parquet:"received,timestamp(microsecond)"`
	Country  string      `parquet:"country"`
	Probes   []probeRow0 `parquet:"probes,list"`
}

type probeRow0 struct {
	RTT    float32 `parquet:"rtt"`
	Target string  `parquet:"target"`
	PoP    string  `parquet:"pop"`
}

func TestMigration(t *testing.T) {
	dir := t.TempDir()
	at := testDay.Time().Add(time.Hour)
	old := Segment{dir, testDay, 1, 1}
	writeOther(t, old, []rowVersion0{{ID: "a", Received: at.UnixMicro(), Country: "US", Probes: []probeRow0{{12.5, "global", "iad"}}}})
	want := &edge.Beacon{
		V: 1, ID: "a", Received: at, Rate: 1, Place: edge.Place{Country: "US"},
		Probes: []edge.Probe{{Target: "global", PoP: "iad", RTT: 12.5}},
	}
	for b, err := range ReadBeacons(old) {
		if err != nil {
			t.Fatal(err)
		}
		diffBeacons(t, want, b)
	}

	// Its ids are known, and compaction brings it up to date, aggregates included.
	s := openTest(t, dir, Config{CompactRun: 2}, nil)
	mustAppend(t, s, 0, want)
	other := &edge.Beacon{V: 1, ID: "b", Received: at, Rate: 0.5}
	mustAppend(t, s, 1, other)
	if err := s.sealAll(); err != nil {
		t.Fatal(err)
	}
	live, err := List(dir)
	if err != nil || len(live) != 2 {
		t.Fatalf("%v, %v", live, err)
	}
	if err := s.merge(t.Context(), live); err != nil {
		t.Fatal(err)
	}
	live, err = List(dir)
	if err != nil || len(live) != 1 {
		t.Fatalf("%v, %v", live, err)
	}
	f, err := openParquet(live[0].Beacons())
	if err != nil || f.version != SchemaVersion {
		t.Fatalf("%+v, %v", f, err)
	}
	_ = f.close()
	checkStored(t, dir, []*edge.Beacon{want, other})
	mustClose(t, s)
}

func TestNewerSchema(t *testing.T) {
	s := Segment{t.TempDir(), testDay, 1, 1}
	f := func(version, want string) {
		t.Helper()
		writeOther(t, s, []BeaconRow{{ID: "a"}}, parquet.KeyValueMetadata(SchemaKey, version))
		n := 0
		for _, err := range ReadBeacons(s) {
			n++
			if err == nil || err.Error() != "store: open "+s.Beacons()+": "+want {
				t.Errorf("version %s: %v", version, err)
			}
		}
		if n != 1 {
			t.Errorf("version %s: %d elements", version, n)
		}
	}
	f("2", "schema version 2 is newer than this program, which knows 1")
	f("x", `metadata catchment.schema: "x" is not a number`)
}

func TestBrokenFile(t *testing.T) {
	s := Segment{t.TempDir(), testDay, 1, 1}
	writeOther(t, s, []BeaconRow{{ID: "a", Client: "203.0.113.0/24"}, {ID: "b", Client: "nowhere"}})
	var ids, errs []string
	for b, err := range ReadBeacons(s) {
		if err != nil {
			errs = append(errs, err.Error())
		} else {
			ids = append(ids, b.ID)
		}
	}
	if len(ids) != 1 || len(errs) != 1 || !strings.HasPrefix(errs[0], "store: "+s.Beacons()+`: beacon "b": netip.ParsePrefix("nowhere")`) {
		t.Errorf("%v, %v", ids, errs)
	}
	if err := os.WriteFile(s.Beacons(), []byte("PAR1 and then nothing"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, err := range ReadBeacons(s) {
		if err == nil || !strings.Contains(err.Error(), s.Beacons()) {
			t.Errorf("%v", err)
		}
	}
}
