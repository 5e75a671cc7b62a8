package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	raftwal "github.com/hashicorp/raft-wal"
	"github.com/prometheus/client_golang/prometheus"

	"catchment/internal/edge"
)

// crashAt makes the store die at the n-th step that has a name.
type crashAt struct {
	name string
	left int
}

type crashed struct{}

func (c *crashAt) step(name string) {
	if name == c.name {
		if c.left--; c.left == 0 {
			panic(crashed{})
		}
	}
}

// untilCrash runs f and reports whether it crashed.
func untilCrash(f func()) (did bool) {
	defer func() {
		if r := recover(); r != nil {
			if _, did = r.(crashed); !did {
				panic(r)
			}
		}
	}()
	f()
	return false
}

// After a crash between any two steps of sealing, everything is there once,
// before and after the next process has sealed it again.
func TestCrashWhileSealing(t *testing.T) {
	for _, at := range []crashAt{
		{"wrote latencies", 1},
		{"wrote assignments", 1},
		{"sealed a day", 1},
		{"wrote latencies", 2},
		{"wrote assignments", 2},
		{"sealed a day", 2},
		{"sealed a day", 3},
		{"marked as sealed", 1},
		{"truncated the log", 1},
	} {
		t.Run(fmt.Sprint(at.name, at.left), func(t *testing.T) {
			dir := t.TempDir()
			all := randomBeacons(11, 120) // on two days
			s := openTest(t, dir, Config{SealRows: 1 << 20}, &testHooks{step: at.step})
			for i := 0; i < 90; i += 30 {
				mustAppend(t, s, 30, all[i:i+30]...)
			}
			crashes := untilCrash(func() { _ = s.sealAll() })
			if want := at.left < 3; crashes != want && at.name != "sealed a day" {
				t.Fatalf("crashed: %v", crashes)
			}
			mustAppend(t, s, 10, all[90:100]...) // more than was being sealed
			s.crash()
			for id, copies := range readAll(t, dir) {
				if len(copies) != 1 {
					t.Fatalf("after the crash %s is there %d times", id, len(copies))
				}
			}

			s = openTest(t, dir, Config{}, nil)
			checkStored(t, dir, all[:100]) // Open has sealed it all
			mustAppend(t, s, 0, all[:100]...)
			mustAppend(t, s, 20, all[100:]...)
			mustClose(t, s)
			checkStored(t, dir, all)
			leftovers(t, dir)
		})
	}
}

