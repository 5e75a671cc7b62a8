package downloadlog

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"os"

	"catchment/internal/daylog"
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
	path, err := lastFile(dir(data))
	if err != nil {
		return fmt.Errorf("downloadlog: %w", err)
	}
	if path == "" {
		return nil
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
	in := bufio.NewReaderSize(f, daylog.MaxLine)
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
func lastFile(dir string) (string, error) {
	days, err := daylog.Days(dir)
	if err != nil {
		return "", err
	}
	for n := len(days) - 1; n >= 0; n-- {
		paths, err := daylog.Files(dir, days[n])
		if err != nil {
			return "", err
		}
		if len(paths) > 0 {
			return paths[len(paths)-1], nil
		}
	}
	return "", nil
}
