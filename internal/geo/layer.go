package geo

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"net/netip"
	"os"
	"sync/atomic"

	"github.com/oschwald/maxminddb-golang/v2"

	"catchment/internal/edge"
)

// maxFile bounds a file, which is held in memory whole: the largest that
// vendors sell are a few hundred MB.
const maxFile = 2 << 30

// maxCached bounds how many decoded records a layer keeps: with its strings a
// record is about 200 bytes, so 13 MB a file.
const maxCached = 1 << 16

// layer is one MaxMind-format file. It is held in memory and not mapped: a
// mapped file that someone overwrites in place instead of renaming over it
// would change under us, or kill the process when it shrinks.
type layer struct {
	file    string
	stat    os.FileInfo // as it was when the file was read
	sum     [sha256.Size]byte
	reader  *maxminddb.Reader
	flat    bool
	records int // distinct ones

	// The decoded records, each at the slot that its offset hashes to; another
	// record of the same slot replaces it.
	cache []atomic.Pointer[decoded]
	shift uint // of the hash
}

type decoded struct {
	offset uintptr
	place  edge.Place
}

func openLayer(file string) (*layer, error) {
	data, stat, err := readFile(file, maxFile)
	if err != nil {
		return nil, err
	}
	l, err := newLayer(data)
	if err != nil {
		return nil, fmt.Errorf("geo: open %s: %w", file, err)
	}
	l.file, l.stat, l.sum = file, stat, sha256.Sum256(data)
	return l, nil
}

func newLayer(data []byte) (*layer, error) {
	reader, err := maxminddb.OpenBytes(data)
	if err != nil {
		return nil, err
	}
	l := &layer{reader: reader}
	if err := l.check(); err != nil {
		return nil, err
	}
	slots := min(bits.Len(uint(l.records))+1, bits.Len(maxCached-1)) // as a power of two; spare ones make collisions rare
	l.cache = make([]atomic.Pointer[decoded], 1<<slots)
	l.shift = uint(64 - slots)
	return l, nil
}

// readFile reads at most limit bytes of a file, with what it was when opened.
func readFile(file string, limit int64) ([]byte, os.FileInfo, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, nil, fmt.Errorf("geo: %w", err)
	}
	defer f.Close()
	stat, err := f.Stat()
	if err != nil {
		return nil, nil, fmt.Errorf("geo: %w", err)
	}
	if !stat.Mode().IsRegular() {
		return nil, stat, fmt.Errorf("geo: read %s: not a regular file", file)
	}
	if stat.Size() > limit {
		return nil, stat, fmt.Errorf("geo: read %s: %d bytes; at most %d are read", file, stat.Size(), limit)
	}
	data := make([]byte, stat.Size())
	if _, err := io.ReadFull(f, data); err != nil {
		return nil, stat, fmt.Errorf("geo: read %s: %w", file, err)
	}
	return data, stat, nil
}

// check walks the whole file and decodes each record once, so that a damaged
// file is refused when it is opened and not discovered by a lookup.
func (l *layer) check() error {
	seen := map[uintptr]struct{}{}
	useful := false
	// A tree of n nodes has n+1 leaves, and the writers graft its IPv4 part in
	// three more times. A forged one, whose branches join again, would have up
	// to 2^128: hence all leaves are counted.
	leaves := 5 * (uint64(l.reader.Metadata.NodeCount) + 1)
	for r := range l.reader.Networks(maxminddb.IncludeNetworksWithoutData(), maxminddb.IncludeAliasedNetworks()) {
		if err := r.Err(); err != nil {
			return err
		}
		if leaves--; leaves == 0 {
			return errors.New("the search tree is not a tree")
		}
		if !r.Found() {
			continue
		}
		if _, ok := seen[r.Offset()]; ok {
			continue
		}
		if len(seen) == 0 {
			var err error
			if l.flat, err = isFlat(r); err != nil {
				return fmt.Errorf("record of %v: %w", r.Prefix(), err)
			}
		}
		seen[r.Offset()] = struct{}{}
		p, err := decode(r, l.flat)
		if err != nil {
			return fmt.Errorf("record of %v: %w", r.Prefix(), err)
		}
		useful = useful || p != edge.Place{}
	}
	l.records = len(seen)
	switch {
	case l.records == 0:
		return errors.New("the file holds no networks")
	case !useful:
		return fmt.Errorf("no record has a country, city, coordinates or AS number: the file is of type %q", l.reader.Metadata.DatabaseType)
	}
	return nil
}

// lookup returns what the file says of a, or nil, and the network that it says
// it of. What it returns is shared and must not be changed.
func (l *layer) lookup(a netip.Addr) (*edge.Place, maxminddb.Result) {
	r := l.reader.Lookup(a)
	if !r.Found() { // nor in an IPv4 file when a is IPv6
		return nil, r
	}
	offset := r.Offset()
	slot := &l.cache[uint64(offset)*0x9e3779b97f4a7c15>>l.shift] // Fibonacci hashing
	if d := slot.Load(); d != nil && d.offset == offset {
		return &d.place, r
	}
	p, err := decode(r, l.flat)
	if err != nil {
		return nil, r // cannot be: check has decoded it
	}
	d := &decoded{offset, p}
	slot.Store(d)
	return &d.place, r
}
