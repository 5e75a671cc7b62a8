package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// template is an HTTP request as bytes, with the places that differ from one
// send to the next: so that the load costs next to nothing itself.
type template struct {
	bytes    []byte
	id, addr int // offsets of the beacon's id (hex) and of the client address
}

// placeholders of fixed width in a request.
const (
	idDigits    = "00000000000000000000000000000000"
	forwardedIP = "100.100.100.100"
)

// newTemplate returns a POST as a browser behind a proxy sends it.
func newTemplate(host, path, contentType string, body []byte) (*template, error) {
	head := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: %s\r\nConnection: keep-alive\r\nContent-Length: %d\r\n"+
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36\r\n"+
		"Content-Type: %s\r\nAccept: */*\r\nOrigin: https://www.edge.example\r\nSec-Fetch-Site: same-site\r\nSec-Fetch-Mode: no-cors\r\n"+
		"Sec-Fetch-Dest: empty\r\nAccept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-US,en;q=0.9\r\nX-Forwarded-For: %s\r\n\r\n",
		path, host, len(body), contentType, forwardedIP)
	t := &template{bytes: append([]byte(head), body...)}
	t.id, t.addr = bytes.Index(t.bytes, []byte(idDigits)), bytes.Index(t.bytes, []byte(forwardedIP))
	if t.id < 0 || t.addr < 0 {
		return nil, errors.New("the request has no place for an id or an address")
	}
	return t, nil
}

// patch writes the n-th id, and a client address of its own /24 for each of a
// million consecutive n, into a copy of the template.
func (t *template) patch(req []byte, n uint64) {
	digits := req[t.id : t.id+len(idDigits)]
	for i, v := len(digits)-1, n; i >= 0; i, v = i-1, v>>4 {
		digits[i] = "0123456789abcdef"[v&15]
	}
	addr := req[t.addr : t.addr+len(forwardedIP)]
	for i, v := 0, n; i < 3; i, v = i+1, v/100 { // 1xx.1xx.1xx.100
		addr[4*i+1] = byte('0' + v/10%10)
		addr[4*i+2] = byte('0' + v%10)
	}
}

// load sends requests over kept-alive connections, each waiting for its answer.
type load struct {
	done  atomic.Int64
	next  atomic.Uint64
	conns []net.Conn
	wait  sync.WaitGroup

	mu     sync.Mutex
	failed error
}

func newLoad(ctx context.Context, addr string, t *template, conns, wants int) (*load, error) {
	l := &load{}
	deadline, _ := ctx.Deadline()
	for range conns {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			l.close()
			return nil, err
		}
		if err := c.SetDeadline(deadline); err != nil {
			return nil, err
		}
		l.conns = append(l.conns, c)
	}
	for _, c := range l.conns {
		l.wait.Go(func() {
			if err := l.drive(c, t, wants); !errors.Is(err, net.ErrClosed) {
				l.mu.Lock()
				l.failed = errors.Join(l.failed, err)
				l.mu.Unlock()
			}
		})
	}
	return l, nil
}

// drive sends until something fails, at the latest when the load is closed.
func (l *load) drive(c net.Conn, t *template, wants int) error {
	req := bytes.Clone(t.bytes)
	r := bufio.NewReaderSize(c, 4096)
	for {
		t.patch(req, l.next.Add(1))
		if _, err := c.Write(req); err != nil {
			return err
		}
		status, err := readResponse(r)
		if err != nil {
			return err
		}
		if status != wants {
			return fmt.Errorf("answered %d, want %d", status, wants)
		}
		l.done.Add(1)
	}
}

// readResponse reads one response with a Content-Length or without a body.
func readResponse(r *bufio.Reader) (status int, err error) {
	length := 0
	for first := true; ; first = false {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		line = bytes.TrimRight(line, "\r\n")
		switch {
		case first:
			if len(line) < 12 {
				return 0, fmt.Errorf("status line %q", line)
			}
			if status, err = strconv.Atoi(string(line[9:12])); err != nil {
				return 0, err
			}
		case len(line) == 0:
			_, err := io.CopyN(io.Discard, r, int64(length))
			return status, err
		default:
			name, value, _ := bytes.Cut(line, []byte(":"))
			if bytes.EqualFold(name, []byte("Content-Length")) {
				if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
					return 0, err
				}
			}
		}
	}
}

func (l *load) err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failed
}

func (l *load) close() {
	for _, c := range l.conns {
		c.Close()
	}
	l.wait.Wait()
}

// waitFor polls an address until it answers HTTP, for up to 20 s.
func waitFor(url string) error {
	client := http.Client{Timeout: time.Second}
	deadline := time.Now().Add(20 * time.Second)
	for {
		resp, err := client.Get(url)
		if err == nil {
			resp.Body.Close()
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("did not come up: %w", err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
