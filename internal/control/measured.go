package control

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"catchment/internal/edge"
)

// measuredFile keeps what was measured, so that a restart does not send users
// by distance until beacons have been read again.
const measuredFile = "measured.json"

// measured is what beacons say of the fleet.
type measured struct {
	Orders     []edge.Order     `json:"orders"`
	Catchments []edge.Catchment `json:"catchments"`
	sum        string           // of the JSON; empty: nothing was measured
}

// SetMeasured replaces the measured orders and catchments. They must not change
// afterwards. An error only means that they will not outlive a restart.
func (c *Control) SetMeasured(orders []edge.Order, catchments []edge.Catchment) error {
	m := &measured{Orders: orders, Catchments: catchments}
	text, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("control: %w", err)
	}
	if len(orders)+len(catchments) > 0 {
		m.sum = sumOf(text)
	}
	c.mu.Lock()
	same := c.measured.sum == m.sum
	c.measured = m
	c.mu.Unlock()
	if same {
		return nil
	}
	c.wake()
	return writeFile(filepath.Join(c.cfg.Dir, measuredFile), text)
}

func sumOf(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

func readMeasured(file string) (*measured, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return &measured{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("control: %w", err)
	}
	m := &measured{}
	if err := json.Unmarshal(text, m); err != nil {
		return nil, fmt.Errorf("control: %s: %w", file, err)
	}
	if len(m.Orders)+len(m.Catchments) > 0 {
		m.sum = sumOf(text)
	}
	return m, nil
}

// writeFile replaces a file so that it is there whole, as before or as now.
func writeFile(file string, data []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+"-*")
	if err != nil {
		return fmt.Errorf("control: %w", err)
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(data)
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), file)
	}
	if err != nil {
		return fmt.Errorf("control: %w", err)
	}
	return nil
}
