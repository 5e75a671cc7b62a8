package member

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// saved is what survives a restart.
type saved struct {
	Followed time.Time       `json:"followed,omitzero"`
	Agent    json.RawMessage `json:"agent"` // announce.Agent's
}

func readSaved(text []byte) (s saved, err error) {
	if err := json.Unmarshal(text, &s); err != nil {
		return saved{}, fmt.Errorf("member: saved state: %w", err)
	}
	return s, nil
}

func (m *Member) save() error {
	text, err := json.Marshal(saved{m.followed, m.agent.State()})
	if err != nil {
		return fmt.Errorf("member: %w", err)
	}
	return m.out.Save(text)
}

// stateFile is the file of a directory that holds the state; an empty
// directory holds none.
type stateFile string

const (
	fileName = "announce.json"
	maxFile  = 2 << 20 // bytes
)

func (dir stateFile) read() ([]byte, error) {
	if dir == "" {
		return nil, nil
	}
	name := filepath.Join(string(dir), fileName)
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("member: %w", err)
	case info.Size() > maxFile:
		return nil, fmt.Errorf("member: %s has %d bytes, more than it can have", name, info.Size())
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("member: %w", err)
	}
	return text, nil
}

// write replaces the file whole, durably.
func (dir stateFile) write(text []byte) (err error) {
	if dir == "" {
		return nil
	}
	f, err := os.CreateTemp(string(dir), fileName+".*")
	if err != nil {
		return fmt.Errorf("member: %w", err)
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("member: %w", errors.Join(err, f.Close(), os.Remove(f.Name())))
		}
	}()
	if _, err := f.Write(text); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), filepath.Join(string(dir), fileName)); err != nil {
		return err
	}
	d, err := os.Open(string(dir))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close(), f.Close())
}
