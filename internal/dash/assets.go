package dash

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
)

// bundle is what web/dash is made into (tools/web).
//
//go:embed assets
var bundle embed.FS

// assets serves the pages' files. They have stable names, and addresses with
// the hash of all of them, under which they never change:
// /assets/HASH/dash.js. The page leads there; files find each other by relative
// addresses.
type assets struct {
	version string
	files   map[string]*asset
	index   *asset
}

type asset struct {
	kind       string
	body, gzip []byte // gzip: nil if it is not worth it
	etag       string
}

var assetKinds = map[string]string{
	".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".html": "text/html; charset=utf-8",
	".json": "application/json", ".svg": "image/svg+xml", ".png": "image/png", ".woff2": "font/woff2",
}

const indexFile = "index.html"

func newAssets(from fs.FS) (*assets, error) {
	a := &assets{files: map[string]*asset{}}
	all := sha256.New()
	err := fs.WalkDir(from, "assets", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		body, err := fs.ReadFile(from, name)
		if err != nil {
			return err
		}
		name = strings.TrimPrefix(name, "assets/")
		fmt.Fprintf(all, "%s %d\n", name, len(body))
		all.Write(body)
		a.files[name] = newAsset(name, body)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("dash: %w", err)
	}
	page := a.files[indexFile]
	if page == nil {
		return nil, fmt.Errorf("dash: there is no %s", indexFile)
	}
	a.version = hex.EncodeToString(all.Sum(nil)[:8])
	delete(a.files, indexFile)
	a.index = newAsset(indexFile, bytes.ReplaceAll(page.body, []byte(`"/assets/`), []byte(`"/assets/`+a.version+`/`)))
	return a, nil
}

func newAsset(name string, body []byte) *asset {
	sum := sha256.Sum256(body)
	f := &asset{kind: assetKinds[path.Ext(name)], body: body, etag: `"` + hex.EncodeToString(sum[:12]) + `"`}
	if f.kind == "" {
		f.kind = "application/octet-stream"
	}
	var z bytes.Buffer
	w, _ := gzip.NewWriterLevel(&z, gzip.BestCompression) // the level is valid
	_, _ = w.Write(body)
	_ = w.Close()
	if len(body) >= leastGzip && z.Len() < len(body)*9/10 {
		f.gzip = z.Bytes()
	}
	return f
}

// ServeHTTP serves /assets/NAME and /assets/HASH/NAME.
func (a *assets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.URL.Path, "/assets/")
	versioned, ok := strings.CutPrefix(name, a.version+"/")
	if ok {
		name = versioned
	}
	f := a.files[name]
	if f == nil {
		http.Error(w, "there is no such file", http.StatusNotFound)
		return
	}
	if ok {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	} else {
		w.Header().Set("Cache-Control", "no-cache")
	}
	f.serve(w, r)
}

// page serves the page for every address that can be one: all pages are one
// document, whose script looks at the address.
func (a *assets) page(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "pages can be read only", http.StatusMethodNotAllowed)
		return
	}
	if path.Ext(r.URL.Path) != "" {
		http.Error(w, "there is no such file", http.StatusNotFound)
		return
	}
	w.Header().Set("Cache-Control", "no-cache")
	a.index.serve(w, r)
}

func (f *asset) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", f.kind)
	h.Set("ETag", f.etag)
	h.Add("Vary", "Accept-Encoding")
	for tag := range strings.SplitSeq(r.Header.Get("If-None-Match"), ",") {
		if tag = strings.TrimSpace(tag); strings.TrimPrefix(tag, "W/") == f.etag || tag == "*" {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	body := f.body
	if f.gzip != nil && acceptsGzip(r) {
		h.Set("Content-Encoding", "gzip")
		body = f.gzip
	}
	h.Set("Content-Length", fmt.Sprint(len(body)))
	_, _ = w.Write(body)
}
