package node

import (
	"context"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// The three states that systemd is told (sd_notify(3)); all are no-ops when
// the process was not started by it. An error only means that nobody listens.
func notifyReady()    { _, _ = daemon.SdNotify(false, daemon.SdNotifyReady) }
func notifyStopping() { _, _ = daemon.SdNotify(false, daemon.SdNotifyStopping) }

// keepWatchdog tells systemd's watchdog at half its interval that the process
// still schedules goroutines, until ctx is done.
func keepWatchdog(ctx context.Context) {
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
			_, _ = daemon.SdNotify(false, daemon.SdNotifyWatchdog)
		}
	}
}
