package downloadlog

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"os"
	"path/filepath"

	"catchment/internal/edge"
)

// recent are the ids of the records that came last: between one and two times
// mostRecent of them, by a hash of 64 bits. An agent hands in a batch again
// until it is told that it has arrived; that is seconds later, or a minute, and
// other agents have handed in less than that meanwhile.
type recent struct {
	seed         maphash.Seed
	young, older map[uint64]struct{}
}

const mostRecent = 1 << 18

// loadBytes is how much of the last file a new process looks at for records
// that may come again.
const loadBytes = 64 << 20

func (r *recent) hash(id string) uint64 { return maphash.String(r.seed, id) }

func (r *recent) has(id string) bool {
	h := r.hash(id)
	if _, ok := r.young[h]; ok {
		return true
	}
	_, ok := r.older[h]
	return ok
}

func (r *recent) add(id string) {
	if len(r.young) >= mostRecent {
		r.young, r.older = map[uint64]struct{}{}, r.young
	}
	r.young[r.hash(id)] = struct{}{}
}

// load takes up the ids at the end of the last file that there is.
func (r *recent) load(data string) error {
	r.seed, r.young = maphash.MakeSeed(), map[uint64]struct{}{}
	path, err := lastFile(data)
	if err != nil || path == "" {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("downloadlog: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("downloadlog: %w", err)
	}
	in := bufio.NewReaderSize(f, maxLine)
	if skip := info.Size() - loadBytes; skip > 0 {
		if _, err := f.Seek(skip, io.SeekStart); err != nil {
			return fmt.Errorf("downloadlog: %w", err)
		}
		if _, err := in.ReadSlice('\n'); err != nil { // the rest of a line
			return nil
		}
	}
	for {
		line, err := in.ReadSlice('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("downloadlog: %s: %w", path, err)
		}
		var x struct {
			Download struct {
				ID string `json:"id"`
			} `json:"download"`
		}
		if err := json.Unmarshal(line, &x); err != nil {
			return fmt.Errorf("downloadlog: %s: %w", path, err)
		}
		r.add(x.Download.ID)
	}
}

// lastFile is empty if there is none.
func lastFile(data string) (string, error) {
	days, err := listDays(data)
	if err != nil {
		return "", err
	}
	for n := len(days) - 1; n >= 0; n-- {
		names, err := filesOf(data, days[n])
		if err != nil {
			return "", err
		}
		if len(names) > 0 {
			return filepath.Join(dayDir(data, days[n]), names[len(names)-1]), nil
		}
	}
	return "", nil
}

// filesOf lists a day's files in the order in which they were written.
func filesOf(data string, day edge.Day) (names []string, err error) {
	entries, err := os.ReadDir(dayDir(data, day)) // sorted; numbers have leading zeros
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("downloadlog: %w", err)
	}
	for _, e := range entries {
		if filepath.Ext(e.Name()) == suffix {
			names = append(names, e.Name())
		}
	}
	return names, nil
}
