package beacon

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// resumed is a file that is read on from where an earlier run stopped.
type resumed struct {
	*chunker
	io.Closer
	key  string // names the checkpoint: hash of the first line
	name string
	done mark // everything in front of it is stored
}

// checkpoint is how a mark is kept.
type checkpoint struct {
	File string `json:"file"` // for people
	mark
}

// resume opens a file at the end of what is stored of it.
func (im *Importer) resume(name string, open func() (io.ReadCloser, error)) (*resumed, error) {
	file, err := start(name, open)
	if err != nil || im.Checkpoints == "" {
		return file, err
	}
	// Beacons have ids, so that files that start alike are the same one, or an
	// edited copy, which the hash of what is skipped will tell.
	head, _ := file.lines.r.Peek(MaxLine)
	head, _, _ = bytes.Cut(head, []byte("\n"))
	file.key = fmt.Sprintf("%x", sha256.Sum256(head))[:32]
	text, err := os.ReadFile(im.checkpointFile(file))
	if errors.Is(err, os.ErrNotExist) {
		return file, nil
	}
	var c checkpoint
	if err != nil || json.Unmarshal(text, &c) != nil || c.Finished && c.Refused > 0 {
		// Not readable: duplicates are dropped anyway. With refused lines: the
		// fleet may know their names by now.
		return file, nil
	}
	if file.skip(c.mark) {
		file.done = c.mark
		return file, nil
	}
	file.Close()
	key := file.key
	file, err = start(name, open)
	if err == nil {
		file.key = key
	}
	return file, err
}

// start opens a file at its start.
func start(name string, open func() (io.ReadCloser, error)) (*resumed, error) {
	rc, err := open()
	if err != nil {
		return nil, err
	}
	r, err := plain(rc)
	if err != nil {
		rc.Close()
		return nil, err
	}
	return &resumed{chunker: newChunker(r), Closer: rc, name: name}, nil
}

// send sends the chunks of the rest of a file.
func (f *resumed) send(ctx context.Context, chunks chan<- *chunk) error {
	for seq := 0; ; seq++ {
		c, err := f.next()
		if c != nil {
			c.seq = seq
			select {
			case chunks <- c:
			case <-ctx.Done():
				return nil
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (im *Importer) checkpointFile(f *resumed) string {
	return filepath.Join(im.Checkpoints, f.key+".json")
}

// save remembers how far a file is. A checkpoint that is lost with the power
// costs time, nothing else, so that it is not synced.
func (im *Importer) save(f *resumed) error {
	if im.Checkpoints == "" || f.done.Bytes == 0 {
		return nil
	}
	text, err := json.Marshal(checkpoint{f.name, f.done})
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	if err := os.MkdirAll(im.Checkpoints, 0o755); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	tmp := im.checkpointFile(f) + ".tmp"
	err = os.WriteFile(tmp, text, 0o644)
	if err = errors.Join(err, os.Rename(tmp, im.checkpointFile(f))); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	return nil
}
