package pop

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// pipeClient returns a client over connections in memory.
func pipeClient(t *testing.T, l *pipes, from string) *http.Client {
	tr := &http.Transport{DisableCompression: true, DialContext: func(context.Context, string, string) (net.Conn, error) {
		return l.dialFrom(from), nil
	}}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

func (s *started) ended(t *testing.T, object, how string, want float64) {
	t.Helper()
	if got := testutil.ToFloat64(s.metrics.ends.WithLabelValues(object, how)); got != want {
		t.Errorf("%v downloads of %s ended %s, want %v", got, object, how, want)
	}
	if got := testutil.ToFloat64(s.metrics.downloads); got != 0 {
		t.Errorf("%v downloads are under way", got)
	}
}

func TestSlowIsEven(t *testing.T) {
	for _, c := range []struct {
		query   string
		seconds int
		size    int
	}{
		{"", 75, 30000},
		{"?seconds=75&bytes=100000", 75, 100000},
		{"?seconds=2&bytes=3", 2, 3},
		{"?seconds=3&bytes=1048576", 3, 1 << 20},
		{"?seconds=300&bytes=1201", 300, 1201},
	} {
		t.Run(c.query, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, l := pipeServer(t, Config{})
				begin := time.Now()
				resp, err := pipeClient(t, l, "192.0.2.1:1").Get("http://x/slow" + c.query)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				if took := time.Since(begin); took != 0 {
					t.Errorf("the headers came after %v", took)
				}
				if resp.ContentLength != int64(c.size) {
					t.Errorf("Content-Length %d", resp.ContentLength)
				}
				got, buf := 0, make([]byte, 64<<10)
				for {
					n, err := resp.Body.Read(buf)
					got += n
					// Never ahead of the even rate, never more than a tick behind.
					at := time.Since(begin)
					due := func(d time.Duration) int {
						return int(int64(c.size) * int64(d) / int64(c.seconds) / int64(time.Second))
					}
					if got > due(at) || got < due(at-slowTick)-len(buf) {
						t.Fatalf("%d bytes after %v, want about %d", got, at, due(at))
					}
					if err == io.EOF {
						break
					}
					if err != nil {
						t.Fatal(err)
					}
				}
				if took := time.Since(begin); got != c.size || took != time.Duration(c.seconds)*time.Second {
					t.Errorf("%d bytes in %v, want %d in %d s", got, took, c.size, c.seconds)
				}
				synctest.Wait()
				s.ended(t, "slow", "complete", 1)
			})
		})
	}
}

// TestSlowStops asks the server to stop while a slow object is under way: the
// client gets all of it, at once, and no broken connection.
func TestSlowStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, l := pipeServer(t, Config{})
		begin := time.Now()
		resp, err := pipeClient(t, l, "192.0.2.1:1").Get("http://x/slow")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		done := make(chan error)
		time.AfterFunc(20*time.Second+time.Millisecond, func() { done <- s.stop() })
		body, err := io.ReadAll(resp.Body)
		if took := time.Since(begin); err != nil || len(body) != 30000 || took != 20*time.Second+time.Millisecond {
			t.Errorf("%d bytes in %v, error %v", len(body), took, err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
		s.ended(t, "slow", "hurried", 1)
	})
}

func TestSlowClientLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, l := pipeServer(t, Config{})
		ctx, cancel := context.WithCancel(t.Context())
		req, err := http.NewRequestWithContext(ctx, "GET", "http://x/slow", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := pipeClient(t, l, "192.0.2.1:1").Do(req)
		if err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(30*time.Second+time.Millisecond, cancel)
		if n, err := io.Copy(io.Discard, resp.Body); !errors.Is(err, context.Canceled) || n != 12000 {
			t.Errorf("%d bytes, error %v", n, err)
		}
		synctest.Wait()
		s.ended(t, "slow", "gone", 1)
		if got := testutil.ToFloat64(s.metrics.connections); got != 0 {
			t.Errorf("%v connections are left", got)
		}
	})
}

// TestSlowOverHTTP2 outlasts every time limit of the server there too.
func TestSlowOverHTTP2(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cert, pool := selfSigned(t, "www.edge.example")
		s, l := pipeServer(t, Config{Certificates: []tls.Certificate{cert}})
		client := pipeClient(t, l, "192.0.2.1:1")
		client.Transport.(*http.Transport).TLSClientConfig = &tls.Config{RootCAs: pool}
		client.Transport.(*http.Transport).ForceAttemptHTTP2 = true
		begin := time.Now()
		resp, err := client.Get("https://www.edge.example/slow?seconds=200")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		n, err := io.Copy(io.Discard, resp.Body)
		if took := time.Since(begin); err != nil || resp.ProtoMajor != 2 || n != 80_000 || took != 200*time.Second {
			t.Errorf("%s: %d bytes in %v, error %v", resp.Proto, n, took, err)
		}
		synctest.Wait()
		s.ended(t, "slow", "complete", 1)
	})
}

