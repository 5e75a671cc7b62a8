package beacon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"catchment/internal/edge"
	"catchment/internal/store"
)

func testImporter(t testing.TB, sink Sink) *Importer {
	return &Importer{
		Names: NewNames(testFleet()), Sink: sink, Checkpoints: filepath.Join(t.TempDir(), "import"),
		Places: places{netip.MustParsePrefix("203.0.113.7/32"): illinois},
	}
}

func openText(text string) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }
}

// relayLines returns lines first to last, not with it, with line feeds.
func relayLines(first, last int) string {
	var b strings.Builder
	for i := first; i < last; i++ {
		b.WriteString(relayLine(i))
		b.WriteByte('\n')
	}
	return b.String()
}

func TestImport(t *testing.T) {
	sink := &memory{}
	im := testImporter(t, sink)
	var refused []string
	im.Refused = func(line int, err error) { refused = append(refused, fmt.Sprintf("%d: %v", line, err)) }
	f := func(text string, want Imported, wantRefused ...string) {
		t.Helper()
		refused = nil
		got, err := im.File(t.Context(), "FILE", openText(text))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(wantRefused, refused); diff != "" {
			t.Error(diff)
		}
	}
	f("", Imported{})
	f("\n\n", Imported{})
	f(relayLine(0), Imported{Accepted: 1}) // no line feed at the end
	f(relayLine(0)+"\n"+relayLine(1)+"\r\n\n"+relayLine(2)+"\n"+relayLine(2)+"\n", Imported{Accepted: 2, Duplicates: 2})
	if b := sink.all()[0]; b.Client.String() != "203.0.113.0/24" || b.Place != illinois || b.Probes[0].RTT != 20 {
		t.Errorf("stored as %+v", b)
	}

	// Several chunks, with every kind of bad line, all named by number.
	lines := strings.SplitAfter(relayLines(10, 20_000), "\n")
	lines[7] = strings.Repeat("x", MaxLine+1) + "\n"
	lines[8] = `{"v":1,"id":"x","rate":2}` + "\n"
	lines[15_000] = strings.Replace(lines[15_000], `"received":"2026-11-01T12:00:00Z",`, "", 1)
	lines[19_989] = strings.Repeat("y", 3*MaxLine)
	f(strings.Join(lines, ""), Imported{Accepted: 19_986, Refused: 4},
		"8: a line has at most 64 KiB", "9: rate: want a share: more than 0, at most 1",
		"15001: received: is missing", "19990: a line has at most 64 KiB")

	f(string(zip(t, relayLines(30_000, 30_010)))+string(zip(t, relayLines(30_010, 30_020))), Imported{Accepted: 20})
}

// failing is a Sink that fails for the batch with one beacon, once the batch
// with another one is stored.
type failing struct {
	memory
	on     string // id of the one
	after  string // id of the other
	stored chan struct{}
	err    error
}

func (f *failing) Append(ctx context.Context, beacons ...*edge.Beacon) (int, error) {
	has := func(id string) bool {
		return slices.ContainsFunc(beacons, func(b *edge.Beacon) bool { return b.ID == id })
	}
	if has(f.on) {
		<-f.stored
		return 0, f.err
	}
	n, err := f.memory.Append(ctx, beacons...)
	if has(f.after) {
		close(f.stored)
	}
	return n, err
}

func TestImportResumes(t *testing.T) {
	const n = 13_000 // three chunks
	text := relayLines(0, n)
	sink := &failing{on: "b12999", after: "b0", stored: make(chan struct{}), err: store.ErrDisk}
	im := testImporter(t, sink)
	first, err := im.File(t.Context(), "FILE", openText(text))
	if !errors.Is(err, store.ErrDisk) || !strings.HasPrefix(err.Error(), "beacon: import FILE: ") {
		t.Fatalf("error %v", err)
	}
	if stored := len(sink.all()); first.Accepted != stored || stored == 0 || stored == n {
		t.Fatalf("%+v, but %d are stored", first, stored)
	}

	im.Sink = &sink.memory
	second, err := im.File(t.Context(), "FILE", openText(text))
	if err != nil {
		t.Fatal(err)
	}
	if second.Earlier == 0 || second.Earlier+second.Accepted+second.Duplicates != n || len(sink.all()) != n {
		t.Errorf("%+v then %+v, and %d are stored", first, second, len(sink.all()))
	}
	check := func(name, text string, want Imported) {
		t.Helper()
		got, err := im.File(t.Context(), name, openText(text))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	check("again", text, Imported{Earlier: n})
	check("renamed and packed", string(zip(t, text)), Imported{Earlier: n})
	check("grown", text+relayLines(n, n+5), Imported{Earlier: n, Accepted: 5})
	edited := strings.Replace(text, `"id":"b7"`, `"id":"c7"`, 1)
	check("edited", edited, Imported{Accepted: 1, Duplicates: n - 1})
	check("shorter", relayLines(0, 10), Imported{Duplicates: 10})
	im.Checkpoints = ""
	check("without checkpoints", relayLines(0, 10), Imported{Duplicates: 10})
}

// TestImportRefusedAgain: what was refused may be accepted by another fleet.
func TestImportRefusedAgain(t *testing.T) {
	sink := &memory{}
	im := testImporter(t, sink)
	text := relayLines(0, 3) + strings.Replace(relayLines(3, 4), `"pop":"iad"`, `"pop":"ams"`, 1)
	f := func(want Imported) {
		t.Helper()
		got, err := im.File(t.Context(), "FILE", openText(text))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
	f(Imported{Accepted: 3, Refused: 1})
	f(Imported{Duplicates: 3, Refused: 1})
	fleet := testFleet()
	fleet.PoPs = append(fleet.PoPs, edge.PoP{ID: "ams"})
	im.Names = NewNames(fleet)
	f(Imported{Accepted: 1, Duplicates: 3})
	f(Imported{Earlier: 4})
}

// TestImportBusy waits for a store that cannot keep up.
func TestImportBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &busy{}
		got, err := testImporter(t, sink).File(t.Context(), "FILE", openText(relayLines(0, 10)))
		if err != nil || got != (Imported{Accepted: 10}) || sink.calls.Load() != 6 {
			t.Errorf("%+v %v after %d calls", got, err, sink.calls.Load())
		}
	})
}

