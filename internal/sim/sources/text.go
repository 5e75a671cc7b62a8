package sources

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"path"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// file is a file being read: its text, whatever it is packed in, and the sum of
// the file as it is.
type file struct {
	name string
	kind string
	raw  *bufio.Reader
	sum  hash.Hash

	problems Problems
}

// open looks whether r is packed by gzip or bzip2, and returns its text.
func (s *Set) open(kind, name string, r io.Reader) (*file, io.Reader, error) {
	f := &file{name: name, kind: kind, sum: sha256.New()}
	f.raw = bufio.NewReaderSize(io.TeeReader(r, f.sum), 1<<16)
	head, err := f.raw.Peek(3)
	if err != nil && !errors.Is(err, io.EOF) {
		return f, nil, f.broken(0, err)
	}
	var text io.Reader = f.raw
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		if text, err = gzip.NewReader(f.raw); err != nil {
			return f, nil, f.broken(0, err)
		}
	case string(head) == "BZh":
		text = bzip2.NewReader(f.raw)
	}
	return f, &limited{text, maxText}, nil
}

// done notes that a file was read to its end, or returns its problems.
func (s *Set) done(f *file) error {
	if len(f.problems) > 0 {
		return f.problems
	}
	if _, err := io.Copy(io.Discard, f.raw); err != nil { // for the sum: what follows the text
		return f.broken(0, err)
	}
	s.source(f.kind, f.name, f.sum.Sum(nil))
	return nil
}

// source notes where the set is from. The directory is nobody's business.
func (s *Set) source(kind, name string, sum []byte) {
	s.sources = append(s.sources, fmt.Sprintf("%s (%s), sha256 %x", tidy(path.Base(name)), kind, sum))
}

// problem keeps one of the first problems, and returns whether to stop.
func (f *file) problem(line int, format string, args ...any) (stop bool) {
	f.problems = append(f.problems, Problem{File: f.name, Line: line, Msg: fmt.Sprintf(format, args...)})
	return len(f.problems) >= maxProblems
}

// broken returns the problems, the last of them that reading failed.
func (f *file) broken(line int, err error) error {
	msg := strings.TrimPrefix(err.Error(), "bzip2 data invalid: ")
	if errors.Is(err, io.ErrUnexpectedEOF) {
		msg = "the file is cut off"
	}
	f.problem(line, "%s", msg)
	return f.problems
}

var errTooLong = fmt.Errorf("more than %d bytes of text", int64(maxText))

// limited fails after so many bytes: packed files may hold anything.
type limited struct {
	r    io.Reader
	left int64
}

func (l *limited) Read(p []byte) (int, error) {
	n, err := l.r.Read(p)
	if l.left -= int64(n); l.left < 0 {
		return 0, errTooLong
	}
	return n, err
}

// lines calls each for every line of a text, without its end, until it returns
// true. Empty lines and those that start with comment (0: none do) are left
// out. The bytes are good until each returns.
func (f *file) lines(text io.Reader, comment byte, each func(line int, b []byte) (stop bool)) error {
	in := bufio.NewReaderSize(text, maxLine)
	for line := 1; ; line++ {
		b, err := in.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			return f.broken(line, fmt.Errorf("the line is longer than %d bytes", maxLine))
		case err != nil && !errors.Is(err, io.EOF):
			return f.broken(line, err)
		case line > maxLines:
			return f.broken(line, fmt.Errorf("more than %d lines", maxLines))
		}
		if line == 1 {
			b = bytes.TrimPrefix(b, []byte("\ufeff"))
		}
		b = bytes.TrimRight(b, "\r\n")
		if len(b) > 0 && (comment == 0 || b[0] != comment) && each(line, b) {
			return nil
		}
		if err != nil {
			return nil
		}
	}
}

// fields splits a line of CSV (RFC 4180, without line ends in fields) into
// into, which is returned. It allocates only for fields with quotes in them.
func fields(into [][]byte, b []byte) ([][]byte, error) {
	into = into[:0]
	for {
		if len(b) > 0 && b[0] == '"' {
			b = b[1:]
			var field []byte
			for {
				i := bytes.IndexByte(b, '"')
				if i < 0 {
					return into, errors.New("a quoted field does not end")
				}
				if i+1 < len(b) && b[i+1] == '"' { // a doubled quote is one
					field = append(field, b[:i+1]...)
					b = b[i+2:]
					continue
				}
				if field == nil {
					field = b[:i]
				} else {
					field = append(field, b[:i]...)
				}
				b = b[i+1:]
				break
			}
			into = append(into, field)
			if len(b) == 0 {
				return into, nil
			}
			if b[0] != ',' {
				return into, fmt.Errorf("%s follows a quoted field (want a comma)", quote(b))
			}
			b = b[1:]
			continue
		}
		i := bytes.IndexByte(b, ',')
		if i < 0 {
			return append(into, bytes.TrimSpace(b)), nil
		}
		into = append(into, bytes.TrimSpace(b[:i]))
		b = b[i+1:]
	}
}

// quote shows a field in an error, shortened.
func quote(b []byte) string {
	const most = 40
	s := string(b[:min(len(b), most+1)])
	if len(s) > most {
		return strconv.Quote(s[:most]) + "…"
	}
	return strconv.Quote(s)
}

// parseASN reads an AS number, with or without AS before it. AS 0 is reserved
// and names no network (RFC 7607).
func parseASN(b []byte) (uint32, error) {
	digits := b
	if len(digits) > 2 && (digits[0]|0x20) == 'a' && (digits[1]|0x20) == 's' {
		digits = digits[2:]
	}
	n, ok := parseUint(digits)
	if !ok || n == 0 || n > 1<<32-1 {
		return 0, fmt.Errorf("%s is not an AS number (want 1 to 4294967295)", quote(b))
	}
	return uint32(n), nil
}

// parseUint reads up to 19 digits.
func parseUint(b []byte) (uint64, bool) {
	if len(b) == 0 || len(b) > 19 {
		return 0, false
	}
	var n uint64
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + uint64(c-'0')
	}
	return n, true
}

// parseCountry reads an ISO 3166-1 alpha-2 code in capitals.
func parseCountry(b []byte) (country, bool) {
	if len(b) != 2 || b[0] < 'A' || b[0] > 'Z' || b[1] < 'A' || b[1] > 'Z' {
		return country{}, false
	}
	return country{b[0], b[1]}, true
}

// tidy returns a name as one line of UTF-8. Text that is not UTF-8 is taken for
// ISO 8859-1, in which APNIC writes.
func tidy(s string) string {
	if !utf8.ValidString(s) {
		s = latin1(s)
	}
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }), " ")
	if utf8.RuneCountInString(s) > maxName {
		s = string([]rune(s)[:maxName])
	}
	return s
}

// latin1 returns text in ISO 8859-1 as UTF-8.
func latin1(s string) string {
	var b strings.Builder
	for i := range len(s) {
		b.WriteRune(rune(s[i]))
	}
	return b.String()
}
