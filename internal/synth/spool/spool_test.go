package spool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

var quiet = slog.New(slog.DiscardHandler)

func open(t *testing.T, dir string, size int64) *Spool {
	t.Helper()
	s, err := Open(Config{Dir: dir, MaxBytes: size}, quiet, prometheus.NewPedanticRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func add(t *testing.T, s *Spool, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		if err := s.Append(record(i)); err != nil {
			t.Fatal(err)
		}
	}
}

// record is a record of 10 to 109 bytes that begins with its number.
func record(i int) []byte {
	return fmt.Appendf(nil, "%09d %s", i, strings.Repeat("x", i%100))
}

// take reads and passes everything, and returns the numbers.
func take(t *testing.T, s *Spool, count int) (got []int) {
	t.Helper()
	for {
		records, end, err := s.Read(count, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		if len(records) == 0 {
			return got
		}
		for _, r := range records {
			i, err := strconv.Atoi(string(r[:9]))
			if err != nil || !bytes.Equal(r, record(i)) {
				t.Fatalf("not what was written: %q", r)
			}
			got = append(got, i)
		}
		if err := s.Pass(end); err != nil {
			t.Fatal(err)
		}
	}
}

func numbers(from, to int) (n []int) {
	for i := from; i < to; i++ {
		n = append(n, i)
	}
	return n
}

func TestQueue(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, 1<<20) // segments of 64 KiB
	add(t, s, 0, 5000)
	first, end, err := s.Read(10, 1<<20)
	if err != nil || len(first) != 10 {
		t.Fatal(len(first), err)
	}
	if again, _, _ := s.Read(10, 1<<20); !cmp.Equal(first, again) {
		t.Error("what was not passed is not read again")
	}
	if few, _, _ := s.Read(10, 25); len(few) != 2 { // 10 and 11 bytes
		t.Errorf("%d records within 25 bytes", len(few))
	}
	if one, _, _ := s.Read(10, 1); len(one) != 1 {
		t.Errorf("%d records within 1 byte", len(one))
	}
	if err := s.Pass(end); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Append(record(0)); err == nil {
		t.Error("appended to a closed spool")
	}

	s = open(t, dir, 1<<20)
	add(t, s, 5000, 6000)
	if d := cmp.Diff(numbers(10, 6000), take(t, s, 77)); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	s.Close()
	s = open(t, dir, 1<<20)
	if got := take(t, s, 10); got != nil {
		t.Errorf("passed records came again: %v", got)
	}
	if left := files(t, dir); len(left) != 0 {
		t.Errorf("files left: %v", left)
	}
	add(t, s, 6000, 6001) // must not be taken for one that was passed
	if got := take(t, s, 10); !slices.Equal(got, []int{6000}) {
		t.Errorf("got %v", got)
	}
}

func files(t *testing.T, dir string) []string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(dir, "*"+suffix))
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(list)
	return list
}

func TestBound(t *testing.T) {
	const most = 64 << 10
	dir := t.TempDir()
	s := open(t, dir, most)
	add(t, s, 0, 100)
	if records, end, err := s.Read(50, 1<<20); err != nil || len(records) != 50 {
		t.Fatal(len(records), err)
	} else if err := s.Pass(end); err != nil {
		t.Fatal(err)
	}
	add(t, s, 100, 5000)
	var size int64
	for _, f := range files(t, dir) {
		info, err := os.Stat(f)
		if err != nil {
			t.Fatal(err)
		}
		size += info.Size()
	}
	if size > most || size < most*3/4 || size != s.bytes {
		t.Errorf("%d bytes on disk, %d counted, at most %d are allowed", size, s.bytes, most)
	}
	got := take(t, s, 1000)
	if !slices.Equal(got, numbers(got[0], 5000)) {
		t.Error("not the newest records without a gap")
	}
	// Those that were shipped before they were deleted are not lost.
	if n := testutil.ToFloat64(s.metrics.dropped); int(n) != got[0]-50 {
		t.Errorf("%v counted as dropped, the first left is %d, 50 were passed", n, got[0])
	}
}

// However a segment is cut off or damaged, what is whole before it is read, and
// what comes later, too.
func TestTorn(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, 1<<20)
	add(t, s, 0, 30)
	s.Close()
	path := files(t, dir)[0]
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var ends []int // of records
	for i, at := 0, 0; i < 30; i++ {
		at += frameHead + len(record(i))
		ends = append(ends, at)
	}
	check := func(name string, data []byte, want int) {
		t.Helper()
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(path)), data, 0o600); err != nil {
			t.Fatal(err)
		}
		s := open(t, dir, 1<<20)
		defer s.Close()
		add(t, s, 100, 103)
		if got := take(t, s, 7); !slices.Equal(got, append(numbers(0, want), 100, 101, 102)) {
			t.Errorf("%s: got %v, want the first %d and the new ones", name, got, want)
		}
	}
	for cut := 0; cut <= len(whole); cut += 61 {
		n := 0
		for n < len(ends) && ends[n] <= cut {
			n++
		}
		check(fmt.Sprintf("cut at %d", cut), whole[:cut], n)
		check(fmt.Sprintf("zeros from %d", cut), append(slices.Clone(whole[:cut]), make([]byte, 100)...), n)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		at := r.IntN(len(whole))
		data := slices.Clone(whole)
		data[at] ^= 1 << r.IntN(8)
		n := 0
		for n < len(ends) && ends[n] <= at {
			n++
		}
		check(fmt.Sprintf("bit at %d", at), data, n)
	}
}

