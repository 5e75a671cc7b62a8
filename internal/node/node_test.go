package node

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

func TestRunStopsInReverse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stopped := make(chan string, 3)
		service := func(name string, after time.Duration) Named {
			return Named{name, Func(func(ctx context.Context) error {
				<-ctx.Done()
				time.Sleep(after)
				stopped <- name
				return nil
			})}
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() {
			done <- Run(ctx, quiet, service("store", 0), service("collector", time.Second), service("listener", 3*time.Second))
		}()
		synctest.Wait()
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		close(stopped)
		var order []string
		for s := range stopped {
			order = append(order, s)
		}
		if got := strings.Join(order, " "); got != "listener collector store" {
			t.Errorf("stopped in the order %q", got)
		}
	})
}

func TestRunFailures(t *testing.T) {
	wait := Func(func(ctx context.Context) error { <-ctx.Done(); return nil })
	broken := errors.New("disk on fire")
	for _, c := range []struct {
		name    string
		service Service
		want    string
	}{
		{"fails", Func(func(context.Context) error { return broken }), "store: disk on fire"},
		{"returns early", Func(func(context.Context) error { return nil }), "store: stopped without being asked to"},
		{"never stops", Func(func(context.Context) error { select {} }), "store: did not stop within 45s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			// A goroutine blocked for ever is what the last case is about, and
			// synctest would rightly call it a deadlock: release it at the end.
			synctest.Test(t, func(t *testing.T) {
				release := make(chan struct{})
				defer close(release)
				service := c.service
				ctx, cancel := context.WithCancel(t.Context())
				if c.name == "never stops" {
					service = Func(func(context.Context) error { <-release; return nil })
					cancel()
				}
				defer cancel()
				err := Run(ctx, quiet, Named{"store", service}, Named{"other", wait})
				if err == nil || err.Error() != c.want {
					t.Errorf("got %v, want %s", err, c.want)
				}
			})
		})
	}
}

func TestAdmin(t *testing.T) {
	sick := errors.New("disk full")
	var health error
	admin := NewAdmin("127.0.0.1:0", NewRegistry(), func() error { return health }, nil)
	if err := admin.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- admin.Run(ctx) }()
	get := func(path string, wantStatus int, wantBody string) {
		t.Helper()
		resp, err := http.Get("http://" + admin.ListenAddr().String() + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != wantStatus || !strings.Contains(string(body), wantBody) {
			t.Errorf("%s: %d %.80q, want %d with %q", path, resp.StatusCode, body, wantStatus, wantBody)
		}
	}
	get("/healthz", 200, "ok")
	get("/metrics", 200, "go_goroutines")
	get("/debug/pprof/cmdline", 200, "node.test")
	get("/nothing", 404, "")
	health = sick
	get("/healthz", 503, "disk full")

	busy := NewAdmin(admin.ListenAddr().String(), NewRegistry(), func() error { return nil }, nil)
	if err := busy.Listen(); err == nil {
		t.Error("a busy port was accepted")
	} else if op := (*net.OpError)(nil); !errors.As(err, &op) {
		t.Errorf("got %v", err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
