// Package geo tells where an address is: continent to city, coordinates and
// autonomous system.
//
// It reads MaxMind-format files (GeoLite2 and GeoIP2 City, Country, ASN, ISP
// and Enterprise, DB-IP, IPinfo), layered: what one file lacks the next one
// fills in. Above them stands the operator's places file, a CSV of prefixes;
// the longest prefix wins.
//
// A DB may be used from many goroutines. The tables are immutable; a reload
// replaces them whole or, when any file is bad, not at all. Everything is held
// in memory, so that files may be overwritten, renamed or deleted at any time.
package geo

import (
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"catchment/internal/edge"
)

// Config says what a DB is made of. The zero value is a DB that knows nothing.
type Config struct {
	Files   []string              // MaxMind-format; earlier ones win, later ones fill gaps
	Places  string                // the operator's CSV; empty: none
	Poll    time.Duration         // how often Run looks for changed files; 0: DefaultPoll
	Log     *slog.Logger          // nil: silent
	Metrics prometheus.Registerer // nil: none
}

// DefaultPoll is how often Run looks for changed files.
const DefaultPoll = 10 * time.Second

// DB answers where addresses are.
type DB struct {
	cfg     Config
	log     *slog.Logger
	metrics *metrics
	tables  atomic.Pointer[tables]

	reload sync.Mutex    // held while files are read
	tried  []os.FileInfo // guarded by reload: the files at the last attempt; nil: none there
}

// tables are what one load made of the files.
type tables struct {
	layers    []*layer
	overrides *overrides // nil: none
	version   string
}

// Open reads the files of cfg. It fails if any of them cannot be used; the
// problems of the places file are Errors.
func Open(cfg Config) (*DB, error) {
	db := &DB{cfg: cfg, log: cfg.Log, metrics: newMetrics()}
	if db.cfg.Poll <= 0 {
		db.cfg.Poll = DefaultPoll
	}
	if db.log == nil {
		db.log = slog.New(slog.DiscardHandler)
	}
	if err := db.Reload(); err != nil {
		return nil, err
	}
	if cfg.Metrics != nil {
		if err := db.metrics.register(cfg.Metrics); err != nil {
			return nil, fmt.Errorf("geo: %w", err)
		}
	}
	return db, nil
}

// Lookup returns where a is; what is not known is left empty. An IPv4 address
// may come in its IPv6-mapped form. It allocates nothing once a's record has
// been decoded, and then takes some hundred nanoseconds (BenchmarkLookup).
func (db *DB) Lookup(a netip.Addr) edge.Place {
	p, _, _ := db.tables.Load().lookup(canonical(a), 0)
	return p
}

// LookupPrefix is Lookup for a resolver's answer: it also returns the shortest
// prefix around a, of a's family, that has this place throughout. It is the
// zero prefix when a is not valid.
func (db *DB) LookupPrefix(a netip.Addr) (edge.Place, netip.Prefix) {
	a = canonical(a)
	p, bits, _ := db.tables.Load().lookup(a, wantPrefix)
	prefix, _ := a.Prefix(bits)
	return p, prefix
}

// Source is what one file says of an address.
type Source struct {
	File   string
	Prefix netip.Prefix // that it says it of
	Place  edge.Place
}

// Explain is Lookup with what each file says, the one that wins first.
func (db *DB) Explain(a netip.Addr) (edge.Place, []Source) {
	p, _, sources := db.tables.Load().lookup(canonical(a), wantPrefix|wantSources)
	return p, sources
}

// Version identifies the contents of all files: equal versions give equal
// places.
func (db *DB) Version() string { return db.tables.Load().version }

func canonical(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

// What lookup is to return beside the place.
const (
	wantPrefix = 1 << iota
	wantSources
)

func (t *tables) lookup(a netip.Addr, want int) (p edge.Place, bits int, sources []Source) {
	if !a.IsValid() {
		return p, 0, nil
	}
	for _, l := range t.layers {
		q, r := l.lookup(a)
		if want&wantPrefix != 0 && r.Err() == nil && r.Prefix().Addr().Is4() == a.Is4() {
			bits = max(bits, r.Prefix().Bits())
		}
		if q == nil {
			continue
		}
		fill(&p, q)
		if want&wantSources != 0 {
			sources = append(sources, Source{l.file, r.Prefix(), *q})
		}
	}
	if t.overrides == nil {
		return p, bits, sources
	}
	if want&wantPrefix != 0 {
		bits = max(bits, t.overrides.bits(a))
	}
	if i := t.overrides.find(a); i >= 0 {
		o := &t.overrides.places[i]
		override(&p, o)
		if want&wantSources != 0 {
			sources = append([]Source{{t.overrides.file, t.overrides.prefixes[i], *o}}, sources...)
		}
	}
	return p, bits, sources
}