// leftovers fails if there is any file that no live segment has.
func leftovers(t *testing.T, dir string) {
	t.Helper()
	segments, err := List(dir)
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, s := range segments {
		want = append(want, s.Beacons(), s.Assignments(), s.Latencies())
	}
	got, err := filepath.Glob(filepath.Join(dir, "segments", "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("files:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// tornLog returns a directory whose log holds three commits, and the offsets of
// the last one in the log's file.
func tornLog(t *testing.T, dir string, all []*edge.Beacon) (file string, intact []byte, start, end int) {
	t.Helper()
	s := openTest(t, dir, Config{SealRows: 1 << 20}, &testHooks{logFile: 64 << 10})
	mustAppend(t, s, 1, all[0])
	mustAppend(t, s, 1, all[1])
	files, err := filepath.Glob(filepath.Join(walDir(dir), "*.wal"))
	if err != nil || len(files) != 1 {
		t.Fatalf("log files %v, %v", files, err)
	}
	file = files[0]
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	mustAppend(t, s, 1, all[2])
	s.crash()
	if intact, err = os.ReadFile(file); err != nil {
		t.Fatal(err)
	}
	for start = 0; before[start] == intact[start]; start++ {
	}
	end = len(bytes.TrimRight(intact, "\x00"))
	return file, intact, start, end
}

// Whatever happens to the last commit's bytes, the entries before survive, the
// log opens and goes on.
func TestTornTail(t *testing.T) {
	dir := t.TempDir()
	b := &edge.Beacon{V: 1, ID: "third", Received: testDay.Time()}
	file, intact, start, end := tornLog(t, dir, append(randomBeacons(12, 2), b))
	meta := filepath.Join(filepath.Dir(file), "wal-meta.db")
	metaIntact, err := os.ReadFile(meta)
	if err != nil {
		t.Fatal(err)
	}
	restore := func(log []byte) {
		for path, data := range map[string][]byte{file: log, meta: metaIntact} {
			if err := os.WriteFile(path, data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	f := func(name string, at int, log []byte, want, or uint64) {
		t.Helper()
		restore(log)
		// The second time with what was appended over the torn end.
		for range 2 {
			w, err := openLog(walDir(dir), 64<<10, quiet())
			if err != nil {
				t.Fatal(err)
			}
			first, last, err := w.bounds()
			records := uint64(0)
			for i := first; i <= last && err == nil; i++ {
				err = w.read(i, func(record string) error {
					records++
					return decodeRecord(&edge.Beacon{}, record)
				})
			}
			if err != nil || first != 1 || last != want && last != or || records != last {
				t.Fatalf("%s at byte %d of %d to %d: entries %d to %d, %d records (want %d), %v", name, at, start, end, first, last, records, want, err)
			}
			record := appendRecord(nil, b)
			entry := append(binary.AppendUvarint(newEntry(nil), uint64(len(record))), record...)
			want, or = last+1, last+1
			if err := errors.Join(w.append(want, entry), w.close()); err != nil {
				t.Fatal(err)
			}
		}
	}
	f("intact", 0, intact, 3, 3)
	step := 1
	if testing.Short() {
		step = 11
	}
	for at := start; at < end; at += step {
		torn := slices.Clone(intact)
		clear(torn[at:])
		f("zero from", at, torn, 2, 2)
		f("cut off", at, intact[:at], 2, 2)
		garbled := slices.Clone(intact)
		garbled[at] ^= 0x55
		f("garbled", at, garbled, 2, 3) // a few bytes are padding
	}

	// The store itself: what is left is there, and can be sent again.
	restore(intact[:(start+end)/2])
	s := openTest(t, dir, Config{}, nil)
	mustAppend(t, s, 1, append(randomBeacons(12, 2), b)...)
	mustClose(t, s)
	checkStored(t, dir, append(randomBeacons(12, 2), b))
}

// Damage further back is not silently dropped: those beacons were acknowledged.
func TestDamagedLog(t *testing.T) {
	dir := t.TempDir()
	all := randomBeacons(13, 3)
	file, log, start, _ := tornLog(t, dir, all)
	log[start-40] ^= 1 // within the second record
	if err := os.WriteFile(file, log, 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := Open(Config{Dir: dir}, quiet(), prometheus.NewRegistry())
	want := fmt.Sprintf("store: entry 2 of %[1]s/wal: store: malformed record in the write-ahead log: wrong checksum (the beacons in this log were acknowledged; move %[1]s/wal away to start without them)", dir)
	if err == nil || err.Error() != want {
		t.Fatalf("%v\nwant %s", err, want)
	}
	// As told: numbers then go on above those of the segments.
	if err := os.Rename(walDir(dir), filepath.Join(dir, "damaged")); err != nil {
		t.Fatal(err)
	}
	s := openTest(t, dir, Config{}, nil)
	mustAppend(t, s, 3, all...)
	mustClose(t, s)
	checkStored(t, dir, all)
	if err := os.RemoveAll(walDir(dir)); err != nil {
		t.Fatal(err)
	}
	more := randomBeacons(14, 3)
	s = openTest(t, dir, Config{}, nil)
	mustAppend(t, s, 3, more...)
	mustClose(t, s)
	checkStored(t, dir, append(all, more...))
}

// The log changes files while it is being truncated at every size of file.
func TestLogFilesChange(t *testing.T) {
	dir := t.TempDir()
	var all []*edge.Beacon
	for round := range 4 {
		s := openTest(t, dir, Config{SealRows: 12}, &testHooks{logFile: 4<<10 + round*777})
		more := randomBeacons(uint64(20+round), 48)
		for i := 0; i < len(more); i += 2 {
			mustAppend(t, s, 2, more[i:i+2]...)
		}
		if round%2 == 0 {
			mustClose(t, s)
		} else {
			s.crash()
		}
		all = append(all, more...)
	}
	mustClose(t, openTest(t, dir, Config{}, nil))
	checkStored(t, dir, all)
}

// A process may die after it has filled a file of the log and before the next
// one is made.
func TestCrashWithFullLogFile(t *testing.T) {
	dir := t.TempDir()
	if err := makeDir(walDir(dir)); err != nil {
		t.Fatal(err)
	}
	all := randomBeacons(71, 300)
	died := false
	for i := 0; i < len(all)-10 && !died; i++ {
		w, err := openLog(walDir(dir), 2<<10, quiet())
		if err != nil {
			t.Fatal(err)
		}
		_, last, err := w.bounds()
		if err != nil {
			t.Fatal(err)
		}
		record := appendRecord(nil, all[i])
		// What StoreLog does until the file is full; Close keeps the next file from
		// being made, as death does.
		err = errors.Join(w.append(last+1, append(binary.AppendUvarint(newEntry(nil), uint64(len(record))), record...)), w.close())
		died = errors.Is(err, raftwal.ErrSealed)
		if err != nil && !died {
			t.Fatal(err)
		}
	}
	if !died {
		t.Fatal("the library always went on by itself: this test tries nothing any more")
	}
	s := openTest(t, dir, Config{}, nil)
	stored := len(readAll(t, dir))
	if stored == 0 {
		t.Fatal("nothing was sealed")
	}
	mustAppend(t, s, len(all)-stored, all...)
	mustClose(t, s)
	checkStored(t, dir, all)
}
