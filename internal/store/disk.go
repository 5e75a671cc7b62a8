package store

import (
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// diskFloor says when the file system has too little free space left. It asks
// at most once every diskEvery.
type diskFloor struct {
	dir   string
	floor uint64
	free  func(dir string) (uint64, error)

	next  atomic.Int64 // when to ask again, ns since 1970
	bytes atomic.Uint64
	isLow atomic.Bool
}

const diskEvery = time.Second

func newDiskFloor(dir string, floor uint64, free func(string) (uint64, error)) *diskFloor {
	if free == nil {
		free = freeBytes
	}
	return &diskFloor{dir: dir, floor: floor, free: free}
}

// low reports whether less than the floor was free when last asked. A file
// system that does not tell is taken to have room: writing will show.
func (d *diskFloor) low(now time.Time) bool {
	next := d.next.Load()
	if now.UnixNano() >= next && d.next.CompareAndSwap(next, now.Add(diskEvery).UnixNano()) {
		free, err := d.free(d.dir)
		d.bytes.Store(free)
		d.isLow.Store(err == nil && free < d.floor)
	}
	return d.isLow.Load()
}

// freeBytes returns what an unprivileged process may still write.
func freeBytes(dir string) (uint64, error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return 0, err
	}
	return fs.Bavail * uint64(fs.Bsize), nil
}
