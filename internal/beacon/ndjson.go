package beacon

import (
	"bufio"
	"bytes"
	"errors"
	"io"

	"github.com/klauspost/compress/gzip"
)

// lineReader splits a stream into lines of at most MaxLine bytes without
// buffering more.
type lineReader struct{ r *bufio.Reader }

var errLongLine = errors.New("longer than 64 KiB")

func newLineReader(r io.Reader) *lineReader {
	return &lineReader{bufio.NewReaderSize(r, MaxLine+len("\r\n"))}
}

// next returns the next line without its line feed, valid until the next call.
// Size is how many bytes of the stream it took. The error is errLongLine for a
// line that was skipped, io.EOF at the end, or the reader's. A last line
// without a line feed is a line.
func (l *lineReader) next() (line []byte, size int, err error) {
	line, err = l.r.ReadSlice('\n')
	size = len(line)
	long := errors.Is(err, bufio.ErrBufferFull)
	for errors.Is(err, bufio.ErrBufferFull) {
		line, err = l.r.ReadSlice('\n')
		size += len(line)
	}
	switch {
	case err != nil && (err != io.EOF || size == 0):
		return nil, size, err
	case long:
		return nil, size, errLongLine
	}
	line = bytes.TrimSuffix(line, []byte("\n"))
	if len(line) > MaxLine {
		return nil, size, errLongLine
	}
	return line, size, nil
}

// blank reports whether a line has nothing but white space.
func blank(line []byte) bool { return len(bytes.TrimSpace(line)) == 0 }

// plain returns the content of r, which may be gzip, as its first two bytes
// tell (RFC 1952, section 2.3.1; JSON never starts so).
func plain(r io.Reader) (io.Reader, error) {
	b := bufio.NewReaderSize(r, 64<<10)
	magic, err := b.Peek(2)
	if err != nil && err != io.EOF {
		return nil, err
	}
	if !bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		return b, nil
	}
	return gzip.NewReader(b)
}
