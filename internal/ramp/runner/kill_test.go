package runner_test

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"catchment/internal/ramp/runner"
)

// killDir tells the test binary that it is the process to be killed, and where
// its state is.
const killDir = "RUNNER_TEST_KILL_DIR"

// looks is how many looks the ramp of the tests below takes.
const looks = 56

// TestKilled kills a process that runs a ramp again and again, at any moment,
// with SIGKILL. What the processes did together must be, look for look, what
// one does that lives: no client changes its arm, no dwell is shortened, no
// step is taken twice.
func TestKilled(t *testing.T) {
	if dir := os.Getenv(killDir); dir != "" {
		ramping(t, dir)
		return
	}
	if testing.Short() {
		t.Skip("processes take seconds to be killed often enough")
	}
	dir := tempDB(t)
	kills, done := 0, false
	for wait := 30 * time.Millisecond; !done; wait = wait*6/5 + time.Millisecond {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKilled$")
		cmd.Env = append(os.Environ(), killDir+"="+dir)
		var out strings.Builder
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		timer := time.AfterFunc(wait, func() { _ = cmd.Process.Kill() })
		err := cmd.Wait()
		timer.Stop()
		var exit *exec.ExitError
		switch {
		case err == nil:
			done = true
		case errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL:
			kills++
		default:
			t.Fatalf("%v\n%s", err, &out)
		}
	}
	c := plane(t, dir)
	defer c.Close()
	killed := newRig(t, c, nil)
	whole := plane(t, tempDB(t))
	defer whole.Close()
	lived := newRig(t, whole, nil)
	lived.users.harmed = "br"
	if err := lived.Start(testPlan(t), "alice", "to see"); err != nil {
		t.Fatal(err)
	}
	lived.goOn(looks)
	got, _, err := killed.Looks("r", 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	want, _, err := lived.Looks("r", 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	if kills < 5 {
		t.Errorf("it was killed %d times only", kills)
	}
	if text(t, got) != text(t, want) {
		t.Errorf("after %d kills it went\n%s, want\n%s", kills, sayings(got), sayings(want))
	}
	if killed.shares() != lived.shares() {
		t.Errorf("shares %q, want %q", killed.shares(), lived.shares())
	}
	t.Logf("killed %d times", kills)
}

// ramping goes on with the ramp until it is through, its clock being that of
// the evidence: the next look is due when it starts.
func ramping(t *testing.T, dir string) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	c := plane(t, dir)
	r := newRig(t, c, nil)
	r.users.harmed = "br"
	err := r.Start(testPlan(t), "alice", "to see")
	if err != nil && !errors.Is(err, runner.ErrTaken) {
		t.Fatal(err)
	}
	for {
		all, err := r.Summaries()
		if err != nil {
			t.Fatal(err)
		}
		if r.now = all[0].Seen.Add(5*time.Minute + time.Second); all[0].Geographies[1].Phase == "rolled_back" {
			break
		}
		if err := r.Look(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	_ = c.Close()
}
