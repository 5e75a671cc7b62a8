// Package docs holds the documents, for the dashboard to serve from the binary.
package docs

import "embed"

// Files are the documents and their images.
//
//go:embed *.md images
var Files embed.FS
