// Catchment tells which point of presence (PoP) each user of a service really
// reaches, which one they should reach, and moves them there safely.
//
// Every command has a file of its own here, with its flags and its wiring and
// nothing else.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// Exit statuses that scripts rely on.
const (
	exitOK      = 0
	exitFailed  = 1 // the job failed
	exitUsage   = 2
	exitRefused = 3 // the input was refused; the reasons are on stderr
)

// stdio is where a command reads and writes: what a program may parse goes to
// out, everything said to a person to err.
type stdio struct {
	in       io.Reader
	out, err io.Writer
}

// command is one subcommand. Run returns errUsage, a *refusedError, any other
// error (the job failed), or nil.
type command struct {
	name    string
	summary string
	run     func(ctx context.Context, io stdio, args []string) error
}

// commands in the order that help lists them.
func commands() []command {
	return []command{
		demoCommand(),
		serveCommand(),
		dnsCommand(),
		popCommand(),
		popsCommand(),
		synthCommand(),
		drainCommand(),
		restoreCommand(),
		shedCommand(),
		explainCommand(),
		rampCommand(),
		reportCommand(),
		importCommand(),
		exportCommand(),
		checkCommand(),
		controlCommand(),
		keygenCommand(),
		simCommand(),
	}
}

// errUsage says that the command line was wrong. The reason has been printed.
var errUsage = errors.New("usage")

// refusedError says that the input was refused.
type refusedError struct{ err error }

func (e *refusedError) Error() string { return e.err.Error() }
func (e *refusedError) Unwrap() error { return e.err }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, stdio{os.Stdin, os.Stdout, os.Stderr}, os.Args[1:]))
}

// run is main without the process: it returns the exit status.
func run(ctx context.Context, io stdio, args []string) int {
	if len(args) == 0 {
		help(io.err)
		return exitUsage
	}
	switch args[0] {
	case "help", "-h", "-help", "--help":
		help(io.out)
		return exitOK
	}
	for _, c := range commands() {
		if c.name != args[0] {
			continue
		}
		err := c.run(ctx, io, args[1:])
		var refused *refusedError
		switch {
		case err == nil, errors.Is(err, flag.ErrHelp):
			return exitOK
		case errors.Is(err, errUsage):
			return exitUsage
		case errors.As(err, &refused):
			fmt.Fprintln(io.err, err)
			return exitRefused
		default:
			fmt.Fprintf(io.err, "catchment %s: %v\n", c.name, err)
			return exitFailed
		}
	}
	fmt.Fprintf(io.err, "catchment: unknown command %q\n\n", args[0])
	help(io.err)
	return exitUsage
}

func help(w io.Writer) {
	fmt.Fprint(w, "Catchment: which PoP users reach, which one they should, and moving them there.\n\nUsage: catchment COMMAND [flags]\n\n")
	for _, c := range commands() {
		fmt.Fprintf(w, "  %-8s %s\n", c.name, c.summary)
	}
	fmt.Fprint(w, "\n'catchment COMMAND -h' lists the flags of a command.\n")
}

// newFlags returns a flag set that reports errors on io.err and never exits.
// Synopsis is what follows "catchment " in the usage line.
func newFlags(io stdio, name, synopsis, about string) *flag.FlagSet {
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	fs.SetOutput(io.err)
	fs.Usage = func() {
		fmt.Fprintf(fs.Output(), "Usage: catchment %s\n\n%s\n\n", synopsis, about)
		fs.PrintDefaults()
	}
	return fs
}

// parse parses args; a wrong flag is errUsage, -h is flag.ErrHelp.
func parse(fs *flag.FlagSet, args []string) error {
	err := fs.Parse(args)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		return errUsage
	}
	return err
}

// usagef prints what is wrong with the command line and returns errUsage.
func usagef(fs *flag.FlagSet, format string, args ...any) error {
	fmt.Fprintf(fs.Output(), "catchment %s: %s\n", fs.Name(), fmt.Sprintf(format, args...))
	return errUsage
}

// stringList is a flag that may be given several times.
type stringList []string

func (l *stringList) String() string     { return fmt.Sprint([]string(*l)) }
func (l *stringList) Set(s string) error { *l = append(*l, s); return nil }
