package generate

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"slices"

	"catchment/internal/sim/topology"
)

// WriteASRel writes links in CAIDA's serial-1 format, ascending: a line for
// each, "provider|customer|-1" or "peer|peer|0", after the sources as comments.
func WriteASRel(out io.Writer, in topology.Input) error {
	links := slices.Clone(in.Links)
	slices.SortFunc(links, func(a, b topology.Link) int { return cmp.Or(cmp.Compare(a.A, b.A), cmp.Compare(a.B, b.B)) })
	w := bufio.NewWriter(out)
	for _, s := range in.Sources {
		fmt.Fprintf(w, "# %s\n", s)
	}
	for _, l := range links {
		code := -1
		if l.Rel == topology.Peering {
			code = 0
		}
		fmt.Fprintf(w, "%d|%d|%d\n", l.A, l.B, code)
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("generate: write AS relationships: %w", err)
	}
	return nil
}
