package geo

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"time"
)

// Reload reads all files anew and replaces the tables, or returns every error
// and keeps them.
func (db *DB) Reload() error {
	db.reload.Lock()
	defer db.reload.Unlock()
	return db.load(db.stat(), nil)
}

// Run reloads when a file changes, looking every Config.Poll, until ctx is
// done. It always returns nil: what cannot be read is logged and counted, and
// the tables in use stay.
func (db *DB) Run(ctx context.Context) error {
	tick := time.NewTicker(db.cfg.Poll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			db.poll()
		}
	}
}

// poll reloads if a file is not what it was at the last attempt. A file that
// could not be used is not tried again until it changes.
func (db *DB) poll() {
	db.reload.Lock()
	defer db.reload.Unlock()
	now := db.stat()
	changed := false
	for i := range now {
		changed = changed || !same(now[i], db.tried[i])
	}
	if !changed {
		return
	}
	start := time.Now()
	if err := db.load(now, db.tables.Load()); err != nil {
		db.log.Error("geo reload failed, the tables in use stay", "error", err)
		return
	}
	db.log.Info("geo files reloaded", "version", db.Version(), "took", time.Since(start))
}

// files lists the paths of db, the places file last.
func (db *DB) files() []string {
	files := append([]string(nil), db.cfg.Files...)
	if db.cfg.Places != "" {
		files = append(files, db.cfg.Places)
	}
	return files
}

// stat returns what each of files is, nil for one that is not there.
func (db *DB) stat() []os.FileInfo {
	var infos []os.FileInfo
	for _, file := range db.files() {
		info, err := os.Stat(file)
		if err != nil {
			info = nil
		}
		infos = append(infos, info)
	}
	return infos
}

// same reports whether a file that was a and is b still has what it had.
func same(a, b os.FileInfo) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime()) && a.Mode() == b.Mode()
}

// load makes tables of the files, which were now just before, and takes over
// from old (nil: nothing) what did not change. The caller holds db.reload.
func (db *DB) load(now []os.FileInfo, old *tables) error {
	db.tried = now
	var (
		next tables
		errs []error
		sums = sha256.New()
	)
	for i, file := range db.cfg.Files {
		var l *layer
		if old != nil && same(now[i], old.layers[i].stat) {
			l = old.layers[i]
		} else {
			var err error
			if l, err = openLayer(file); err != nil {
				errs = append(errs, err)
				continue
			}
		}
		next.layers = append(next.layers, l)
		sums.Write(l.sum[:])
	}
	if db.cfg.Places != "" {
		if old != nil && same(now[len(now)-1], old.overrides.stat) {
			next.overrides = old.overrides
		} else {
			var err error
			if next.overrides, err = openOverrides(db.cfg.Places); err != nil {
				errs = append(errs, err)
			}
		}
		if next.overrides != nil {
			sums.Write(next.overrides.sum[:])
		}
	}
	if len(errs) > 0 {
		db.metrics.failed()
		return errors.Join(errs...)
	}
	next.version = hex.EncodeToString(sums.Sum(nil)[:8])
	db.tables.Store(&next)
	db.metrics.loaded(&next)
	return nil
}
