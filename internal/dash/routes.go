package dash

import (
	"net/http"
	"strings"
	"time"

	"catchment/internal/tokens"
)

// route is one path of the API that this package serves.
type route struct {
	method, path string
	handle       http.HandlerFunc
	open         bool // to whoever asks
}

// pages are the answers of figures.
func (d *Dash) pages() map[string]func(*http.Request, *query) *question {
	return map[string]func(*http.Request, *query) *question{
		"overview":           d.askOverview,
		"compare":            d.askCompare,
		"offenders":          d.askOffenders,
		"catchments":         d.askCatchments,
		"catchments/changes": d.askChanges,
		"catchments/{pop}":   d.askCatchment,
		"resolvers":          d.askResolvers,
		"stability":          d.askStability,
		"whatif":             d.askWhatIf,
	}
}

// own are all routes of the API that are not the control plane's.
func (d *Dash) own() []route {
	list := []route{
		{method: "GET", path: "fleet", handle: d.getFleet},
		{method: "GET", path: "docs", handle: d.getDocs},
		{method: "GET", path: "docs/{id}", handle: d.getDoc},
		{method: "GET", path: "session", handle: d.getSession},
		{method: "POST", path: "session", handle: d.postSession, open: true},
		{method: "DELETE", path: "session", handle: d.deleteSession},
		{method: "GET", path: "openapi.json", handle: d.getOpenAPI, open: true},
	}
	for name, ask := range d.pages() {
		list = append(list, route{method: "GET", path: name, handle: d.figures(strings.Split(name, "{")[0], ask)})
	}
	return list
}

func (d *Dash) routes() http.Handler {
	mux := http.NewServeMux()
	for _, r := range d.own() {
		h := http.Handler(r.handle)
		if !r.open {
			h = d.guard(h)
		}
		mux.Handle(r.method+" /api/v1/"+r.path, h)
	}
	mux.Handle("/api/v1/", d.guard(d.cfg.Control))
	mux.HandleFunc("/api/", func(w http.ResponseWriter, r *http.Request) {
		refuse(http.StatusNotFound, "", "there is no %s %s", r.Method, r.URL.Path).write(w)
	})
	if d.cfg.Login != nil {
		mux.HandleFunc("GET /login", d.getLogin)
	}
	mux.Handle("GET /docs/images/", d.docs.images())
	mux.Handle("GET /assets/", d.assets)
	mux.HandleFunc("/", d.assets.page)
	return secured(mux)
}

// secured sets what every answer says to browsers.
func secured(next http.Handler) http.Handler {
	const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
		"base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		next.ServeHTTP(w, r)
	})
}

// figures answers a page's questions.
func (d *Dash) figures(page string, ask func(*http.Request, *query) *question) http.HandlerFunc {
	page = strings.TrimSuffix(page, "/")
	return func(w http.ResponseWriter, r *http.Request) {
		begin := time.Now()
		defer func() { d.metrics.requests.WithLabelValues(page).Observe(time.Since(begin).Seconds()) }()
		q := &query{values: r.URL.Query()}
		asked := ask(r, q)
		if wrong := q.done(); wrong != nil {
			wrong.write(w)
			return
		}
		f := d.index.now.Load()
		if f.trouble != "" && len(f.days) == 0 && page != "whatif" && page != "stability" {
			no := refuse(http.StatusServiceUnavailable, "", "%s", f.trouble)
			no.State = stale
			no.Hint = "The store cannot be read. Look at the disk of `--data` and at the log of `catchment serve`; the page goes on by itself."
			no.write(w)
			return
		}
		is, made, refused := d.answers.get(r.Context(), asked, f)
		if refused != nil {
			refused.write(w)
			return
		}
		if is.csv != nil {
			h := w.Header()
			h.Set("Content-Type", "text/csv; charset=utf-8")
			h.Set("Content-Disposition", `attachment; filename="`+page+`.csv"`)
			h.Set("Cache-Control", "no-store")
			send(w, r, is.csv)
			return
		}
		jsonHeader(w.Header())
		send(w, r, is.body(made))
	}
}

// readers may see everything.
var readers = []tokens.Role{tokens.Operator, tokens.Viewer}
