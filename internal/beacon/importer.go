package beacon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"time"

	"catchment/internal/edge"
	"catchment/internal/store"
)

// Importer stores files of relayed beacons: NDJSON, plain or gzip.
type Importer struct {
	Names       *Names
	Places      Places
	ContinentOf func(country string) (string, bool) // fills in what a place lacks; may be nil
	Sink        Sink
	Keep        Prefixes // zero: the defaults
	Checkpoints string   // directory that remembers how far each file is; empty: nothing is remembered
	// Refused is told of each refused line, in order; the error is an *Error.
	Refused func(line int, err error)
}

// Imported counts what became of the lines of a file.
type Imported struct {
	Earlier    int // done by a run before this one
	Accepted   int
	Duplicates int // known already
	Refused    int // by the earlier run too
}

// Add adds up two files.
func (i *Imported) Add(j Imported) {
	i.Earlier += j.Earlier
	i.Accepted += j.Accepted
	i.Duplicates += j.Duplicates
	i.Refused += j.Refused
}

// File imports what open reads, whose name is for people. A file that an
// earlier run stopped in is continued, provided that what was read then is
// still the same; one that was finished is not imported again, unless lines of
// it were refused: what is known by then is dropped as a duplicate. Open may be
// called several times.
//
// Refused lines do not stop it. When it returns an error, all that is counted
// is stored, and another run goes on from there.
func (im *Importer) File(ctx context.Context, name string, open func() (io.ReadCloser, error)) (Imported, error) {
	keep, err := im.Keep.withDefaults()
	if err != nil {
		return Imported{}, err
	}
	file, err := im.resume(name, open)
	if err != nil {
		return Imported{}, fmt.Errorf("beacon: import %s: %w", name, err)
	}
	defer file.Close()
	n, err := im.run(ctx, file, keep)
	if err != nil {
		err = fmt.Errorf("beacon: import %s: %w", name, err)
	}
	return n, err
}

// run reads chunks in one goroutine, decodes and stores them in some, and
// adds up in this one, in the order of the file.
func (im *Importer) run(ctx context.Context, file *resumed, keep Prefixes) (Imported, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// Two for each core: one waits for the disk while the other decodes.
	workers := 2 * runtime.GOMAXPROCS(0)
	var (
		chunks  = make(chan *chunk, workers)
		results = make(chan result, workers)
		running sync.WaitGroup
		readErr error // does not stop what was read before it
	)
	running.Go(func() {
		defer close(chunks)
		readErr = file.send(ctx, chunks)
	})
	for range workers {
		running.Go(func() {
			dec := Decoder{Names: im.Names}
			for c := range chunks {
				r, err := im.chunk(ctx, &dec, c, keep)
				if err != nil {
					cancel(err)
					return
				}
				results <- r
			}
		})
	}
	go func() {
		running.Wait()
		close(results)
	}()

	total := Imported{Earlier: file.done.Lines, Refused: file.done.Refused}
	waiting := map[int]result{} // came before their turn
	turn, saved := 0, time.Now()
	for r := range results {
		waiting[r.seq] = r
		for r, ok := waiting[turn]; ok; r, ok = waiting[turn] {
			delete(waiting, turn)
			turn++
			total.Add(r.Imported)
			for _, l := range r.refusals {
				if im.Refused != nil {
					im.Refused(l.Line, &l.Error)
				}
			}
			if r.mark != nil {
				file.done = *r.mark
				file.done.Refused = total.Refused
			}
		}
		const every = time.Second
		if time.Since(saved) > every {
			saved = time.Now()
			if err := im.save(file); err != nil {
				cancel(err)
			}
		}
	}
	// Chunks that are stored but came after one that is not are counted as
	// they are; the next run will drop them as duplicates.
	for _, r := range waiting {
		total.Add(r.Imported)
	}
	err := errors.Join(readErr, context.Cause(ctx))
	file.done.Finished = err == nil
	return total, errors.Join(err, im.save(file))
}

// result is what became of one chunk.
type result struct {
	Imported
	seq      int
	mark     *mark
	refusals []RefusedLine
}

// chunk decodes and stores the lines of one chunk.
func (im *Importer) chunk(ctx context.Context, dec *Decoder, c *chunk, keep Prefixes) (result, error) {
	r := result{seq: c.seq, mark: c.mark}
	reject := func(line int, err error) {
		var e *Error
		if errors.As(err, &e) {
			r.Refused++
			r.refusals = append(r.refusals, RefusedLine{line, *e})
		}
	}
	dec.Reset()
	number := c.first
	for line := range bytes.Lines(c.data) {
		switch {
		case len(c.long) > 0 && c.long[0] == number:
			c.long = c.long[1:]
			reject(number, &Error{Reason: ReasonLength, Detail: "a line has at most 64 KiB"})
		case blank(line):
		default:
			if err := dec.Line(line); err != nil {
				reject(number, err)
			}
		}
		number++
	}
	beacons := dec.Beacons()
	for _, b := range beacons {
		Derive(b)
		locate(b, im.Places, im.ContinentOf, keep)
	}
	stored, err := im.append(ctx, beacons)
	if err != nil {
		return r, err
	}
	r.Accepted, r.Duplicates = stored, len(beacons)-stored
	c.release()
	return r, nil
}

// append stores beacons. A store that is busy, which may have taken some of
// them, is waited for.
func (im *Importer) append(ctx context.Context, beacons []*edge.Beacon) (stored int, err error) {
	if len(beacons) == 0 {
		return 0, nil
	}
	for wait := 10 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		n, err := im.Sink.Append(ctx, beacons...)
		stored += n
		if !errors.Is(err, store.ErrBusy) {
			return stored, err
		}
		select {
		case <-ctx.Done():
			return stored, context.Cause(ctx)
		case <-time.After(wait):
		}
	}
}
