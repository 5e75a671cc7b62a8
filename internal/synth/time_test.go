package synth

import (
	"context"
	"errors"
	"net"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// dialer fails to dial TCP and UDP; a nil error for UDP is a connection.
func dialer(errs [2]error) func(context.Context, *net.Dialer, string, string) (net.Conn, error) {
	return func(_ context.Context, _ *net.Dialer, network, _ string) (net.Conn, error) {
		err := errs[0]
		if network == "udp" {
			err = errs[1]
		}
		if err == nil {
			c, _ := net.Pipe()
			return c, nil
		}
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
}

// call is one connection that was asked for.
type call struct {
	At   time.Duration
	Addr string
}

// schedule runs an agent whose every connection is refused, for an hour, and
// returns its calls.
func schedule(t *testing.T, cfg Config) (calls []call) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		cfg.Looks, cfg.BigEvery = -1, -1
		cfg.Dial = func(_ context.Context, _ *net.Dialer, _, addr string) (net.Conn, error) {
			calls = append(calls, call{time.Since(begin), addr}) // one at a time: slots never meet
			return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
		}
		a, _, _ := newAgent(t, cfg)
		a.SetFleet(world())
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if err := a.Run(ctx); err != nil {
			t.Fatal(err)
		}
	})
	return calls
}

func TestSchedule(t *testing.T) {
	cfg := Config{Seed: 7, Concurrency: 1}
	first, again := schedule(t, cfg), schedule(t, cfg)
	if d := cmp.Diff(first, again); d != "" {
		t.Errorf("the same seed, another schedule:\n%s", d)
	}
	cfg.Seed = 8
	if cmp.Equal(first, schedule(t, cfg)) {
		t.Error("another seed, the same schedule")
	}
	// One slot, whose downloads are refused, keeps their time: of 75 s and less.
	if n := len(first); n < 3600/85 || n > 3600/25 {
		t.Errorf("%d downloads in an hour", n)
	}
	byAddr := map[string]int{}
	for _, c := range first {
		byAddr[c.Addr]++
	}
	if vip := byAddr["127.0.0.2:443"]; vip < len(first)/2 || vip > len(first)/2+1 {
		t.Errorf("%d of %d over the VIP: %v", vip, len(first), byAddr)
	}
	if d := byAddr["127.0.0.1:443"] - byAddr["[::1]:443"]; d < -2 || d > 2 {
		t.Errorf("controls are not even: %v", byAddr)
	}
}

// The slots' beginnings are spread over a usual length.
func TestSpread(t *testing.T) {
	p := newPlanner(&Config{Concurrency: 20, Length: 75 * time.Second, Seed: 1})
	for slot := range 20 {
		if at, want := p.offset(slot), time.Duration(slot)*3750*time.Millisecond; at != want {
			t.Errorf("slot %d begins after %v, want %v", slot, at, want)
		}
	}
}

// Half of the lengths are the usual one, the others climb the ladder evenly.
func TestLengths(t *testing.T) {
	cfg := Config{Seed: 3}.withDefaults()
	p := newPlanner(&cfg)
	p.set([]Route{{Target: "vip:global"}}, nil)
	count := map[time.Duration]int{}
	big := 0
	for range 8000 {
		j, ok, _ := p.next()
		if !ok {
			t.Fatal("no job")
		}
		count[j.Length]++
		if j.Big {
			big++
		}
		if j.Pause < 2500*time.Millisecond || j.Pause > 7500*time.Millisecond {
			t.Fatalf("pause %v", j.Pause)
		}
	}
	for _, l := range cfg.Ladder {
		want := 500
		if l == cfg.Length {
			want += 4000
		}
		if n := count[l]; n < want-200 || n > want+200 { // 4.5 standard deviations of the coin, and more
			t.Errorf("%d of 8000 last %v, want about %d", n, l, want)
		}
	}
	if big < 1800 || big > 2200 {
		t.Errorf("%d of 8000 big", big)
	}
}

// Slots wait while there is nothing to download from.
func TestNoRoutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dialed := make(chan time.Time, 1)
		a, _, _ := newAgent(t, Config{Concurrency: 1, Looks: -1, BigEvery: -1, Pause: time.Nanosecond, Dial: func(context.Context, *net.Dialer, string, string) (net.Conn, error) {
			dialed <- time.Now()
			return nil, syscall.ECONNREFUSED
		}})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- a.Run(ctx) }()
		time.Sleep(time.Hour)
		begin := time.Now()
		a.SetFleet(world())
		if at := <-dialed; at.Sub(begin) > time.Millisecond {
			t.Errorf("dialed %v after there was a fleet", at.Sub(begin))
		}
		cancel()
		<-done
	})
}

func TestPulse(t *testing.T) {
	const limit = 30 * time.Second
	for _, c := range []struct {
		name   string
		beats  []time.Duration // silences before bytes
		until  time.Duration   // 0: never
		stop   time.Duration   // 0: never
		want   error
		at     time.Duration
		gap    time.Duration
		stalls int
	}{
		{"silence", nil, 0, 0, errSilent, limit, limit, 1},
		{"silence later", []time.Duration{20 * time.Second, 500 * time.Millisecond, 29 * time.Second}, 0, 0, errSilent, 79500 * time.Millisecond, limit, 3},
		{"too long", []time.Duration{20 * time.Second, 20 * time.Second, 20 * time.Second}, 50 * time.Second, 0, errOverrun, 50 * time.Second, 20 * time.Second, 3},
		{"stopped", []time.Duration{20 * time.Second}, 0, 25 * time.Second, errStopped, 25 * time.Second, 20 * time.Second, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				far, near := net.Pipe()
				defer far.Close()
				p, begin := newPulse(near), time.Now()
				var until time.Time
				if c.until > 0 {
					until = begin.Add(c.until)
				}
				p.phase(limit, until, true)
				go func() {
					for _, d := range c.beats {
						time.Sleep(d)
						far.Write([]byte("x"))
					}
				}()
				if c.stop > 0 {
					time.AfterFunc(c.stop, p.stop)
				}
				var err error
				for err == nil {
					_, err = p.Read(make([]byte, 8))
				}
				gap, stalls, first := p.seen()
				if !errors.Is(err, c.want) || first != err || time.Since(begin) != c.at || gap != c.gap || stalls != c.stalls {
					t.Errorf("%v (%v) after %v, longest silence %v, %d stalls; want %v after %v, %v, %d",
						err, first, time.Since(begin), gap, stalls, c.want, c.at, c.gap, c.stalls)
				}
				near.Close()
				time.Sleep(time.Minute) // until the writer has seen it
			})
		})
	}
}
