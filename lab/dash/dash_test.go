// Package dash_test walks the dashboard of a real `catchment demo` in a real
// browser: every page in both themes and at both widths, and what operators do
// there. GOLDEN=update also takes the screenshots of docs/images.
package dash_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"syscall"
	"testing"
	"time"
)

// maxShot is what a screenshot in the repository may weigh, in bytes.
const maxShot = 250_000

// The history that the demo starts with: enough for verdicts by country, and
// quick to make; for screenshots what people get.
const views, allViews = "300000", "5000000"

func TestWalk(t *testing.T) {
	requirements(t)
	update := os.Getenv("GOLDEN") == "update"
	n := views
	if update {
		n = allViews
	}
	at := demo(t, n)
	args := []string{"../../web/test/dash/walk/main.mjs", at.base}
	images, err := filepath.Abs("../../docs/images")
	if err != nil {
		t.Fatal(err)
	}
	if update {
		args = append(args, images)
	}
	cmd := exec.CommandContext(t.Context(), "node", args...)
	temp := t.TempDir() // profile and crash dumps, however the browser ends
	cmd.Env = append(os.Environ(), "TMPDIR="+temp, "HOME="+temp, "CATCHMENT_LOGIN="+at.login, "CATCHMENT_TOKEN="+at.token)
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Errorf("the walk: %v", err)
	}
	if update {
		shots, err := filepath.Glob(filepath.Join(images, "dash-*.png"))
		if err != nil || len(shots) == 0 {
			t.Fatalf("no screenshots in %s: %v", images, err)
		}
		for _, shot := range shots {
			if info, err := os.Stat(shot); err != nil || info.Size() > maxShot {
				t.Errorf("%s: %d bytes, want at most %d (%v)", shot, info.Size(), maxShot, err)
			}
		}
	}
}

// requirements skips where what the walk needs is missing, but not in CI.
func requirements(t *testing.T) {
	t.Helper()
	missing := t.Skipf
	if os.Getenv("CI") == "true" {
		missing = t.Fatalf
	}
	for _, name := range []string{"chromium", "node", "npm"} {
		if _, err := exec.LookPath(name); err != nil {
			missing("%v", err)
		}
	}
	if testing.Short() {
		t.Skip("takes a minute")
	}
	if err := install(); err != nil {
		t.Fatal(err)
	}
}

// install installs what the walk takes from web/, unless that is there.
var install = sync.OnceValue(func() error {
	if _, err := os.Stat("../../web/node_modules/axe-core"); err == nil {
		return nil
	}
	cmd := exec.Command("npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts")
	cmd.Dir = "../../web"
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%v in web: %w\n%s", cmd, err, out)
	}
	return nil
})

// catchment returns the program under test: $LAB_BINARY, else this tree's.
var catchment = sync.OnceValues(func() (string, error) {
	if path := os.Getenv("LAB_BINARY"); path != "" {
		return filepath.Abs(path)
	}
	path, err := filepath.Abs("../../bin/catchment")
	if err != nil {
		return "", err
	}
	cmd := exec.Command("go", "build", "-o", path, "../../cmd/catchment")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%v: %w\n%s", cmd, err, out)
	}
	return path, nil
})

// place is where a demo's dashboard is, and what leads into it.
type place struct{ base, login, token string }

// What the demo says, in the order in which it does.
var (
	link   = regexp.MustCompile(`^Open\s+((http://[^/]+)/\S+)`)
	token  = regexp.MustCompile(` there is the token (\S+)$`)
	stored = regexp.MustCompile(`page views stored in`)
)

// demo starts a demo and returns where it is, once its history is there.
func demo(t *testing.T, views string) place {
	t.Helper()
	path, err := catchment()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "demo", "--listen", "127.0.0.1:0", "--views", views, "--data", t.TempDir())
	pr, pw := io.Pipe()
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = pw, pw
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		done <- cmd.Wait()
		pw.Close()
	}()
	ready := make(chan place, 1)
	read := make(chan struct{})
	go func() {
		defer close(read)
		var at place
		for lines := bufio.NewScanner(pr); lines.Scan(); {
			line := lines.Text()
			log.WriteString(line + "\n")
			if m := link.FindStringSubmatch(line); m != nil {
				at.login, at.base = m[1], m[2]
			}
			if m := token.FindStringSubmatch(line); m != nil {
				at.token = m[1]
			}
			if stored.MatchString(line) && at.login != "" && at.token != "" {
				ready <- at
			}
		}
		close(ready)
	}()
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("catchment demo: %v", err)
			}
		case <-time.After(15 * time.Second):
			t.Error("catchment demo does not stop")
			cmd.Process.Kill()
			<-done
		}
		<-read
		if t.Failed() {
			t.Logf("catchment demo:\n%s", log.Bytes())
		}
	})
	select {
	case at, ok := <-ready:
		if ok {
			return at
		}
		t.Fatal("catchment demo ended, or did not say where it is")
	case <-time.After(3 * time.Minute):
		t.Fatal("catchment demo has no dashboard after three minutes")
	}
	return place{}
}
