package synth

import (
	"bytes"
	"io"
	"strconv"
	"strings"
)

// http1 is a client for what a PoP serves and nothing else: GET, a body whose
// Content-Length is told, no redirects, no transfer codings, no 1xx. It is here
// because net/http's client holds two goroutines and 8 KiB of buffers for a
// connection, and ten thousand of them must fit into little memory.
type http1 struct {
	conn io.ReadWriteCloser
	host string
	buf  []byte
	r, w int   // unread bytes of buf
	left int64 // of the body
}

const (
	leastBuffer = 1 << 10 // holds the header of a PoP's answer (some 400 bytes)
	maxHeader   = 16 << 10
)

func newHTTP1(conn io.ReadWriteCloser, host string) *http1 {
	return &http1{conn: conn, host: host, buf: make([]byte, leastBuffer)}
}

func (h *http1) close() { _ = h.conn.Close() }

func (h *http1) get(path string) (answer, error) {
	switch {
	case h.left > 0:
		return answer{}, errMisuse
	case h.r != h.w:
		return answer{}, wrongError("bytes after the object's end")
	}
	h.r, h.w = 0, 0
	if _, err := io.WriteString(h.conn, "GET "+path+" HTTP/1.1\r\nHost: "+h.host+"\r\nUser-Agent: "+userAgent+"\r\n\r\n"); err != nil {
		return answer{}, err
	}
	size, err := h.fill()
	if err != nil {
		return answer{}, err
	}
	a, err := parseHeader(h.buf[:size])
	h.r, h.left = size, a.length
	return a, err
}

// fill reads until the buffer holds a whole header and returns its size.
func (h *http1) fill() (size int, err error) {
	for {
		from := max(0, h.w-3)
		if h.w == len(h.buf) {
			if h.w >= maxHeader {
				return 0, wrongError("header of more than 16 KiB")
			}
			h.buf = append(h.buf, make([]byte, len(h.buf))...)
		}
		n, err := h.conn.Read(h.buf[h.w:])
		h.w += n
		if i := bytes.Index(h.buf[from:h.w], []byte("\r\n\r\n")); i >= 0 {
			return from + i + 4, nil
		}
		if err != nil {
			if err == io.EOF && h.w > 0 {
				err = io.ErrUnexpectedEOF
			}
			return 0, err
		}
	}
}

func (h *http1) more() (int, error) {
	if h.left == 0 {
		return 0, io.EOF
	}
	if h.r == h.w {
		n, err := h.conn.Read(h.buf)
		if n == 0 {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return 0, err
		}
		h.r, h.w = 0, n
	}
	n := int(min(h.left, int64(h.w-h.r)))
	h.r += n
	h.left -= int64(n)
	return n, nil
}

// parseHeader reads a header with its empty line (RFC 9112), strictly: what
// two parties could read differently is refused.
func parseHeader(b []byte) (a answer, err error) {
	text := strings.TrimSuffix(string(b), "\r\n\r\n")
	status, fields, _ := strings.Cut(text, "\r\n")
	if a.status, err = parseStatus(status); err != nil {
		return answer{}, err
	}
	a.length = -1
	var pop, timing []string
	for fields != "" {
		var line string
		line, fields, _ = strings.Cut(fields, "\r\n")
		name, value, ok := strings.Cut(line, ":")
		value = strings.Trim(value, " \t")
		// No field name has spaces, so folded lines are refused as well.
		if !ok || name == "" || strings.ContainsAny(name, " \t\r\n") || strings.ContainsAny(value, "\r\n\x00") {
			return answer{}, wrongError("malformed header line")
		}
		switch strings.ToLower(name) {
		case "content-length":
			n, err := strconv.ParseUint(value, 10, 62)
			if err != nil || a.length >= 0 && a.length != int64(n) {
				return answer{}, wrongError("Content-Length is not one number")
			}
			a.length = int64(n)
		case "transfer-encoding":
			return answer{}, wrongError("the object has a transfer coding (want Content-Length)")
		case "connection":
			a.last = a.last || hasToken(value, "close")
		case "x-pop":
			pop = append(pop, value)
		case "server-timing":
			timing = append(timing, value)
		}
	}
	if a.length < 0 {
		return answer{}, wrongError("no Content-Length")
	}
	a.name(strings.Join(pop, ","), strings.Join(timing, ","))
	return a, nil
}

// parseStatus reads "HTTP/1.1 200 OK".
func parseStatus(line string) (int, error) {
	rest, ok := strings.CutPrefix(line, "HTTP/1.1 ")
	if !ok || len(rest) < 3 || len(rest) > 3 && rest[3] != ' ' || strings.ContainsAny(rest, "\r\n") {
		return 0, wrongError("not HTTP/1.1")
	}
	code, err := strconv.ParseUint(rest[:3], 10, 16)
	if err != nil || code < 200 || code > 599 {
		return 0, wrongError("no final status")
	}
	return int(code), nil
}

func hasToken(list, token string) bool {
	for t := range strings.SplitSeq(list, ",") {
		if strings.EqualFold(strings.Trim(t, " \t"), token) {
			return true
		}
	}
	return false
}
