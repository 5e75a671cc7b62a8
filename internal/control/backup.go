package control

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"strconv"
	"time"

	bolt "go.etcd.io/bbolt"

	"catchment/internal/tokens"
)

// getBackup sends control.db as it is at one moment, while everything goes on.
func (c *Control) getBackup(w http.ResponseWriter, r *http.Request) {
	who, ok := c.allow(w, r, tokens.Operator)
	if !ok {
		return
	}
	q := &request{w: w, r: r, who: who.id, now: time.Now().UTC().Round(0)}
	q.Why = r.URL.Query().Get("why")
	err := q.checkWhy()
	if err == nil {
		c.mu.Lock()
		err = c.audit(q, "backup", "state/", json.RawMessage(strconv.FormatUint(c.state.version, 10)))
		c.mu.Unlock()
	}
	if err != nil {
		err.write(w)
		return
	}
	file, size, e := c.db.copy(c.cfg.Dir)
	if e != nil {
		c.log.Error("backup not made", "who", q.who, "error", e)
		refuse(http.StatusInternalServerError, "", "the state cannot be copied").write(w)
		return
	}
	defer file.Close()
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(sendWithin))
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.FormatInt(size, 10)) // whoever gets less knows
	if _, e := io.Copy(w, file); e != nil {
		c.log.Error("backup not sent", "who", q.who, "error", e)
	}
}

// copy makes a copy of the state in a file that has no name any more. Sending
// it from inside the transaction would hold up changes for as long as the
// receiver likes: a file that has to grow waits for those who read it.
func (d *db) copy(dir string) (file *os.File, size int64, err error) {
	file, err = os.CreateTemp(dir, "backup-*")
	if err != nil {
		return nil, 0, err
	}
	err = os.Remove(file.Name())
	if err == nil {
		err = d.bolt.View(func(tx *bolt.Tx) error {
			size, err = tx.WriteTo(file)
			return err
		})
	}
	if err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, 0, errors.Join(err, file.Close())
	}
	return file, size, nil
}

// noted appends an entry to the audit trail, and returns the state after it.
func (d *db) noted(s *state, e Entry) (*state, error) {
	next := *s
	err := d.bolt.Update(func(tx *bolt.Tx) error {
		if err := note(tx, &e); err != nil {
			return err
		}
		next.audited = e.Seq
		return nil
	})
	return &next, err
}
