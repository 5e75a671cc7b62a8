package synth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"catchment/internal/synth/spool"
)

// Shipper hands a batch of records to the collector. Nil means that the batch
// is there to stay. After an error the same records come again, also if they
// had arrived: their ids tell. An error that is ErrRefused says that the batch
// would be refused every time.
type Shipper interface {
	Ship(ctx context.Context, batch []json.RawMessage) error
}

// ErrRefused is wrapped by a Shipper's error about records that the collector
// will never take.
var ErrRefused = errors.New("the collector refuses the records")

// Forwarder ships what is in the spool, the oldest first, and passes it when
// it has arrived.
type Forwarder struct {
	spool   *spool.Spool
	to      Shipper
	log     *slog.Logger
	shipped *prometheus.CounterVec // result
	failing bool
}

const (
	// A record has some 500 bytes: a batch is 125 KiB.
	maxBatch      = 256
	maxBatchBytes = 512 << 10

	leastBackoff = time.Second
	mostBackoff  = time.Minute

	// gather lets records come together, so that they are not shipped one by one.
	gather = time.Second
)

// NewForwarder returns a forwarder, which does nothing yet.
func NewForwarder(s *spool.Spool, to Shipper, log *slog.Logger, reg prometheus.Registerer) (*Forwarder, error) {
	f := &Forwarder{spool: s, to: to, log: log, shipped: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "catchment_synth_shipped_total", Help: "Records by what became of them: ok, refused (dropped), or failed (tried again).",
	}, []string{"result"})}
	if reg != nil {
		if err := reg.Register(f.shipped); err != nil {
			return nil, fmt.Errorf("synth: %w", err)
		}
	}
	return f, nil
}

// Run ships until ctx is done and always returns nil: what could not be
// shipped stays in the spool. A batch that fails is tried again, half as large
// each time, until it is one record, for whatever reason it was too much; and
// grows again when that helps.
func (f *Forwarder) Run(ctx context.Context) error {
	count, wait := maxBatch, leastBackoff
	for ctx.Err() == nil {
		n, err := f.ship(ctx, count)
		switch {
		case ctx.Err() != nil:
		case err != nil:
			if !f.failing {
				f.log.Error("records are not shipped", "error", err)
			}
			f.failing = true
			if n > 1 && errors.Is(err, ErrRefused) {
				count = n / 2 // at once: the collector is well
				continue
			}
			count = max(1, min(count, n)/2)
			sleep(ctx, wait)
			wait = min(2*wait, mostBackoff)
		case n == 0:
			f.spool.Wait(ctx)
			sleep(ctx, gather)
		default:
			if f.failing {
				f.log.Info("records are shipped again")
			}
			f.failing = false
			count, wait = min(2*count, maxBatch), leastBackoff
		}
	}
	return nil
}

// ship ships up to count records and returns how many it tried.
func (f *Forwarder) ship(ctx context.Context, count int) (n int, err error) {
	records, end, err := f.spool.Read(count, maxBatchBytes)
	if err != nil || len(records) == 0 {
		return 0, err
	}
	batch := make([]json.RawMessage, len(records))
	for i := range records {
		batch[i] = records[i]
	}
	err = f.to.Ship(ctx, batch)
	result := "ok"
	switch {
	case err != nil && ctx.Err() != nil:
		return n, err
	case errors.Is(err, ErrRefused) && len(batch) == 1:
		result = "refused"
		f.log.Warn("a record is refused and dropped", "error", err)
		err = f.spool.Pass(end)
	case err != nil:
		result = "failed"
	default:
		err = f.spool.Pass(end)
	}
	f.shipped.WithLabelValues(result).Add(float64(len(batch)))
	return len(batch), err
}
