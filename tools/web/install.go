package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// install has npm fetch what web/package-lock.json locks, unless what is there
// is no older than the lock. npm writes its own lock once it is through.
func install(w io.Writer, web string) error {
	lock, err := os.Stat(filepath.Join(web, "package-lock.json"))
	if err != nil {
		return err
	}
	if have, err := os.Stat(filepath.Join(web, "node_modules", ".package-lock.json")); err == nil && !have.ModTime().Before(lock.ModTime()) {
		return nil
	}
	cmd := exec.Command("npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error")
	cmd.Dir, cmd.Stdout, cmd.Stderr = web, w, w
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%v: %w", cmd, err)
	}
	return nil
}
