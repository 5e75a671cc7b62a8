package main

import (
	"io"
	"path/filepath"
	"testing"
)

// The committed bundles are what their sources give.
func TestBundles(t *testing.T) {
	root := filepath.Join("..", "..")
	if err := install(t.Output(), filepath.Join(root, "web")); err != nil {
		t.Fatal(err)
	}
	if err := run(io.Discard, root, true); err != nil {
		t.Error(err)
	}
}
