// Command web bundles the TypeScript under web/ into the files that the
// product embeds. The bundles are committed, so that building Catchment needs
// neither Node nor npm; they are made again after a change of their sources:
//
//	go run -C tools/web .          # write the bundles
//	go run -C tools/web . -check   # exit 1 if any is not what its sources give
//
// The dashboard is bundled with the libraries of web/package-lock.json, which
// npm fetches first where they are missing. It lives in a module of its own, so
// that esbuild is no dependency of the product.
package main

import (
	"bytes"
	"compress/gzip"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

func main() {
	check := flag.Bool("check", false, "compare with the committed bundles, write nothing")
	flag.Parse()
	root := filepath.Join("..", "..") // go run -C tools/web
	err := install(os.Stderr, filepath.Join(root, "web"))
	if err == nil {
		err = run(os.Stdout, root, *check)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "web:", err)
		os.Exit(1)
	}
}

// maxDash is what the dashboard may weigh, gzipped, with its maps: bytes.
const maxDash = 250_000

// run builds every file below root and writes or checks it, and prints its
// size on w.
func run(w io.Writer, root string, check bool) error {
	dash := 0
	for _, b := range all {
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
		} else if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, got, 0o644)); err != nil {
			return err
		}
		size := gzipSize(got)
		if b.dash {
			dash += size
		}
		fmt.Fprintf(w, "%s: %d bytes, %d gzipped\n", b.out, len(got), size)
	}
	fmt.Fprintf(w, "the dashboard in all: %d gzipped\n", dash)
	if dash > maxDash {
		return fmt.Errorf("the dashboard is %d bytes gzipped, and should be at most %d", dash, maxDash)
	}
	return nil
}

func gzipSize(b []byte) int {
	var z bytes.Buffer
	w, _ := gzip.NewWriterLevel(&z, gzip.BestCompression) // the level is valid
	w.Write(b)
	w.Close()
	return z.Len()
}
