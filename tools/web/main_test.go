package main

import (
	"io"
	"path/filepath"
	"testing"
)

// The committed bundles are what their sources give.
func TestBundles(t *testing.T) {
	if err := run(io.Discard, filepath.Join("..", ".."), true); err != nil {
		t.Error(err)
	}
}
