package main

import (
	"io"
	"os"

	"github.com/cheggaaa/pb/v3"
	"github.com/mattn/go-isatty"
)

// startProgress shows how a long job comes along, on w if that is a terminal.
// A total of 0 is not known. The caller calls Finish.
func startProgress(w io.Writer, unit string, total int64) *pb.ProgressBar {
	bar := pb.New64(total).Set("suffix", " "+unit)
	if unit == "bytes" {
		bar.Set("suffix", "").Set(pb.Bytes, true)
	}
	if f, ok := w.(*os.File); ok && isatty.IsTerminal(f.Fd()) {
		return bar.SetTemplate(pb.Full).SetWriter(f).Start()
	}
	return bar.SetWriter(io.Discard)
}
