package main

import (
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"catchment/lab/delay"
)

func TestParseLink(t *testing.T) {
	for in, want := range map[string]delay.Link{
		"5ms":          {RTT: 5 * time.Millisecond},
		"1s±2ms":       {RTT: time.Second, Jitter: 2 * time.Millisecond},
		"5ms/0.01":     {RTT: 5 * time.Millisecond, Loss: 0.01},
		"5ms±1ms/0.01": {RTT: 5 * time.Millisecond, Jitter: time.Millisecond, Loss: 0.01},
		"down":         {Down: true},
	} {
		got, err := parseLink(in)
		if err != nil {
			t.Errorf("%s: %v", in, err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", in, d)
		}
	}
	for _, in := range []string{"", "5", "-5ms", "5ms±", "5ms±-1ms", "5ms/2", "5ms/x", "5ms/"} {
		if l, err := parseLink(in); err == nil {
			t.Errorf("%q is taken as %+v", in, l)
		}
	}
}

func TestRun(t *testing.T) {
	if os.Getuid() != 0 && os.Getenv("CI") != "true" {
		t.Skip("needs root")
	}
	f := func(want int, args ...string) {
		t.Helper()
		if got, err := run(args); got != want {
			t.Errorf("%q: status %d (%v), want %d", args, got, err, want)
		}
	}
	site := []string{"-site", "iad 5ms 192.0.2.10 198.51.100.1"}
	f(2, "-site", "iad")
	f(2, "-site", "iad 5 192.0.2.10")
	f(2, "-route", "198.51.100.1 gru")
	f(2, append(site, "-at", "gru true")...)
	f(7, append(site, "--", "sh", "-c", "exit 7")...)
	// The client reaches an address of the site, which its kernel then refuses.
	f(0, append(site, "--", "sh", "-c", "ip route get 192.0.2.10 | grep -q lab0 && ! ip addr | grep -q 192.0.2.10")...)
}
