package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/evanw/esbuild/pkg/api"
)

// file is one file for browsers. Paths are relative to the repository.
type file struct {
	entry, out string
	options    *api.BuildOptions // nil: a copy
	dash       bool
}

var all = [...]file{
	{"web/rum.ts", "internal/beacon/rum/rum.js", &script, false},
	{"web/boomerang-catchment.ts", "internal/beacon/rum/boomerang-catchment.js", &script, false},
	{"web/dash/main.tsx", "internal/dash/assets/dash.js", &application, true},
	{"web/dash/dash.css", "internal/dash/assets/dash.css", &application, true},
	{"web/dash/index.html", "internal/dash/assets/index.html", nil, true},
	{"web/dash/icon.svg", "internal/dash/assets/icon.svg", nil, true},
	{"web/node_modules/world-atlas/countries-110m.json", "internal/dash/assets/world.json", nil, true},
	{"web/node_modules/us-atlas/states-albers-10m.json", "internal/dash/assets/us.json", nil, true},
}

// script is for pages of others. ES2019 is what every browser with the features
// that the script needs understands (Chrome 66, Firefox 58, Safari 12.1).
var script = api.BuildOptions{Format: api.FormatIIFE, Target: api.ES2019, TsconfigRaw: "{}"}

// application is the dashboard. Nesting and what else CSS of 2023 has is made
// plain (Chrome 111, Firefox 114, Safari 16.4).
var application = api.BuildOptions{
	Format:      api.FormatESModule,
	Target:      api.ES2022,
	TsconfigRaw: `{"compilerOptions": {"jsx": "react-jsx", "jsxImportSource": "preact"}}`,
}

// build returns the minified bundle, which depends on the sources alone.
func (f file) build(root string) ([]byte, error) {
	if f.options == nil {
		return os.ReadFile(filepath.Join(root, filepath.FromSlash(f.entry)))
	}
	dir, err := filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	o := *f.options
	o.AbsWorkingDir = dir
	o.EntryPoints = []string{f.entry}
	o.Bundle = true
	o.Charset = api.CharsetASCII
	o.MinifyWhitespace, o.MinifyIdentifiers, o.MinifySyntax = true, true, true
	o.LegalComments = api.LegalCommentsNone
	r := api.Build(o)
	if len(r.Errors) > 0 {
		e := r.Errors[0]
		if e.Location == nil {
			return nil, fmt.Errorf("%s: %s", f.entry, e.Text)
		}
		return nil, fmt.Errorf("%s:%d: %s", e.Location.File, e.Location.Line, e.Text)
	}
	return r.OutputFiles[0].Contents, nil
}
