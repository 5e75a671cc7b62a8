package synth_test

import (
	"fmt"
	"os"
	"testing"
	"time"

	"catchment/internal/downloadlog"
	"catchment/internal/edge"
)

// TestQuiet: where nothing happens nothing fails. Downloads run at the same
// time, from sixteen networks, over VIPs and over unicast, until as many have
// ended. LAB_QUIET=1008x75s is what the documents have.
func TestQuiet(t *testing.T) {
	const networks = 16
	want, length := 320, 2*time.Second
	if s := os.Getenv("LAB_QUIET"); s != "" {
		var text string
		if _, err := fmt.Sscanf(s, "%dx%s", &want, &text); err != nil {
			t.Fatalf("LAB_QUIET=%q: %v (want such as 1008x75s)", s, err)
		}
		var err error
		if length, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	w, begin := newWorld(t, networks), time.Now()
	for i := range networks {
		w.agent(t, i, want/networks, length.String())
	}
	type outcome struct {
		kind    edge.DownloadKind
		outcome edge.DownloadOutcome
	}
	var all map[outcome]int
	anycast := 0
	within(t, 2*length+20*time.Second, func() string {
		all, anycast = map[outcome]int{}, 0
		for r, err := range downloadlog.Read(w.path("data"), time.Time{}, time.Time{}) {
			if err != nil {
				t.Fatal(err)
			}
			d := r.Download
			all[outcome{d.Kind, d.Outcome}]++
			if d.Kind == edge.SlowDownload && d.Target.Anycast() {
				anycast++
			}
		}
		if all[outcome{edge.SlowDownload, edge.DownloadOK}] < want {
			return fmt.Sprint(all)
		}
		return ""
	})
	for o, n := range all {
		if o.outcome != edge.DownloadOK {
			t.Errorf("%d of kind %s: %s", n, o.kind, o.outcome)
		}
	}
	if anycast == 0 {
		t.Error("none of them over a VIP")
	}
	t.Logf("figures: quiet: %d downloads of %v, %d at a time, %d over VIPs; %d looks and %d bursts of large packets beside them; after %.0f s nothing had failed: %v",
		all[outcome{edge.SlowDownload, edge.DownloadOK}], length, want, anycast, all[outcome{edge.LookDownload, edge.DownloadOK}], all[outcome{edge.BigDownload, edge.DownloadOK}], time.Since(begin).Seconds(), all)
}
