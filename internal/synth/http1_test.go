package synth

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

// canned is a connection on which a server says what it says.
type canned struct {
	io.Reader
	asked bytes.Buffer
}

func (c *canned) Write(b []byte) (int, error) { return c.asked.Write(b) }
func (c *canned) Close() error                { return nil }

func TestHTTP1(t *testing.T) {
	text := "HTTP/1.1 200 OK\r\nx-pop: iad\r\nServer-Timing: pop;desc=\"iad\", vip;desc=\"americas\", srv;dur=0.05\r\nContent-Length: 5\r\n\r\nhello" +
		"HTTP/1.1 204\r\nX-PoP:  NOT an id\r\ncontent-length:0\r\nCONNECTION: keep-alive , Close\r\n\r\n"
	// Two answers may come in any pieces, but not the second before it is asked for.
	first, second, _ := strings.Cut(text, "hello")
	c := &canned{Reader: io.MultiReader(iotest.OneByteReader(strings.NewReader(first+"hello")), strings.NewReader(second))}
	h := newHTTP1(c, "synth.probe.edge.example:8080")
	a, err := h.get("/o")
	if want := (answer{status: 200, length: 5, pop: "iad", vip: "americas"}); err != nil || a != want {
		t.Fatalf("%+v, %v, want %+v", a, err, want)
	}
	if _, err := h.get("/o"); err != errMisuse {
		t.Errorf("asked within a body: %v", err)
	}
	n := 0
	for {
		m, err := h.more()
		n += m
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if n != 5 {
		t.Errorf("a body of %d bytes", n)
	}
	a, err = h.get("/slow?seconds=1")
	if want := (answer{status: 204, last: true}); err != nil || a != want {
		t.Fatalf("%+v, %v, want %+v", a, err, want)
	}
	const host = " HTTP/1.1\r\nHost: synth.probe.edge.example:8080\r\nUser-Agent: catchment-synth (linux)\r\n\r\n"
	if d := cmp.Diff("GET /o"+host+"GET /slow?seconds=1"+host, strings.ReplaceAll(c.asked.String(), userAgent, "catchment-synth (linux)")); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}

func TestHeaderRefused(t *testing.T) {
	for text, want := range map[string]string{
		"HTTP/1.0 200 OK\r\nContent-Length: 0":                                "not HTTP/1.1",
		"HTTP/1.1 100 Continue\r\nContent-Length: 0":                          "no final status",
		"HTTP/1.1 +20 OK\r\nContent-Length: 0":                                "no final status",
		"HTTP/1.1 2000\r\nContent-Length: 0":                                  "not HTTP/1.1",
		"HTTP/1.1 200 OK":                                                     "no Content-Length",
		"HTTP/1.1 200 OK\r\nContent-Length: -1":                               "Content-Length is not one number",
		"HTTP/1.1 200 OK\r\nContent-Length: 1, 1":                             "Content-Length is not one number",
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2":           "Content-Length is not one number",
		"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999":             "Content-Length is not one number",
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: identity": "the object has a transfer coding (want Content-Length)",
		"HTTP/1.1 200 OK\r\nContent-Length : 1":                               "malformed header line",
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n folded":                     "malformed header line",
		"HTTP/1.1 200 OK\r\nX: a\nb\r\nContent-Length: 1":                     "malformed header line",
		"HTTP/1.1 200 OK\r\n: x":                                              "malformed header line",
		"HTTP/1.1 200 OK\r\n\r\nX: y":                                         "malformed header line",
	} {
		if a, err := parseHeader([]byte(text + "\r\n\r\n")); err == nil || err.Error() != "synth: "+want {
			t.Errorf("%q: %+v, %v, want %q", text, a, err, want)
		}
	}
}

func FuzzHTTP1(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nX-PoP: iad\r\nContent-Length: 2\r\n\r\nok"))
	f.Add([]byte("HTTP/1.1 200 OK\r\nX-PoP: iad\r\nServer-Timing: vip;desc=\"global\"\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"))
	f.Add([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"))
	f.Add([]byte("HTTP/1.1 503 \r\nContent-Length: 9\r\n\r\nshort"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c := &canned{Reader: bytes.NewReader(data)}
		h := newHTTP1(c, "example")
		a, err := h.get("/o")
		if len(h.buf) > maxHeader {
			t.Fatalf("a buffer of %d bytes", len(h.buf))
		}
		if err != nil {
			return
		}
		var body int64
		for {
			n, err := h.more()
			body += int64(n)
			if err != nil {
				if err == io.EOF != (body == a.length) || body > a.length {
					t.Fatalf("%d bytes of %d: %v", body, a.length, err)
				}
				return
			}
		}
	})
}
