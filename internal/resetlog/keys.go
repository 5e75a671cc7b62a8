package resetlog

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"catchment/internal/daylog"
	"catchment/internal/edge"
)

// keyring has the keys of connections: random ones for each day, so that they
// are gone when they are forgotten, and with them what the hashes were of.
type keyring struct {
	path string
	mu   sync.Mutex
	keys []edge.FlowKey
}

func (k *keyring) load(path string) error {
	k.path = path
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("resetlog: %w", err)
	}
	if err := json.Unmarshal(text, &k.keys); err != nil {
		return fmt.Errorf("resetlog: %s: %w", path, err)
	}
	return nil
}

// at returns today's and tomorrow's keys. They are on disk before they are
// used; those from before yesterday are not any more.
func (k *keyring) at(now time.Time) ([]edge.FlowKey, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	today := edge.DayOf(now)
	keys := slices.DeleteFunc(slices.Clone(k.keys), func(f edge.FlowKey) bool { return f.Day < today-1 || f.Day > today+1 })
	for _, day := range []edge.Day{today, today + 1} {
		if !slices.ContainsFunc(keys, func(f edge.FlowKey) bool { return f.Day == day }) {
			f := edge.FlowKey{Day: day}
			rand.Read(f.Key[:]) // never fails
			keys = append(keys, f)
		}
	}
	if !slices.Equal(keys, k.keys) {
		if err := k.write(keys); err != nil {
			return nil, fmt.Errorf("resetlog: keys: %w", err)
		}
		k.keys = keys
	}
	return slices.DeleteFunc(slices.Clone(keys), func(f edge.FlowKey) bool { return f.Day < today }), nil
}

func (k *keyring) write(keys []edge.FlowKey) error {
	text, err := json.Marshal(keys)
	if err != nil {
		return err
	}
	dir := filepath.Dir(k.path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(k.path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(text, '\n'))
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(k.path+".new", k.path); err != nil {
		return err
	}
	return daylog.SyncDir(dir)
}
