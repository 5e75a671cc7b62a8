// Package rum holds the scripts that measure in browsers, and serves them.
//
// They are bundles of the TypeScript under web/, made by tools/web and
// committed. docs/rum.md describes their use.
package rum

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"crypto/sha512"
	_ "embed"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"path"
	"strconv"
	"strings"
)

// Names under which the scripts are served.
const (
	ScriptName    = "rum.js"
	BoomerangName = "boomerang-catchment.js"
)

//go:embed rum.js
var script string

//go:embed boomerang-catchment.js
var boomerang string

// Script returns the probe script.
func Script() []byte { return []byte(script) }

// Boomerang returns the plug-in that puts beacons into boomerang's.
func Boomerang() []byte { return []byte(boomerang) }

// Integrity returns the value for a script element's integrity attribute
// (Subresource Integrity): "sha384-" and the base64 of the digest.
func Integrity(content []byte) string {
	sum := sha512.Sum384(content)
	return "sha384-" + base64.StdEncoding.EncodeToString(sum[:])
}

// Handler serves both scripts by the last element of the request's path, so
// that it can be mounted anywhere: GET and HEAD, compressed where that is
// accepted, to be kept for an hour and then asked for again by ETag. Pages of
// any origin may load them, with integrity and under
// Cross-Origin-Embedder-Policy.
func Handler() http.Handler {
	return handler{
		ScriptName:    newFile(Script()),
		BoomerangName: newFile(Boomerang()),
	}
}

// file is one script, ready to be sent.
type file struct {
	plain, gzip       []byte
	plainTag, gzipTag string // ETags: the two encodings are two representations (RFC 9110, section 8.8.1)
}

func newFile(content []byte) *file {
	sum := sha256.Sum256(content)
	hash := hex.EncodeToString(sum[:8])
	return &file{content, compress(content), `"` + hash + `"`, `"` + hash + `-gzip"`}
}

// compress ignores errors: the level is valid, and memory takes every write.
func compress(content []byte) []byte {
	var b bytes.Buffer
	w, _ := gzip.NewWriterLevel(&b, gzip.BestCompression)
	w.Write(content)
	w.Close()
	return b.Bytes()
}

type handler map[string]*file

func (h handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f, ok := h[path.Base(r.URL.Path)]
	if !ok {
		http.NotFound(w, r)
		return
	}
	head := w.Header()
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		head.Set("Allow", "GET, HEAD")
		http.Error(w, "want GET or HEAD", http.StatusMethodNotAllowed)
		return
	}
	head.Set("Access-Control-Allow-Origin", "*")
	head.Set("Cross-Origin-Resource-Policy", "cross-origin")
	head.Set("Cache-Control", "public, max-age=3600")
	head.Set("Vary", "Accept-Encoding")

	body, tag := f.plain, f.plainTag
	compressed := acceptsGzip(r.Header.Get("Accept-Encoding"))
	if compressed {
		body, tag = f.gzip, f.gzipTag
	}
	head.Set("ETag", tag)
	if matches(r.Header.Get("If-None-Match"), tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	if compressed {
		head.Set("Content-Encoding", "gzip")
	}
	head.Set("Content-Type", "text/javascript; charset=utf-8")
	head.Set("Content-Length", strconv.Itoa(len(body)))
	head.Set("X-Content-Type-Options", "nosniff")
	if r.Method == http.MethodGet {
		w.Write(body) // a client that has gone is no error of ours
	}
}

// acceptsGzip reports whether an Accept-Encoding header allows gzip (RFC 9110,
// section 12.5.3).
func acceptsGzip(header string) bool {
	others := false
	for field := range strings.SplitSeq(header, ",") {
		coding, params, _ := strings.Cut(field, ";")
		allowed := true
		if q, ok := strings.CutPrefix(strings.TrimSpace(params), "q="); ok {
			weight, err := strconv.ParseFloat(strings.TrimSpace(q), 64)
			allowed = err == nil && weight > 0
		}
		switch strings.ToLower(strings.TrimSpace(coding)) {
		case "gzip":
			return allowed
		case "*":
			others = allowed
		}
	}
	return others
}

// matches reports whether an If-None-Match header names tag, by weak
// comparison (RFC 9110, section 13.1.2).
func matches(header, tag string) bool {
	for field := range strings.SplitSeq(header, ",") {
		field = strings.TrimSpace(field)
		if field == "*" || strings.TrimPrefix(field, "W/") == tag {
			return true
		}
	}
	return false
}
