package dash

import (
	"bytes"
	"cmp"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"slices"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
)

// library is the documents as HTML.
type library struct {
	list  []docEntry
	all   map[string]*doc
	files fs.FS
}

type docEntry struct {
	ID    string `json:"id"`
	Title string `json:"title"`
}

type doc struct {
	docEntry
	HTML string `json:"html"`
}

// firstDocs are what a newcomer reads first; the others follow by title.
var firstDocs = []string{"architecture", "method", "operate", "dashboard"}

func newLibrary(from fs.FS) (*library, error) {
	l := &library{list: []docEntry{}, all: map[string]*doc{}, files: from}
	if from == nil {
		return l, nil
	}
	names, err := fs.Glob(from, "*.md")
	if err != nil {
		return nil, fmt.Errorf("dash: documents: %w", err)
	}
	for _, name := range names {
		source, err := fs.ReadFile(from, name)
		if err != nil {
			return nil, fmt.Errorf("dash: documents: %w", err)
		}
		d, err := render(strings.TrimSuffix(name, ".md"), source)
		if err != nil {
			return nil, fmt.Errorf("dash: %s: %w", name, err)
		}
		l.all[d.ID] = d
		l.list = append(l.list, d.docEntry)
	}
	place := func(e docEntry) int {
		if i := slices.Index(firstDocs, e.ID); i >= 0 {
			return i
		}
		return len(firstDocs)
	}
	slices.SortFunc(l.list, func(a, b docEntry) int {
		return cmp.Or(cmp.Compare(place(a), place(b)), strings.Compare(strings.ToLower(a.Title), strings.ToLower(b.Title)))
	})
	return l, nil
}

// render makes HTML of a document. HTML in it is left out, as are addresses
// other than of the web, so that what comes out has no scripts, whatever goes in.
func render(id string, source []byte) (*doc, error) {
	md := goldmark.New(
		goldmark.WithExtensions(extension.GFM),
		goldmark.WithParserOptions(parser.WithAutoHeadingID(), parser.WithASTTransformers(util.Prioritized(relink{}, 999))),
	)
	var out bytes.Buffer
	if err := md.Convert(source, &out); err != nil {
		return nil, err
	}
	// Wide code scrolls, which has to go by keys, too.
	html := strings.ReplaceAll(out.String(), "<pre>", `<pre tabindex="0">`)
	return &doc{docEntry{id, title(id, source)}, html}, nil
}

func title(id string, source []byte) string {
	for line := range bytes.Lines(source) {
		if t, ok := bytes.CutPrefix(line, []byte("# ")); ok {
			return string(bytes.TrimSpace(t))
		}
	}
	return id
}

// relink leads links between documents to where they are served.
type relink struct{}

func (relink) Transform(root *ast.Document, reader text.Reader, _ parser.Context) {
	var dead []*ast.Link
	_ = ast.Walk(root, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.Link:
			to, ok := docAddress(string(n.Destination))
			if n.Destination = []byte(to); !ok {
				dead = append(dead, n)
			}
		case *ast.Image:
			to, _ := docAddress(string(n.Destination))
			n.Destination = []byte(to)
		}
		return ast.WalkContinue, nil
	})
	for _, link := range dead { // to a file that is not served: only its text stays
		parent := link.Parent()
		for child := link.FirstChild(); child != nil; {
			next := child.NextSibling()
			parent.InsertBefore(parent, link, child)
			child = next
		}
		parent.RemoveChild(parent, link)
	}
}

// docAddress is where a link of a document leads; ok is false for files that
// are not served.
func docAddress(to string) (at string, ok bool) {
	file, fragment, _ := strings.Cut(to, "#")
	if fragment != "" {
		fragment = "#" + fragment
	}
	switch {
	case strings.Contains(to, "://"), strings.HasPrefix(to, "mailto:"), file == "":
		return to, true
	case strings.HasPrefix(file, "images/"):
		return "/docs/" + file, true
	case path.Ext(file) == ".md" && !strings.Contains(file, "/"):
		return "/docs/" + strings.TrimSuffix(file, ".md") + fragment, true
	}
	return "", false
}

func (d *Dash) getDocs(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string][]docEntry{"docs": d.docs.list})
}

func (d *Dash) getDoc(w http.ResponseWriter, r *http.Request) {
	x := d.docs.all[r.PathValue("id")]
	if x == nil {
		no := refuse(http.StatusNotFound, "id", "there is no document %q", r.PathValue("id"))
		no.Hint = "`GET /api/v1/docs` lists those that there are."
		no.write(w)
		return
	}
	writeJSON(w, http.StatusOK, x)
}

// images serves /docs/images/.
func (l *library) images() http.Handler {
	if l.files == nil {
		return http.NotFoundHandler()
	}
	files := http.StripPrefix("/docs/", http.FileServerFS(l.files))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/") {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Cache-Control", "no-cache")
		files.ServeHTTP(w, r)
	})
}
