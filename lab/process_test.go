package lab_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"catchment/lab/delay"
)

// process is something that runs at a site.
type process struct {
	cmd  *exec.Cmd
	log  *bytes.Buffer // its stderr; complete once done is closed
	done chan struct{}
	err  error
}

func startProcess(t *testing.T, s *delay.Site, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{cmd: cmd, log: &bytes.Buffer{}, done: make(chan struct{})}
	cmd.Stderr = p.log
	if err := s.Start(cmd); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() { p.stop(t) })
	return p
}

func (p *process) exited() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// stop asks the process to stop, which it must do within 15 s and with status
// 0. It may be called again.
func (p *process) stop(t *testing.T) {
	t.Helper()
	if p.cmd == nil {
		return
	}
	name := strings.Join(p.cmd.Args, " ")
	p.cmd.Process.Signal(syscall.SIGTERM)
	p.cmd = nil
	select {
	case <-p.done:
		if p.err != nil {
			t.Errorf("%s: %v\n%s", name, p.err, p.log)
		}
	case <-time.After(15 * time.Second):
		t.Errorf("%s does not stop", name) // the network's end kills it
	}
}

// binary returns the program under test: $LAB_BINARY, else this tree's, built
// once.
func binary(t *testing.T) string {
	t.Helper()
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

var build = sync.OnceValues(func() (string, error) {
	if path := os.Getenv("LAB_BINARY"); path != "" {
		return filepath.Abs(path)
	}
	path, err := filepath.Abs("../bin/catchment")
	if err != nil {
		return "", err
	}
	cmd := exec.Command("go", "build", "-o", path, "../cmd/catchment")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%v: %w\n%s", cmd, err, out)
	}
	return path, nil
})
