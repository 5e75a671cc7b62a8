package follow

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/klauspost/compress/gzip"

	"catchment/internal/edge"
)

// noncesTimeout is for one batch: the next one comes soon.
const noncesTimeout = 10 * time.Second

// TakeNonces hands in what a name server was asked under probe names, at most
// 16,384 of them (POST /v1/nonces). It does not try again: after an error the
// batch may be handed in once more or dropped. It keeps nothing of the batch.
func (c *Client) TakeNonces(ctx context.Context, batch []edge.Asked) error {
	ctx, cancel := context.WithTimeout(ctx, noncesTimeout)
	defer cancel()
	var body bytes.Buffer
	zip := gzip.NewWriter(&body)
	var line []byte
	var err error
	for i := range batch {
		line = append(batch[i].AppendJSON(line[:0]), '\n')
		_, failed := zip.Write(line)
		err = errors.Join(err, failed)
	}
	if err = errors.Join(err, zip.Close()); err != nil {
		return fmt.Errorf("follow: nonces: %w", err)
	}
	h := http.Header{"Content-Type": {"application/x-ndjson"}, "Content-Encoding": {"gzip"}}
	resp, err := c.send(ctx, http.MethodPost, "/v1/nonces", h, &body)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}
