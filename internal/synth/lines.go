package synth

import (
	"io"
	"sync"
)

// Lines is a Sink that writes NDJSON, each record with one Write.
type Lines struct {
	mu sync.Mutex
	w  io.Writer
}

// NewLines returns a sink that writes to w.
func NewLines(w io.Writer) *Lines { return &Lines{w: w} }

// Append writes a line.
func (l *Lines) Append(line []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, err := l.w.Write(append(line[:len(line):len(line)], '\n'))
	return err
}
