package node

import (
	"context"
	"errors"
	"log/slog"
	"testing"
)

// TestStart: a service that was started early is stopped with the others, and
// its failure is the process's.
func TestStart(t *testing.T) {
	running := make(chan struct{})
	s := Start(Func(func(ctx context.Context) error {
		close(running)
		<-ctx.Done()
		return nil
	}))
	<-running
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Run(ctx, slog.New(slog.DiscardHandler), Named{"early", s}); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}

	broken := errors.New("broken")
	s = Start(Func(func(context.Context) error { return broken }))
	if err := Run(t.Context(), slog.New(slog.DiscardHandler), Named{"early", s}); !errors.Is(err, broken) {
		t.Error(err)
	}
}
