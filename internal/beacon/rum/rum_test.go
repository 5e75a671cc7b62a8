package rum

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// maxGzip is what the probe script may cost on the wire, bytes.
const maxGzip = 2000

func TestSize(t *testing.T) {
	if n := len(compress(Script())); n > maxGzip {
		t.Errorf("%s: %d bytes gzipped, want at most %d", ScriptName, n, maxGzip)
	}
}

// What a strict Content-Security-Policy refuses, and what changes the page.
func TestScriptAvoids(t *testing.T) {
	for _, s := range [][]byte{Script(), Boomerang()} {
		for _, bad := range []string{"eval(", "Function(", "blob:", "innerHTML", "document.write", "cookie", "Storage", "clearResourceTimings", "setResourceTimingBufferSize", "unload", "sourceMappingURL"} {
			if bytes.Contains(s, []byte(bad)) {
				t.Errorf("%q in %.40s…", bad, s)
			}
		}
	}
}

func TestIntegrity(t *testing.T) {
	// printf abc | openssl dgst -sha384 -binary | base64
	const want = "sha384-ywB1P0WjXou1oD1pmsZQBycsMqsO3tFjGotgWkP/W+2AhgcroefMI1i67KE0yCWn"
	if got := Integrity([]byte("abc")); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func get(t *testing.T, method, path string, header ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	Handler().ServeHTTP(w, r)
	return w.Result()
}

func TestHandler(t *testing.T) {
	f := func(path string, want []byte) {
		t.Helper()
		plain := get(t, "GET", path)
		body, err := io.ReadAll(plain.Body)
		if err != nil || plain.StatusCode != 200 || !bytes.Equal(body, want) {
			t.Errorf("%s: %s, %v, %d bytes", path, plain.Status, err, len(body))
		}
		for k, v := range map[string]string{
			"Content-Type":                 "text/javascript; charset=utf-8",
			"Cache-Control":                "public, max-age=3600",
			"Access-Control-Allow-Origin":  "*",
			"Cross-Origin-Resource-Policy": "cross-origin",
			"X-Content-Type-Options":       "nosniff",
			"Vary":                         "Accept-Encoding",
			"Content-Encoding":             "",
		} {
			if got := plain.Header.Get(k); got != v {
				t.Errorf("%s: %s: %q, want %q", path, k, got, v)
			}
		}

		zipped := get(t, "GET", path, "Accept-Encoding", "br, gzip;q=0.8")
		z, err := gzip.NewReader(zipped.Body)
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(z); err != nil || !bytes.Equal(body, want) {
			t.Errorf("%s: gzip: %v, %d bytes", path, err, len(body))
		}
		if zipped.Header.Get("Content-Encoding") != "gzip" || zipped.Header.Get("ETag") == plain.Header.Get("ETag") {
			t.Errorf("%s: gzip: %v", path, zipped.Header)
		}

		again := get(t, "GET", path, "Accept-Encoding", "gzip", "If-None-Match", `"x", W/`+zipped.Header.Get("ETag"))
		if again.StatusCode != 304 {
			t.Errorf("%s: asked again: %s, want 304", path, again.Status)
		}
		if other := get(t, "GET", path, "If-None-Match", zipped.Header.Get("ETag")); other.StatusCode != 200 {
			t.Errorf("%s: asked for the other encoding: %s, want 200", path, other.Status)
		}
		head := get(t, "HEAD", path)
		if body, _ := io.ReadAll(head.Body); len(body) > 0 || head.ContentLength != int64(len(want)) {
			t.Errorf("%s: HEAD: %d bytes, Content-Length %d", path, len(body), head.ContentLength)
		}
	}
	f("/rum.js", Script())
	f("/proxied/rum.js", Script())
	f("/boomerang-catchment.js", Boomerang())

	if r := get(t, "GET", "/rum.go"); r.StatusCode != 404 {
		t.Errorf("unknown: %s, want 404", r.Status)
	}
	if r := get(t, "POST", "/rum.js"); r.StatusCode != 405 || !strings.Contains(r.Header.Get("Allow"), "GET") {
		t.Errorf("POST: %s, Allow %q, want 405", r.Status, r.Header.Get("Allow"))
	}
}

func TestAcceptsGzip(t *testing.T) {
	f := func(header string, want bool) {
		t.Helper()
		if got := acceptsGzip(header); got != want {
			t.Errorf("%q: %v, want %v", header, got, want)
		}
	}
	f("", false)
	f("gzip", true)
	f("deflate, GZIP", true)
	f("gzip;q=0", false)
	f("gzip; q=0.0, *", false)
	f("*", true)
	f("*;q=0", false)
	f("br", false)
	f("x-gzip-x", false)
	f("gzip;q=many", false)
}
