package main

import (
	"context"
	"fmt"
	"io"
)

func simCommand() command {
	return command{"sim", "plan on a simulated Internet: who reaches which PoP, and what a change would do", runSim}
}

// simCommands in the order that help lists them.
func simCommands() []command {
	return []command{
		simRun(),
		simWhatIf(),
		simBeacons(),
		simRamp(),
		simPlaces(),
		simExplain(),
		simGenerate(),
		simImport(),
		simStats(),
	}
}

func runSim(ctx context.Context, std stdio, args []string) error {
	if len(args) == 0 {
		simHelp(std.err)
		return errUsage
	}
	switch args[0] {
	case "help", "-h", "-help", "--help":
		simHelp(std.out)
		return nil
	}
	for _, c := range simCommands() {
		if c.name == args[0] {
			return c.run(ctx, std, args[1:])
		}
	}
	fmt.Fprintf(std.err, "catchment sim: unknown command %q\n\n", args[0])
	simHelp(std.err)
	return errUsage
}

func simHelp(w io.Writer) {
	fmt.Fprint(w, "Plans on an AS-level Internet, generated or imported: who reaches which PoP, and what a change would do.\n\nUsage: catchment sim COMMAND [flags]\n\n")
	for _, c := range simCommands() {
		fmt.Fprintf(w, "  %-8s %s\n", c.name, c.summary)
	}
	fmt.Fprint(w, "\n'catchment sim COMMAND -h' lists the flags of a command.\n")
}
