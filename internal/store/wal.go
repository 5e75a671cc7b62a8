package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"path/filepath"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	raftwal "github.com/hashicorp/raft-wal"
	"github.com/hashicorp/raft-wal/metadb"
)

// writeAheadLog is a log of entries with consecutive indexes. An entry is what
// one commit made durable:
//
//	version  byte, entryVersion
//	checksum 4 bytes, little-endian, CRC-32C of what follows
//	records  each after its length as a varint
//
// The library finds a torn last commit by a checksum of its own and cuts it
// off; ours is for what it does not look at, damage to earlier ones.
type writeAheadLog struct {
	log  *raftwal.WAL
	meta *metadb.BoltMetaDB // which the library leaves open
	dir  string
	row  raft.Log
}

const (
	entryVersion = 1
	entryHeader  = 1 + 4

	// maxEntry is what the library reads back.
	maxEntry = 64 << 20

	logFileBytes = 64 << 20
)

// openLog opens or makes the log in a directory that exists. It cuts off a torn
// tail: a commit that nobody was told of.
//
// The file size is that of the library's files, which it preallocates.
func openLog(dir string, fileSize int, log *slog.Logger) (*writeAheadLog, error) {
	meta := &metadb.BoltMetaDB{}
	w, err := raftwal.Open(dir,
		raftwal.WithMetaStore(meta),
		raftwal.WithSegmentSize(fileSize),
		raftwal.WithLogger(hclog.New(&hclog.LoggerOptions{Level: hclog.Warn, Output: lineLogger{log}, DisableTime: true})),
	)
	if err != nil {
		_ = meta.Close()
		return nil, fmt.Errorf("store: open the write-ahead log %s: %w", dir, err)
	}
	return &writeAheadLog{log: w, meta: meta, dir: dir}, nil
}

// bounds returns the indexes of the first entry that is not sealed and of the
// last entry. Nothing waits when first > last; last is 0 in a new log.
func (w *writeAheadLog) bounds() (first, last uint64, err error) {
	sealed, err := w.log.GetUint64(sealedKey())
	if err == nil {
		first, err = w.log.FirstIndex()
	}
	if err == nil {
		last, err = w.log.LastIndex()
	}
	if err != nil {
		return 0, 0, fmt.Errorf("store: write-ahead log: %w", err)
	}
	return max(first, sealed+1), last, nil
}

// newEntry returns the start of an entry in buf's memory.
func newEntry(buf []byte) []byte {
	return append(buf[:0], entryVersion, 0, 0, 0, 0)
}

// append makes an entry durable. The log keeps nothing of it. After an error
// nobody knows what is in the file, so that nothing may be appended any more.
func (w *writeAheadLog) append(index uint64, entry []byte) error {
	binary.LittleEndian.PutUint32(entry[1:], crc32.Checksum(entry[entryHeader:], castagnoli()))
	w.row = raft.Log{Index: index, Data: entry}
	if err := w.log.StoreLog(&w.row); err != nil {
		return fmt.Errorf("store: write-ahead log: %w", err)
	}
	return nil
}

// read calls each with every record of an entry, until it returns an error.
// What keeps a record keeps its entry.
func (w *writeAheadLog) read(index uint64, each func(record string) error) error {
	var row raft.Log
	err := w.log.GetLog(index, &row)
	if err == nil {
		err = eachRecord(row.Data, each)
	}
	if err != nil {
		return fmt.Errorf("store: entry %d of %s: %w", index, w.dir, err)
	}
	return nil
}

// eachRecord checks an entry and calls each with its records.
func eachRecord(entry []byte, each func(record string) error) error {
	if len(entry) < entryHeader || entry[0] != entryVersion {
		return errRecord
	}
	if crc32.Checksum(entry[entryHeader:], castagnoli()) != binary.LittleEndian.Uint32(entry[1:]) {
		return fmt.Errorf("%w: wrong checksum", errRecord)
	}
	d := decoder{s: string(entry[entryHeader:])} // one copy for all records, which texts are parts of
	for d.s != "" {
		record := d.text()
		if d.bad {
			return errRecord
		}
		if err := each(record); err != nil {
			return err
		}
	}
	return nil
}

// setSealed notes durably that the entries up to last are in segments.
func (w *writeAheadLog) setSealed(last uint64) error {
	if err := w.log.SetUint64(sealedKey(), last); err != nil {
		return fmt.Errorf("store: write-ahead log: %w", err)
	}
	return nil
}

// truncate frees the space of the entries before last. That one stays: a log
// that is emptied while the library changes files gets stuck.
func (w *writeAheadLog) truncate(last uint64) error {
	if err := w.log.DeleteRange(0, last-1); err != nil {
		return fmt.Errorf("store: truncate the write-ahead log: %w", err)
	}
	return nil
}

// reset makes the log empty, for appending to go on after last. It is for a
// log that was just opened and whose entries are all sealed: the library cannot
// append to a file that it had filled when the last process died.
func (w *writeAheadLog) reset(last uint64) error {
	if err := w.log.DeleteRange(0, last); err != nil {
		return fmt.Errorf("store: empty the write-ahead log: %w", err)
	}
	return nil
}

func sealedKey() []byte { return []byte("sealed") }

func (w *writeAheadLog) close() error {
	if err := errors.Join(w.log.Close(), w.meta.Close()); err != nil {
		return fmt.Errorf("store: close the write-ahead log: %w", err)
	}
	return nil
}

func walDir(dir string) string { return filepath.Join(dir, "wal") }

func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) } // made once, inside

// lineLogger passes on what the library has to say, which is little: files that
// it could not delete or rotate.
type lineLogger struct{ log *slog.Logger }

func (l lineLogger) Write(line []byte) (int, error) {
	l.log.Warn("write-ahead log", "line", string(bytes.TrimSpace(line)))
	return len(line), nil
}
