package beacon

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"sync"
)

// chunkSize is about how many bytes of a file become durable together: some
// 1500 beacons, so that the wait for the disk is shared by many.
const chunkSize = 1 << 20

// chunk is a run of whole lines.
type chunk struct {
	seq   int
	first int    // number of the first line, from 1
	data  []byte // lines with their line feeds; too long ones are empty
	long  []int  // numbers of the lines that were too long, ascending
	mark  *mark  // where the chunk ends; nil: within a line, at the end of the file
}

// mark is a place in a file: how much is in front of it, and what.
type mark struct {
	Bytes    int64  `json:"bytes"` // once unpacked
	Lines    int    `json:"lines"`
	SHA256   string `json:"sha256"`  // of these lines
	Refused  int    `json:"refused"` // of these lines
	Finished bool   `json:"finished"`
}

var chunkMemory = sync.Pool{New: func() any { return &chunk{data: make([]byte, 0, chunkSize+MaxLine+1)} }}

func (c *chunk) release() { chunkMemory.Put(c) }

// chunker splits a file into chunks.
type chunker struct {
	lines  *lineReader
	hash   hash.Hash // of the lines read so far
	bytes  int64     // read so far
	number int       // lines read so far
}

func newChunker(r io.Reader) *chunker { return &chunker{lines: newLineReader(r), hash: sha256.New()} }

// next returns the next chunk, nil if there is none, and the error that ended
// the file, io.EOF at its end.
func (f *chunker) next() (*chunk, error) {
	c := chunkMemory.Get().(*chunk)
	*c = chunk{data: c.data[:0], first: f.number + 1}
	var (
		err        error
		terminated bool
	)
	for err == nil && len(c.data) < chunkSize {
		var line []byte
		var size int
		line, size, err = f.lines.next()
		if errors.Is(err, errLongLine) {
			c.long = append(c.long, f.number+1)
			err = nil
		}
		if err == nil {
			f.number++
			f.bytes += int64(size)
			terminated = size > len(line)
			c.data = append(append(c.data, line...), '\n')
		}
	}
	f.hash.Write(c.data)
	if f.number < c.first {
		c.release()
		return nil, err
	}
	if terminated {
		c.mark = &mark{Bytes: f.bytes, Lines: f.number, SHA256: f.sum()}
	}
	return c, err
}

func (f *chunker) sum() string { return hex.EncodeToString(f.hash.Sum(nil)) }

// skip reads the lines in front of a mark and reports whether they are those
// that the mark was made of.
func (f *chunker) skip(m mark) bool {
	for f.bytes < m.Bytes {
		line, size, err := f.lines.next()
		if err != nil && !errors.Is(err, errLongLine) {
			return false
		}
		f.number++
		f.bytes += int64(size)
		f.hash.Write(line)
		f.hash.Write([]byte{'\n'})
	}
	return f.bytes == m.Bytes && f.sum() == m.SHA256
}
