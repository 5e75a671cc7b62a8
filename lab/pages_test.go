package lab_test

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"

	"catchment/lab/delay"
)

// pageHost serves the pages that carry the probe script, as a site's own web
// server would.
type pageHost struct {
	preflights atomic.Int64 // OPTIONS requests
}

// The two ways to include the script. The measuring delay is short so that a
// page view takes as long as its probes do.
const (
	async = `<script src="/page.js"></script><script async src="https://` + rumHost + `/rum.js" data-delay="50"></script>`
	// An async script, too, delays the load event until it has come. This one
	// is not even asked for before.
	late = `<script src="/page.js"></script><script>
addEventListener("load", () => {
  const s = document.createElement("script");
  s.src = "https://` + rumHost + `/rum.js" + location.search;
  s.dataset.delay = "50";
  document.head.append(s);
});</script>`
)

var pages = map[string]string{
	"/none":      `<script src="/page.js"></script>`,
	"/empty":     `<script src="/page.js"></script><script src="/empty.js"></script>`,
	"/plain":     async,
	"/late":      late,
	"/strict":    async,
	"/forgetful": async,
	"/away":      "<p>another page</p>",
	"/polite":    `<script src="/polite.js"></script>`,
	"/greedy":    `<script src="/greedy.js"></script>`,
	"/heavy":     async + `<script src="/heavy.js"></script>`,
}

// policies are the Content-Security-Policy of some pages.
var policies = map[string]string{
	// What docs/rum.md tells sites to allow, and nothing else.
	"/strict": "default-src 'none'; script-src 'self' https://" + rumHost +
		"; connect-src https://" + rumHost + " https://*." + probeZone +
		"; require-trusted-types-for 'script'; base-uri 'none'; form-action 'none'",
	"/forgetful": "default-src 'none'; script-src 'self' https://" + rumHost + "; connect-src https://" + rumHost,
}

var scripts = map[string]string{
	// What a site does that wants the beacon for itself.
	"/page.js": `window.catchment = { q: [(b) => { window.beacon = b; }], onBeacon(f) { this.q.push(f); } };
addEventListener("pageshow", (e) => { window.restored = e.persisted; });`,
	// The main thread is busy for 85 % of the first 3 s after the load event.
	"/heavy.js": `addEventListener("load", () => {
  const end = performance.now() + 3000;
  (function work() {
    const until = performance.now() + 85;
    while (performance.now() < until);
    if (until < end) setTimeout(work, 15);
  })();
});`,
	"/polite.js": `navigator.serviceWorker.register("/polite-worker.js");`,
	"/greedy.js": `navigator.serviceWorker.register("/greedy-worker.js");`,
	"/polite-worker.js": takeOver + `addEventListener("fetch", (e) => {
  if (new URL(e.request.url).origin === location.origin) e.respondWith(fetch(e.request));
});`,
	"/greedy-worker.js": takeOver + `addEventListener("fetch", (e) => e.respondWith(fetch(e.request)));`,
}

const takeOver = `addEventListener("install", () => skipWaiting());
addEventListener("activate", (e) => e.waitUntil(clients.claim()));
`

func newPageHost(t *testing.T, s *delay.Site, c certificates) *pageHost {
	t.Helper()
	l, err := s.Listen("tcp", ":443")
	if err != nil {
		t.Fatal(err)
	}
	h := &pageHost{}
	server := &http.Server{Handler: h}
	done := make(chan struct{})
	go func() {
		defer close(done)
		server.ServeTLS(l, c.certFile, c.keyFile)
	}()
	t.Cleanup(func() {
		server.Close()
		<-done
	})
	return h
}

func (h *pageHost) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodOptions {
		h.preflights.Add(1)
	}
	if script, ok := scripts[r.URL.Path]; ok {
		w.Header().Set("Content-Type", "text/javascript")
		fmt.Fprint(w, script)
		return
	}
	if r.URL.Path == "/favicon.ico" {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	page, ok := pages[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	if policy := policies[r.URL.Path]; policy != "" {
		w.Header().Set("Content-Security-Policy", policy)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprintf(w, "<!doctype html><title>%s</title>%s", r.URL.Path, page)
}
