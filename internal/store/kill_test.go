package store

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"catchment/internal/edge"
)

// killedDir tells a child of the test binary to write into a directory until it
// is killed.
const killedDir = "CATCHMENT_STORE_KILLED_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(killedDir); dir != "" {
		if err := writeUntilKilled(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// killedConfig seals and compacts as often as a short life allows.
func killedConfig(dir string) Config {
	return Config{
		Dir: dir, SealEvery: 20 * time.Millisecond, SealRows: 200, CompactEvery: 30 * time.Millisecond, CompactRun: 3,
		Grace: 50 * time.Millisecond, CommitDelay: time.Millisecond, MinFreeBytes: 1,
	}
}

const killedWriters = 8

// writeUntilKilled appends beacons 0, 1, 2 … of each writer, from CATCHMENT_STORE_FROM
// on, and prints each when it is acknowledged.
func writeUntilKilled(dir string) error {
	cfg := killedConfig(dir)
	if err := cfg.setDefaults(); err != nil {
		return err
	}
	s, err := open(cfg, quiet(), prometheus.NewRegistry(), &testHooks{logFile: 256 << 10})
	if err != nil {
		return err
	}
	ran := make(chan error, 1+killedWriters)
	go func() { ran <- s.Run(context.Background()) }()
	var printing sync.Mutex
	for w := range killedWriters {
		go func() {
			from, err := strconv.Atoi(strings.Split(os.Getenv("CATCHMENT_STORE_FROM"), ",")[w])
			for i := from; err == nil; i++ {
				_, err = s.Append(context.Background(), killedBeacon(w, i))
				printing.Lock()
				fmt.Printf("%d %d\n", w, i)
				printing.Unlock()
			}
			ran <- err
		}()
	}
	return <-ran
}

// killedBeacon is the same whenever it is sent, as an import's is. It may be of
// either of two days.
func killedBeacon(w, i int) *edge.Beacon {
	b := newTypical(uint64(w)<<32|uint64(i), testDay.Time().Add(24*time.Hour-time.Duration(i+1)*time.Second), time.Second).next()
	b.ID = fmt.Sprint(w, "-", i)
	if i%10 == 0 {
		b.Received = b.Received.Add(48 * time.Hour)
	}
	return b
}

// What was acknowledged survives kill -9, once, however often it is killed and
// although each process sends the last beacons of the one before again.
func TestKill(t *testing.T) {
	rounds, lives := 10, 5
	if testing.Short() {
		rounds = 2
	}
	rng := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0)) // the moment is random anyway
	for range rounds {
		dir := t.TempDir()
		acknowledged := make([]int, killedWriters) // how many of each writer, from 0
		for range lives {
			acknowledged = killOnce(t, dir, acknowledged, time.Duration(50+rng.IntN(200))*time.Millisecond)
			checkKilled(t, dir, acknowledged)
		}
	}
}

// killOnce lets a child write for a while and returns what was acknowledged.
func killOnce(t *testing.T, dir string, acknowledged []int, life time.Duration) []int {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	var from []string
	for _, n := range acknowledged {
		from = append(from, strconv.Itoa(max(0, n-3)))
	}
	cmd.Env = append(os.Environ(), killedDir+"="+dir, "CATCHMENT_STORE_FROM="+strings.Join(from, ","))
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var timer *time.Timer
	acknowledged = append([]int(nil), acknowledged...)
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if timer == nil { // it lives since now
			timer = time.AfterFunc(life, func() { _ = cmd.Process.Kill() })
		}
		var w, i int
		if n, _ := fmt.Sscan(lines.Text(), &w, &i); n == 2 && strings.Contains(lines.Text(), " ") {
			acknowledged[w] = max(acknowledged[w], i+1)
		}
	}
	if err := cmd.Wait(); timer == nil || cmd.ProcessState.ExitCode() >= 0 {
		t.Fatalf("the child ended by itself: %v\n%s", err, stderr.String())
	}
	return acknowledged
}

// checkKilled fails unless each acknowledged beacon is there exactly once, and
// no other but those that were on their way.
func checkKilled(t *testing.T, dir string, acknowledged []int) {
	t.Helper()
	s, err := Open(killedConfig(dir), quiet(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	segments, err := List(dir)
	if err != nil {
		t.Fatal(err)
	}
	copies := map[string]int{}
	var views, rows uint32
	for _, segment := range segments {
		for b, err := range ReadBeacons(segment) {
			if err != nil {
				t.Fatal(err)
			}
			copies[b.ID]++
			rows++
		}
		for r, err := range readRows[AssignmentRow](segment.Assignments(), nil) {
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range r.Views {
				views += n
			}
		}
	}
	missing := 0
	for w, n := range acknowledged {
		for i := range n {
			if copies[fmt.Sprint(w, "-", i)] == 0 {
				missing++
			}
		}
	}
	for id, n := range copies {
		if n != 1 {
			t.Errorf("%s is there %d times", id, n)
		}
	}
	if missing > 0 || views != rows {
		t.Errorf("%d acknowledged beacons are missing; %d are there, %d in the assignments", missing, rows, views)
	}
}
