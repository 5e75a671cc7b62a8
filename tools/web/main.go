// Command web bundles the TypeScript under web/ into the files that the
// product embeds. The bundles are committed, so that building Catchment needs
// neither Node nor npm; they are made again after a change of their sources:
//
//	go run -C tools/web .          # write the bundles
//	go run -C tools/web . -check   # exit 1 if any is not what its sources give
//
// It lives in a module of its own, so that esbuild is no dependency of the
// product.
package main

import (
	"bytes"
	"compress/gzip"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/evanw/esbuild/pkg/api"
)

func main() {
	check := flag.Bool("check", false, "compare with the committed bundles, write nothing")
	flag.Parse()
	root := filepath.Join("..", "..") // go run -C tools/web
	if err := run(os.Stdout, root, *check); err != nil {
		fmt.Fprintln(os.Stderr, "web:", err)
		os.Exit(1)
	}
}

// run builds every bundle below root and writes or checks it, and prints its
// size on w.
func run(w io.Writer, root string, check bool) error {
	for _, b := range bundles {
		got, err := b.build(root)
		if err != nil {
			return err
		}
		path := filepath.Join(root, filepath.FromSlash(b.out))
		if check {
			have, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			if !bytes.Equal(have, got) {
				return fmt.Errorf("%s is not what %s gives (run: go run -C tools/web .)", b.out, b.entry)
			}
		} else if err := os.WriteFile(path, got, 0o644); err != nil {
			return err
		}
		fmt.Fprintf(w, "%s: %d bytes, %d gzipped\n", b.out, len(got), gzipSize(got))
	}
	return nil
}

// bundle is one script for browsers. Paths are relative to the repository.
type bundle struct{ entry, out string }

var bundles = [...]bundle{
	{"web/rum.ts", "internal/beacon/rum/rum.js"},
	{"web/boomerang-catchment.ts", "internal/beacon/rum/boomerang-catchment.js"},
}

// build returns the minified bundle. ES2019 is what every browser with the
// features that the script needs understands (Chrome 66, Firefox 58, Safari
// 12.1).
func (b bundle) build(root string) ([]byte, error) {
	dir, err := filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	r := api.Build(api.BuildOptions{
		AbsWorkingDir:     dir,
		EntryPoints:       []string{b.entry},
		Bundle:            true,
		Format:            api.FormatIIFE,
		Target:            api.ES2019,
		Charset:           api.CharsetASCII,
		MinifyWhitespace:  true,
		MinifyIdentifiers: true,
		MinifySyntax:      true,
		LegalComments:     api.LegalCommentsNone,
		TsconfigRaw:       "{}", // the result depends on the sources alone
	})
	if len(r.Errors) > 0 {
		e := r.Errors[0]
		if e.Location == nil {
			return nil, fmt.Errorf("%s: %s", b.entry, e.Text)
		}
		return nil, fmt.Errorf("%s:%d: %s", e.Location.File, e.Location.Line, e.Text)
	}
	return r.OutputFiles[0].Contents, nil
}

func gzipSize(b []byte) int {
	var z bytes.Buffer
	w, _ := gzip.NewWriterLevel(&z, gzip.BestCompression) // the level is valid
	w.Write(b)
	w.Close()
	return z.Len()
}
