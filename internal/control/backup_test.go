package control

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestBackup: what was sent is a state to start from, its audit trail with it.
func TestBackup(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.api(200, "PUT", "drains/iad", `{"why":"disks"}`)
		r.settle()
		for token, want := range map[string]int{"": 401, victor: 403, iad: 403} {
			if code, _ := do(r.API(), token, "GET", "/api/v1/backup?why=nightly", ""); code != want {
				t.Errorf("%q: %d, want %d", token, code, want)
			}
		}
		r.api(400, "GET", "backup", "")
		_, text := doRaw(r.API(), alice, "GET", "/api/v1/backup?why=nightly", "")
		r.api(200, "PUT", "drains/lax", `{"why":"later","force":true}`)

		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "control.db"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := New(testConfig(dir), testFleet(), slog.New(slog.DiscardHandler), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if len(c.state.objects[drains]) != 1 || c.state.version != r.Snapshot().Version {
			t.Errorf("%+v", c.state)
		}
		entries, err := c.db.audit(0, 10)
		if err != nil {
			t.Fatal(err)
		}
		var lines []string
		for _, e := range entries {
			lines = append(lines, strings.TrimSuffix(e.Action+" "+e.Object+" "+e.Why+" "+string(e.After), " "))
		}
		if diff := cmp.Diff("backup state/ nightly 2", lines[len(lines)-1]); diff != "" || len(lines) != 2 {
			t.Error(lines)
		}
		left, err := filepath.Glob(filepath.Join(r.cfg.Dir, "backup-*"))
		if err != nil || len(left) > 0 {
			t.Errorf("left behind: %v (%v)", left, err)
		}
	})
}
