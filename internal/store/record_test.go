package store

import (
	"errors"
	"math/rand/v2"
	"testing"

	"catchment/internal/edge"
)

func TestRecord(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	var back edge.Beacon // used again, so that nothing of the last one may stay
	for range 300 {
		b := randomBeacon(rng)
		record := string(appendRecord(nil, b))
		if err := decodeRecord(&back, record); err != nil {
			t.Fatal(err)
		}
		diffBeacons(t, asStored(b), &back)
		if day, err := recordDay(record); err != nil || day != edge.DayOf(b.Received) {
			t.Fatalf("day %v, %v", day, err)
		}
	}
}

func TestRecordRepairsText(t *testing.T) {
	b := &edge.Beacon{ID: "a", Plan: "x\xffy"}
	var back edge.Beacon
	if err := decodeRecord(&back, string(appendRecord(nil, b))); err != nil || back.Plan != "x\ufffdy" {
		t.Errorf("%q, %v", back.Plan, err)
	}
}

func TestRecordDamaged(t *testing.T) {
	record := string(appendRecord(nil, randomBeacon(rand.New(rand.NewPCG(1, 2)))))
	var b edge.Beacon
	for n := range len(record) {
		if err := decodeRecord(&b, record[:n]); !errors.Is(err, errRecord) {
			t.Fatalf("cut to %d of %d bytes: %v", n, len(record), err)
		}
	}
	if err := decodeRecord(&b, record+"x"); !errors.Is(err, errRecord) {
		t.Errorf("with a byte too many: %v", err)
	}
	const want = "store: malformed record in the write-ahead log: version 9, this program knows 1"
	if err := decodeRecord(&b, "\x09"+record[1:]); err == nil || err.Error() != want {
		t.Errorf("of another version: %v", err)
	}
}

func FuzzDecodeRecord(f *testing.F) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 8 {
		f.Add(string(appendRecord(nil, randomBeacon(rng))))
	}
	f.Add(string(appendRecord(nil, &edge.Beacon{ID: "a"})))
	f.Add("")
	f.Add("\x01\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")
	f.Fuzz(func(t *testing.T, record string) {
		var b, again edge.Beacon
		if err := decodeRecord(&b, record); err != nil {
			if !errors.Is(err, errRecord) {
				t.Fatalf("unexpected error %v", err)
			}
			return
		}
		if err := decodeRecord(&again, string(appendRecord(nil, &b))); err != nil {
			t.Fatalf("what was decoded encodes to something else: %v", err)
		}
		var row BeaconRow
		setRow(&row, &b) // nothing that decodes may panic further on
		v := b.View()
		newAggregator(edge.DayOf(b.Received)).add(&b, &v)
	})
}
