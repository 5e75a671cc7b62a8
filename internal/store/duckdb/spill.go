package duckdb

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// spillDir is where DuckDB puts what does not fit into memory:
// DATA/tmp/duckdb-*, one for each engine, since DuckDB's names in it are fixed
// and several processes may share DATA. Whoever uses one holds a lock on it,
// so that those which killed processes left can be told and removed.
type spillDir struct {
	path string // empty: DATA is not writable, there is no spilling
	lock *os.File
}

const spillPrefix = "duckdb-"

func newSpillDir(dir string) *spillDir {
	tmp := filepath.Join(dir, "tmp")
	if err := os.Mkdir(tmp, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return &spillDir{}
	}
	entries, err := os.ReadDir(tmp)
	if err != nil {
		return &spillDir{}
	}
	for _, entry := range entries {
		path := filepath.Join(tmp, entry.Name())
		if !entry.IsDir() || !strings.HasPrefix(entry.Name(), spillPrefix) {
			continue
		}
		if lock, ok := lockDir(path); ok {
			_ = os.RemoveAll(path) // the next engine tries again
			lock.Close()
		}
	}
	path, err := os.MkdirTemp(tmp, spillPrefix+"*")
	if err != nil {
		return &spillDir{}
	}
	// Another process that cleans up at this moment can be faster. Then the
	// directory is gone, and DuckDB makes it again when it needs it.
	lock, _ := lockDir(path)
	return &spillDir{path: path, lock: lock}
}

// lockDir takes the lock on a directory if nobody has it.
func lockDir(path string) (*os.File, bool) {
	f, err := os.Open(path)
	if err != nil {
		return nil, false
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, false
	}
	return f, true
}

func (d *spillDir) remove() error {
	if d.path == "" {
		return nil
	}
	err := os.RemoveAll(d.path)
	if d.lock != nil {
		err = errors.Join(err, d.lock.Close())
	}
	return err
}