// A cursor that is torn means that records come twice, not never; one ahead of
// a segment that a power failure cut short passes over nothing that is new.
func TestCursor(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, 1<<20)
	add(t, s, 0, 10)
	_, end, err := s.Read(10, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	add(t, s, 10, 20)
	if err := s.Pass(end); err != nil {
		t.Fatal(err)
	}
	s.Close()

	good, err := os.ReadFile(filepath.Join(dir, cursorName))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, cursorName), good[:11], 0o600); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, 1<<20)
	if got, _, _ := s.Read(100, 1<<20); len(got) != 20 {
		t.Errorf("%d records after the cursor was torn, want all 20", len(got))
	}
	s.Close()

	if err := os.WriteFile(filepath.Join(dir, cursorName), good, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(files(t, dir)[0], 50); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, 1<<20)
	add(t, s, 20, 22)
	if got := take(t, s, 10); !slices.Equal(got, []int{20, 21}) {
		t.Errorf("got %v", got)
	}
}

func TestLock(t *testing.T) {
	dir := t.TempDir()
	open(t, dir, 1<<20)
	if _, err := Open(Config{Dir: dir}, quiet, nil); err == nil || !strings.Contains(err.Error(), "in use by another process") {
		t.Errorf("opened twice: %v", err)
	}
}

func TestRefusedRecords(t *testing.T) {
	s := open(t, t.TempDir(), 1<<20)
	for _, size := range []int{0, MaxRecord + 1} {
		if err := s.Append(make([]byte, size)); err == nil {
			t.Errorf("took a record of %d bytes", size)
		}
	}
	if err := s.Append(make([]byte, MaxRecord)); err != nil {
		t.Error(err)
	}
}

// A full disk (here: a limit on the size of the file) loses the record at hand,
// and no other.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, 1<<20)
	add(t, s, 0, 3)
	s.out.Close() // as if writing failed from now on
	if err := s.Append(record(3)); err == nil {
		t.Error("no error")
	}
	add(t, s, 4, 6)
	if got := take(t, s, 10); !slices.Equal(got, []int{0, 1, 2, 4, 5}) {
		t.Errorf("got %v", got)
	}
}

// killed runs in a process of its own: it appends and says so, until killed.
func TestKilled(t *testing.T) {
	if dir := os.Getenv("SPOOL_DIR"); dir != "" {
		s, err := Open(Config{Dir: dir, MaxBytes: 1 << 20}, quiet, nil)
		if err != nil {
			t.Fatal(err)
		}
		from, _ := strconv.Atoi(os.Getenv("SPOOL_FROM"))
		for i := from; ; i++ {
			if err := s.Append(record(i)); err != nil {
				t.Fatal(err)
			}
			fmt.Println("appended", i)
		}
	}
	dir := t.TempDir()
	next := 0
	for range 3 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestKilled$")
		cmd.Env = append(os.Environ(), "SPOOL_DIR="+dir, "SPOOL_FROM="+strconv.Itoa(next))
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		said := 0
		for said < next+200 {
			if _, err := fmt.Fscanf(out, "appended %d\n", &said); err != nil {
				t.Fatal(err)
			}
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		var exit *exec.ExitError
		if err := cmd.Wait(); !errors.As(err, &exit) {
			t.Fatal(err)
		}
		s := open(t, dir, 1<<20)
		got, _, err := s.Read(1<<20, 1<<30)
		if err != nil || len(got) < said+1 {
			t.Fatalf("%d records after the kill, %d were said to be there: %v", len(got), said+1, err)
		}
		for i, r := range got {
			if !bytes.Equal(r, record(i)) {
				t.Fatalf("record %d is %q", i, r)
			}
		}
		next = len(got)
		s.Close()
	}
}

func TestRun(t *testing.T) {
	s := open(t, t.TempDir(), 1<<20)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.Run(ctx) }()
	wait, stop := context.WithTimeout(t.Context(), 10*time.Second)
	defer stop()
	s.Wait(wait) // for what was there at the start
	add(t, s, 0, 1)
	s.Wait(wait)
	if wait.Err() != nil {
		t.Error("not woken by a record")
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func FuzzFrames(f *testing.F) {
	f.Add(appendFrame(appendFrame(nil, []byte("a")), []byte("bc")))
	f.Add([]byte{1, 0, 0, 0, 0, 0, 0, 0, 'a'})
	f.Add([]byte{255, 255, 255, 255, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		var again []byte
		readFrames(bytes.NewReader(data), 0, func(r []byte, end int64) bool {
			again = appendFrame(again, r)
			if end != int64(len(again)) {
				t.Fatalf("end %d after %d bytes", end, len(again))
			}
			return true
		})
		if !bytes.HasPrefix(data, again) {
			t.Fatal("frames that are not in the input")
		}
	})
}
