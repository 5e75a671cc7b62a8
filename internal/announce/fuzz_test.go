package announce

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// FuzzState: whatever a state file holds, New refuses it or makes an agent of
// it that can be stepped, saved and loaded again.
func FuzzState(f *testing.F) {
	cfg := historyConfig()
	f.Add([]byte(nil))
	f.Add([]byte(`{"format":1,"pop":"iad","version":1,"checks":{"web":null},"vips":{"global":null,"x":{"announced":true}},"drain":{"phase":"ttl","since":"9999-12-31T23:59:59Z"}}`))
	f.Add([]byte(`{"format":1,"pop":"iad","at":"2026-11-01T12:00:00Z","version":3,"checks":{"web":{"state":"up"}},"vips":{"global":{"announced":true,"out":true,"withdrawals":["2026-11-01T11:59:00Z","2026-11-01T11:58:00Z"]}}}`))
	for _, seed := range []uint64{1, 2} {
		times, inputs := history(seed, 200)
		a, err := New(cfg, nil, start)
		if err != nil {
			f.Fatal(err)
		}
		for i := range inputs {
			a.Step(times[i], inputs[i])
		}
		f.Add(a.State())
	}
	f.Fuzz(func(t *testing.T, saved []byte) {
		a, err := New(cfg, saved, start)
		if err != nil {
			return
		}
		times, inputs := history(3, 100)
		for i := range inputs {
			out := a.Step(times[i], inputs[i])
			if len(out.Wanted) != 3 || !out.Wanted[0].Announced {
				t.Fatalf("wanted %+v", out.Wanted)
			}
			if !out.Due.IsZero() && !out.Due.After(times[i]) {
				t.Fatalf("due at %v, it is %v", out.Due, times[i])
			}
		}
		once := a.State()
		if !json.Valid(once) {
			t.Fatalf("saved %q", once)
		}
		b, err := New(cfg, once, times[len(times)-1])
		if err != nil {
			t.Fatal(err)
		}
		if n := len(b.st.VIPs["global"].Withdrawals); n > b.cfg.Flaps {
			t.Fatalf("%d withdrawals are remembered", n)
		}
	})
}

func TestNewRefusesState(t *testing.T) {
	for state, want := range map[string]string{
		`{`:                        "announce: saved state: unexpected end of JSON input",
		`{"format":2}`:             "announce: saved state: format: 2, want 1",
		`{"format":1,"pop":"fra"}`: `announce: saved state: pop: is "fra", want "iad"`,
		`{"format":1,"pop":"iad"}`: "announce: saved state: version: out of range",
		`{"format":1,"pop":"iad","version":1,"drain":{"phase":"gone"}}`:         `announce: saved state: drain.phase: there is no "gone"`,
		`{"format":1,"pop":"iad","version":1,"checks":{"web":{"state":"ill"}}}`: `announce: saved state: checks.web.state: there is no "ill"`,
		string(bytes.Repeat([]byte(" "), maxState+1)):                           "announce: saved state: has 1048577 bytes, want up to 1048576",
	} {
		_, err := New(testConfig(), []byte(state), start)
		if err == nil {
			t.Errorf("taken: %.80s", state)
		} else if diff := cmp.Diff(want, err.Error()); diff != "" {
			t.Error(diff)
		}
	}
}

// A clock that was set back neither holds anything up nor brings a drain
// forward.
func TestClockSetBackOverARestart(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Jitter = None })
	r.run(10 * time.Second)
	r.bad["web"] = true
	r.run(3 * time.Second)
	saved := r.a.State()
	r.now = r.now.Add(-24 * time.Hour)
	r.restart(saved)
	r.bad["web"] = false
	r.run(2*time.Second + 29*time.Second)
	r.is("global", "withdrawn", "held down")
	r.run(time.Second)
	r.is("global", "announced")
}

// What was said of the config's withdrawals survives as JSON.
func TestStateRoundTrip(t *testing.T) {
	times, inputs := history(5, 500)
	a := mustNew(t, historyConfig(), nil, start)
	for i := range inputs {
		a.Step(times[i], inputs[i])
		b := mustNew(t, historyConfig(), a.State(), times[i])
		if diff := cmp.Diff(a.st.Drain, b.st.Drain); diff != "" {
			t.Fatal(diff)
		}
		if diff := cmp.Diff(a.st.VIPs, b.st.VIPs); diff != "" {
			t.Fatal(diff)
		}
	}
}
