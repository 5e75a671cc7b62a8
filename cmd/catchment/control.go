package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"
)

func controlCommand() command {
	return command{"control", "back up the state of the control node", runControl}
}

func runControl(ctx context.Context, io stdio, args []string) error {
	const usage = "Usage: catchment control backup --out FILE --token-file FILE [flags]\n"
	switch {
	case len(args) > 0 && args[0] == "backup":
		return runBackup(ctx, io, args[1:])
	case len(args) > 0 && (args[0] == "-h" || args[0] == "--help" || args[0] == "help"):
		fmt.Fprint(io.out, usage)
		return nil
	}
	fmt.Fprint(io.err, usage)
	return errUsage
}

// backupWithin bounds how long a backup takes.
const backupWithin = 10 * time.Minute

func runBackup(ctx context.Context, io stdio, args []string) error {
	fs := newFlags(io, "control backup", "control backup --out FILE --token-file FILE [flags]", "Writes what the control node keeps, as it is at one moment, to a file: drains, sheds,\nramps, pins, the audit trail (docs/control.md). What is there already is replaced\nonce the new one is whole.")
	var f apiFlags
	f.register(fs)
	out := fs.String("out", "", "`file` to write (required)")
	why := fs.String("why", "", "`text` for the audit trail (default $USER@host)")
	if err := parse(fs, args); err != nil {
		return err
	}
	if fs.NArg() > 0 || *out == "" {
		return usagef(fs, "want --out FILE, and no arguments")
	}
	client, err := f.client(fs)
	if err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(*out), "."+filepath.Base(*out)+"-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	ctx, cancel := context.WithTimeout(ctx, backupWithin)
	defer cancel()
	query := url.Values{"why": {(&operateFlags{why: *why}).reason()}}
	n, err := client.Download(ctx, "/api/v1/backup?"+query.Encode(), file)
	if err = errors.Join(answered(err), file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := os.Rename(file.Name(), *out); err != nil {
		return err
	}
	fmt.Fprintf(io.err, "%s: %d bytes\n", *out, n)
	return nil
}
