package runner

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"catchment/internal/edge"
	"catchment/internal/ramp"
)

// Message is what the webhook is told, as JSON.
type Message struct {
	Ramp      string      `json:"ramp"`
	Service   string      `json:"service"`
	Geography string      `json:"geography,omitempty"` // empty: the whole ramp
	Action    ramp.Action `json:"action"`              // hold, back, roll_back or pause
	FromShare float64     `json:"from_share"`
	ToShare   float64     `json:"to_share"`
	To        edge.Scheme `json:"to"`
	Reason    string      `json:"reason"`
	At        time.Time   `json:"at"`
	By        string      `json:"by,omitempty"` // operator
}

// Bounds of the webhook.
const (
	maxMessages = 256 // that wait
	hookTries   = 6   // of one message: 1, 2, 4, 8, 16 s apart
	hookTimeout = 10 * time.Second
)

// webhook tells somebody of holds and of steps back. Its URL is a secret: no
// error and no log has it.
type webhook struct {
	url    string
	client *http.Client
	log    *slog.Logger
	queue  chan Message

	mu    sync.Mutex
	holds map[string]string // guarded by mu: by ramp and geography, the reason's kind that was told
	lost  int               // guarded by mu
}

func newWebhook(address string, log *slog.Logger) (*webhook, error) {
	h := &webhook{url: address, log: log, queue: make(chan Message, maxMessages), holds: map[string]string{}}
	if address == "" {
		return h, nil
	}
	if u, err := url.Parse(address); err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return nil, errors.New("runner: the webhook wants an http or https URL") // without it: it may hold a secret
	}
	h.client = &http.Client{Timeout: hookTimeout, CheckRedirect: func(*http.Request, []*http.Request) error {
		return errors.New("redirects are not followed")
	}}
	return h, nil
}

// tell queues messages about what a look came to. A hold is told when it
// begins, not at every look.
func (h *webhook) tell(_, after *kept, look *Look) {
	if h.url == "" {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range look.Decisions {
		d := &look.Decisions[i]
		key := after.record.ID + "/" + d.Geography
		switch d.Action {
		case ramp.Holds:
			if _, told := h.holds[key]; told {
				continue
			}
			h.holds[key] = d.Reason
		case ramp.Back, ramp.Rolled, ramp.Paused:
			delete(h.holds, key)
		default:
			delete(h.holds, key)
			continue
		}
		m := Message{
			Ramp: after.record.ID, Service: after.plan.Service, Geography: d.Geography, Action: d.Action,
			FromShare: d.From, ToShare: d.To, To: after.plan.To, Reason: d.Reason, At: d.At, By: look.By,
		}
		select {
		case h.queue <- m:
		default:
			h.lost++
		}
	}
}

// run sends what is queued, one after the other, until ctx is done.
func (h *webhook) run(ctx context.Context, told *prometheus.CounterVec) {
	for {
		select {
		case <-ctx.Done():
			return
		case m := <-h.queue:
			result := "sent"
			if err := h.send(ctx, &m); err != nil {
				if ctx.Err() != nil {
					return
				}
				result = "failed"
				h.log.Error("webhook not told", "ramp", m.Ramp, "geography", m.Geography, "action", string(m.Action), "error", err)
			}
			told.WithLabelValues(result).Inc()
			h.mu.Lock()
			told.WithLabelValues("dropped").Add(float64(h.lost))
			h.lost = 0
			h.mu.Unlock()
		}
	}
}

// send posts a message, again after a failure.
func (h *webhook) send(ctx context.Context, m *Message) error {
	body, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("runner: %w", err)
	}
	wait := time.Second
	for n := 1; ; n++ {
		err = h.post(ctx, body)
		var refused *statusError
		if err == nil || n == hookTries || errors.As(err, &refused) && refused.final() {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
			wait *= 2
		}
	}
}

type statusError struct{ code int }

func (e *statusError) Error() string { return fmt.Sprintf("runner: webhook: status %d", e.code) }

// final reports whether the same again would be refused again.
func (e *statusError) final() bool {
	return e.code/100 == 4 && e.code != http.StatusTooManyRequests && e.code != http.StatusRequestTimeout
}

func (h *webhook) post(ctx context.Context, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.url, bytes.NewReader(body))
	if err != nil {
		return errors.New("runner: webhook: its URL cannot be used")
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := h.client.Do(req)
	if err != nil {
		var u *url.Error // its text has the URL
		if errors.As(err, &u) {
			err = u.Err
		}
		return fmt.Errorf("runner: webhook: %w", err)
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // so that the connection can be used again
	_ = resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return &statusError{resp.StatusCode}
	}
	return nil
}
