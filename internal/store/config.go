package store

import (
	"errors"
	"fmt"
	"time"
)

// Config says where and how a Store keeps beacons. The zero value of every
// field but Dir is a default.
type Config struct {
	Dir string // DATA; made if missing

	// SealEvery is how long a durable beacon may take to appear in a segment,
	// so to queries; 10 s, at most 20 s. A busy store seals as soon as SealRows
	// wait: 122,880, one row group.
	SealEvery time.Duration
	SealRows  int

	// CommitDelay is how long a commit waits for company: 5 ms. A beacon that
	// comes after a silence as long is committed at once, and so is a group of
	// commitBytes.
	CommitDelay time.Duration

	// QueueBytes bounds what waits in memory for a commit: 16 MiB. LogBytes
	// bounds what waits on disk for being sealed: 2 GiB, some three to four
	// million beacons, whose ids take 16 bytes of memory each meanwhile. Beyond
	// either Append returns ErrBusy.
	QueueBytes int
	LogBytes   int64

	// MinFreeBytes is the floor under the file system's free space: 1 GiB. Below
	// it Append returns ErrDisk; what has been accepted is still sealed.
	MinFreeBytes uint64

	// Retention is how long a day is kept after it has ended; 0 is forever.
	Retention time.Duration

	// CompactEvery is how often small segments are looked for to be merged:
	// 1 min. CompactRun is how many alike are worth it: 8. CompactBytes is the
	// size of a beacons file beyond which it is merged no further: 256 MiB,
	// between one and two million beacons.
	CompactEvery time.Duration
	CompactRun   int
	CompactBytes int64

	// Grace is how long files stay readable after they have been replaced or
	// dropped: 2 min. A query in another process must be done by then.
	Grace time.Duration

	// Reserve keeps segment numbers 1 to Reserve free in a new store, for
	// (*Store).Bulk.
	Reserve uint64

	// DedupeBytes bounds the memory for recognizing beacons that were sent
	// again: 256 MiB, about sixteen million ids.
	DedupeBytes int64
}

// maxSealEvery keeps "how fresh is a report" a promise.
const maxSealEvery = 20 * time.Second

func (c *Config) setDefaults() error {
	if c.Dir == "" {
		return errors.New("store: no data directory given")
	}
	var errs []error
	errs = append(errs,
		setDefault("SealEvery", &c.SealEvery, 10*time.Second),
		setDefault("SealRows", &c.SealRows, beaconGroupRows),
		setDefault("CommitDelay", &c.CommitDelay, 5*time.Millisecond),
		setDefault("QueueBytes", &c.QueueBytes, 16<<20),
		setDefault("LogBytes", &c.LogBytes, 2<<30),
		setDefault("MinFreeBytes", &c.MinFreeBytes, 1<<30),
		setDefault("CompactEvery", &c.CompactEvery, time.Minute),
		setDefault("CompactRun", &c.CompactRun, 8),
		setDefault("CompactBytes", &c.CompactBytes, 256<<20),
		setDefault("Grace", &c.Grace, 2*time.Minute),
		setDefault("DedupeBytes", &c.DedupeBytes, 256<<20),
	)
	if c.SealEvery > maxSealEvery {
		errs = append(errs, fmt.Errorf("store: SealEvery is %v (want at most %v)", c.SealEvery, maxSealEvery))
	}
	if c.QueueBytes > maxEntry/2 {
		errs = append(errs, fmt.Errorf("store: QueueBytes is %d (want at most %d)", c.QueueBytes, maxEntry/2))
	}
	if c.CompactRun < 2 {
		errs = append(errs, fmt.Errorf("store: CompactRun is %d (want at least 2)", c.CompactRun))
	}
	if c.Retention < 0 {
		errs = append(errs, fmt.Errorf("store: Retention is %v (want 0, which is forever, or more)", c.Retention))
	}
	return errors.Join(errs...)
}

func setDefault[T int | int64 | uint64 | time.Duration](name string, field *T, value T) error {
	if *field < 0 {
		return fmt.Errorf("store: %s is %v (want more than 0)", name, *field)
	}
	if *field == 0 {
		*field = value
	}
	return nil
}
