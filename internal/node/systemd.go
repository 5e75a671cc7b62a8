package node

import (
	"context"
	"log/slog"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// The three states that systemd is told (sd_notify(3)); all are no-ops when
// the process was not started by it. An error only means that nobody listens.
func notifyReady()    { _, _ = daemon.SdNotify(false, daemon.SdNotifyReady) }
func notifyStopping() { _, _ = daemon.SdNotify(false, daemon.SdNotifyStopping) }

// Watched is a service that can hang while the process goes on: then systemd's
// watchdog is no longer fed, which ends the process.
type Watched interface {
	Alive() bool
}

// keepWatchdog tells systemd's watchdog at half its interval that the process
// still schedules goroutines, and that its services are alive as far as they
// tell, until ctx is done.
func keepWatchdog(ctx context.Context, log *slog.Logger, services []Named) {
	interval, err := daemon.SdWatchdogEnabled(false)
	if err != nil || interval <= 0 {
		return
	}
	tick := time.NewTicker(interval / 2)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if hung := hanging(services); hung != "" {
				log.Error("a service hangs, the watchdog is not fed", "service", hung)
				continue
			}
			_, _ = daemon.SdNotify(false, daemon.SdNotifyWatchdog)
		}
	}
}

// hanging returns the name of a service that is not alive, if any is not.
func hanging(services []Named) string {
	for _, s := range services {
		if w, ok := s.Service.(Watched); ok && !w.Alive() {
			return s.Name
		}
	}
	return ""
}