// busy takes two beacons at a time and is then busy.
type busy struct {
	memory
	calls atomic.Int64
}

func (b *busy) Append(ctx context.Context, beacons ...*edge.Beacon) (stored int, err error) {
	b.calls.Add(1)
	for _, one := range beacons {
		n, err := b.memory.Append(ctx, one)
		if err != nil {
			return stored, err
		}
		if stored += n; stored == 2 {
			return stored, store.ErrBusy
		}
	}
	return stored, nil
}

func TestImportBroken(t *testing.T) {
	sink := &memory{}
	im := testImporter(t, sink)
	whole := zip(t, relayLines(0, 100))
	got, err := im.File(t.Context(), "FILE", openText(string(whole[:len(whole)-9])))
	if !errors.Is(err, io.ErrUnexpectedEOF) || got.Accepted != 100 {
		t.Errorf("%+v %v", got, err)
	}
	if _, err := im.File(t.Context(), "FILE", func() (io.ReadCloser, error) { return nil, os.ErrNotExist }); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := im.File(ctx, "FILE", openText(relayLines(0, 100))); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestLineReader(t *testing.T) {
	f := func(text string, want ...string) {
		t.Helper()
		r := newLineReader(strings.NewReader(text))
		var got []string
		total := 0
		for {
			line, size, err := r.next()
			if err == io.EOF {
				break
			}
			total += size
			if errors.Is(err, errLongLine) {
				line = []byte("(long)")
			} else if err != nil {
				t.Fatal(err)
			}
			got = append(got, string(line))
		}
		if diff := cmp.Diff(want, got); diff != "" || total != len(text) {
			t.Errorf("%d of %d bytes, %s", total, len(text), diff)
		}
	}
	x := strings.Repeat("x", MaxLine)
	f("")
	f("a", "a")
	f("a\n\nb\r\n", "a", "", "b\r")
	f(x, x)
	f(x+"\n"+x+"\n", x, x)
	f(x+"x", "(long)")
	f(x+"x\na", "(long)", "a")
	f(x+"xx\na", "(long)", "a")
	f(x+"xxx\na", "(long)", "a")
	f(x+x+x+"\na\n"+x+x, "(long)", "a", "(long)")
}

// FuzzLines reads lines in any way that a file may be cut.
func FuzzLines(f *testing.F) {
	f.Add([]byte(typicalRelay + "\n\n{"))
	f.Add([]byte{0x1f, 0x8b})
	f.Fuzz(func(t *testing.T, in []byte) {
		r, err := plain(bytes.NewReader(in))
		if err != nil {
			return
		}
		c := newChunker(io.LimitReader(r, 1<<20))
		for {
			chunk, err := c.next()
			if chunk != nil && bytes.Count(chunk.data, []byte("\n")) != c.number-chunk.first+1 {
				t.Fatal("lines are lost")
			}
			if err != nil {
				return
			}
		}
	})
}

// BenchmarkImport is what a file costs until it is handed to the store.
func BenchmarkImport(b *testing.B) {
	var text strings.Builder
	for i := range 50_000 {
		line := strings.Replace(typical, "9f86d081884c7d659a2feaa0c55ad015", fmt.Sprintf("b%d", i), 1)
		text.WriteString(strings.TrimSuffix(line, "}") + `,"client":"203.0.113.7","received":"2026-11-01T12:00:00Z"}` + "\n")
	}
	im := testImporter(b, nothing{})
	im.Checkpoints = ""
	b.SetBytes(int64(text.Len()))
	b.ReportAllocs()
	for b.Loop() {
		n, err := im.File(b.Context(), "FILE", openText(text.String()))
		if err != nil || n.Accepted != 50_000 {
			b.Fatal(n, err)
		}
	}
	b.ReportMetric(float64(b.N)*50_000/b.Elapsed().Seconds(), "beacons/s")
}

// nothing is a Sink that takes no time.
type nothing struct{}

func (nothing) Append(_ context.Context, beacons ...*edge.Beacon) (int, error) {
	return len(beacons), nil
}
