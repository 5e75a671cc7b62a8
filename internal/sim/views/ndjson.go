package views

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"sync"

	"catchment/internal/edge"
)

// chunkViews is how many views one worker makes at a time: with some 1.5 kB
// each, 3 MB of text.
const chunkViews = 2048

// Packer returns a function that packs one chunk of text on its own, such as
// into a member of a gzip file, appending to dst. It is called once for each
// worker.
type Packer func() func(dst, text []byte) ([]byte, error)

// WriteNDJSON writes views from up to (not including) until as NDJSON, in
// their order, one object a line. They are made on all processors; what is
// written does not depend on how many there are. Pack may be nil; chunks are
// cut at multiples of 2,048 views after from. Done, unless nil, is told how
// many more views have been written. The error is ctx's, pack's or w's.
func (g *Generator) WriteNDJSON(ctx context.Context, w io.Writer, from, until int, pack Packer, done func(views int)) error {
	from, until = max(0, from), min(until, g.Views())
	chunks := (max(0, until-from) + chunkViews - 1) / chunkViews
	workers := min(runtime.GOMAXPROCS(0), chunks)
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()

	// Worker k makes chunks k, k+workers, …; the writer takes one from each in
	// turn. A worker has two buffers, so that it goes on while one is written.
	type made struct {
		text []byte
		err  error
	}
	out := make([]chan made, workers)
	free := make([]chan []byte, workers)
	for k := range workers {
		out[k], free[k] = make(chan made), make(chan []byte, 2)
		free[k] <- nil
		free[k] <- nil
		running.Go(func() {
			c := chunker{fill: g.Filler()}
			if pack != nil {
				c.pack = pack()
			}
			for n := k; n < chunks; n += workers {
				var buf []byte
				select {
				case buf = <-free[k]:
				case <-ctx.Done():
					return
				}
				first := from + n*chunkViews
				text, err := c.chunk(buf[:0], first, min(first+chunkViews, until))
				select {
				case out[k] <- made{text, err}:
				case <-ctx.Done():
					return
				}
			}
		})
	}
	for n := range chunks {
		select {
		case m := <-out[n%workers]:
			if m.err != nil {
				return fmt.Errorf("views: %w", m.err)
			}
			if _, err := w.Write(m.text); err != nil {
				return fmt.Errorf("views: %w", err)
			}
			free[n%workers] <- m.text
		case <-ctx.Done():
			return ctx.Err()
		}
		if done != nil {
			done(min(chunkViews, until-from-n*chunkViews))
		}
	}
	return nil
}

// chunker is one worker of WriteNDJSON.
type chunker struct {
	fill   *Filler
	beacon edge.Beacon
	text   []byte
	pack   func(dst, text []byte) ([]byte, error)
}

// chunk appends views first up to until to dst.
func (c *chunker) chunk(dst []byte, first, until int) ([]byte, error) {
	text := dst
	if c.pack != nil {
		text = c.text[:0]
	}
	for i := first; i < until; i++ {
		c.fill.Fill(&c.beacon, i)
		text = append(c.beacon.AppendJSON(text), '\n')
	}
	if c.pack == nil {
		return text, nil
	}
	c.text = text
	return c.pack(dst, text)
}