// TestUnreadAnswer asks for a small object and takes nothing.
func TestUnreadAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, l := pipeServer(t, Config{})
		c := l.dialFrom("192.0.2.1:1")
		defer c.Close()
		if _, err := io.WriteString(c, "GET /o HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(writeTimeout + time.Second)
		synctest.Wait()
		if got := testutil.ToFloat64(s.metrics.connections); got != 0 {
			t.Errorf("%v connections are left", got)
		}
	})
}

// TestStalledBody announces a body and does not send it.
func TestStalledBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, l := pipeServer(t, Config{})
		c := l.dialFrom("192.0.2.1:1")
		defer c.Close()
		go func() { _, _ = io.Copy(io.Discard, c) }()
		if _, err := io.WriteString(c, "GET /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(slowSeconds*time.Second + requestTimeout)
		synctest.Wait()
		if got := testutil.ToFloat64(s.metrics.connections); got != 0 {
			t.Errorf("%v connections are left", got)
		}
	})
}

// TestStalledClient asks and then takes nothing, and must be let go.
func TestStalledClient(t *testing.T) {
	for _, object := range []string{"slow", "big"} {
		synctest.Test(t, func(t *testing.T) {
			s, l := pipeServer(t, Config{})
			c := l.dialFrom("192.0.2.1:1")
			defer c.Close()
			if _, err := io.WriteString(c, "GET /"+object+" HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			if _, err := http.ReadResponse(bufio.NewReaderSize(c, 16), nil); err != nil {
				t.Fatal(err)
			}
			time.Sleep(writeTimeout + time.Second)
			synctest.Wait()
			s.ended(t, object, "stalled", 1)
		})
	}
}

// TestStalledRequest sends half a header.
func TestStalledRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, l := pipeServer(t, Config{})
		c := l.dialFrom("192.0.2.1:1")
		defer c.Close()
		if _, err := io.WriteString(c, "GET /o HTTP/1.1\r\nHos"); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		_, err := io.ReadAll(c)
		if took := time.Since(begin); err != nil || took != headerTimeout {
			t.Errorf("closed after %v, error %v", took, err)
		}
	})
}

func TestIdleConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, l := pipeServer(t, Config{})
		c := l.dialFrom("192.0.2.1:1")
		defer c.Close()
		r := bufio.NewReader(c)
		for range 3 {
			if _, err := io.WriteString(c, "GET /o HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			resp, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			time.Sleep(60 * time.Second)
		}
		begin := time.Now()
		if _, err := r.ReadByte(); !errors.Is(err, io.EOF) {
			t.Error(err)
		}
		if left := idleTimeout - 60*time.Second; time.Since(begin) != left {
			t.Errorf("closed after another %v, want %v", time.Since(begin), left)
		}
	})
}

func TestDownloadLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, l := pipeServer(t, Config{Limits: Limits{Downloads: 3, DownloadsPerPrefix: 2, BytesPerMinute: 5000}})
		get := func(from, path string, status int, retry string) *http.Response {
			t.Helper()
			resp, err := pipeClient(t, l, from).Get("http://x" + path)
			if err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != status || resp.Header.Get("Retry-After") != retry || resp.Header.Get("X-PoP") != "iad" {
				t.Errorf("%s from %s: status %d, Retry-After %q, X-PoP %q", path, from, resp.StatusCode, resp.Header.Get("Retry-After"), resp.Header.Get("X-PoP"))
			}
			t.Cleanup(func() { _ = resp.Body.Close() })
			return resp
		}
		const slow = "/slow?seconds=20&bytes=1000"
		first := get("192.0.2.1:1", slow, 200, "")
		get("192.0.2.255:1", slow, 200, "")
		get("192.0.2.3:1", slow, 429, "30")            // the /24 has two
		get("[2001:db8:7::1]:1", slow, 200, "")        // another network
		get("[2001:db8:7:ffff::1]:1", slow, 503, "30") // three in all
		get("192.0.2.3:1", "/o", 200, "")              // measuring goes on
		head, err := pipeClient(t, l, "192.0.2.3:1").Head("http://x" + slow)
		if err != nil || head.StatusCode != 200 {
			t.Errorf("HEAD: %v, %v", head, err)
		}
		if _, err := io.Copy(io.Discard, first.Body); err != nil { // 20 s pass
			t.Fatal(err)
		}
		synctest.Wait()
		get("192.0.2.3:1", "/big?bytes=3000", 200, "") // 5000 of 5000
		time.Sleep(500 * time.Millisecond)
		get("192.0.2.4:1", "/big?bytes=1", 429, "40") // what is left of the minute
		get("198.51.100.4:1", "/big?bytes=5001", 429, "40")
		get("198.51.100.4:1", "/big?bytes=5000", 200, "")
		time.Sleep(40 * time.Second)
		get("192.0.2.4:1", "/big?bytes=1", 200, "")
		for limit, want := range map[string]float64{"total": 1, "prefix": 1, "bytes": 2} {
			if got := testutil.ToFloat64(s.metrics.overLimit.WithLabelValues(limit)); got != want {
				t.Errorf("%v downloads were over the limit %s, want %v", got, limit, want)
			}
		}
	})
}
