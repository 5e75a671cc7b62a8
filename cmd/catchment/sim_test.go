package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// runSimTest runs "catchment sim" with args, with its exit status.
func runSimTest(args ...string) (status int, out, said string) {
	var stdout, stderr bytes.Buffer
	// sim is looked up as main does it.
	err := runSim(context.Background(), stdio{strings.NewReader(""), &stdout, &stderr}, args)
	switch err {
	case nil:
		status = exitOK
	case errUsage:
		status = exitUsage
	default:
		status = exitFailed
		fmt.Fprintln(&stderr, err)
	}
	return status, stdout.String(), stderr.String()
}

func TestSimHelp(t *testing.T) {
	f := func(want int, says string, args ...string) {
		t.Helper()
		status, out, said := runSimTest(args...)
		if status != want || !strings.Contains(out+said, says) {
			t.Errorf("sim %q: status %d (want %d), says\n%s%s(want %q)", args, status, want, out, said, says)
		}
	}
	f(exitOK, "  generate make an invented Internet", "help")
	f(exitUsage, "Usage: catchment sim COMMAND")
	f(exitUsage, `unknown command "drain"`, "drain")
	f(exitUsage, `unexpected argument "x"`, "generate", "--as-rel", "y", "x")
	f(exitUsage, "--ases: 20 (want 500 to 200000)", "generate", "--as-rel", "y", "--ases", "20")
	f(exitUsage, "required", "generate")
}

func TestSimGenerate(t *testing.T) {
	file := filepath.Join(t.TempDir(), "as-rel.txt")
	status, out, said := runSimTest("generate", "--ases", "600", "--seed", "3", "--as-rel", file)
	if status != exitOK || out != "" {
		t.Fatalf("status %d, stdout %q, stderr %q", status, out, said)
	}
	if !strings.HasPrefix(said, "600 networks: 15 tier-1, ") || !strings.Contains(said, "5400 million users") {
		t.Errorf("it says %q", said)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	comment, rest, _ := strings.Cut(string(text), "\n")
	if want := "# generated, version 1: 600 ASes, seed 3; metro areas from GeoNames, CC BY 4.0"; comment != want {
		t.Errorf("first line %q (want %q)", comment, want)
	}
	var clique, links int
	for line := range strings.Lines(rest) {
		links++
		var a, b uint32
		var rel int
		if _, err := fmt.Sscanf(line, "%d|%d|%d\n", &a, &b, &rel); err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		if rel == 0 && b <= 4200000015 {
			clique++
		}
	}
	if clique != 15*14/2 {
		t.Errorf("%d peerings of tier-1s (want 105)", clique)
	}
	if !strings.Contains(said, fmt.Sprintf("%d links:", links)) {
		t.Errorf("%d lines; it says %q", links, said)
	}
}
