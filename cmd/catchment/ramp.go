package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"catchment/internal/follow"
	"catchment/internal/ramp"
)

func rampCommand() command {
	return command{"ramp", "move users from one scheme to another by steps, watched", runRamp}
}

// rampCommands in the order that help lists them.
func rampCommands() []command {
	return []command{
		{"plan", "propose a ramp, and regions, from what beacons say", runRampPlan},
		{"check", "validate a declaration", runRampCheck},
		{"start", "declare a ramp: it is watched, and begins by itself", runRampStart},
		{"status", "how far ramps are", runRampStatus},
		{"log", "every look, decision and command, with the reason", runRampLog},
		{"chart", "the curves of a ramp, as CSV or JSON", runRampChart},
		rampOrder("pause", "raise no share; guarding goes on"),
		rampOrder("resume", "end a pause, or what is held"),
		rampOrder("set", "put a geography at a step"),
		rampOrder("rollback", "take a ramp or a geography back to nothing; --all takes back every ramp, at once"),
		rampOrder("abort", "roll a ramp back and forget it"),
		{"end", "forget a ramp that is through", runRampEnd},
	}
}

func runRamp(ctx context.Context, io stdio, args []string) error {
	help := func(to interface{ Write([]byte) (int, error) }) {
		fmt.Fprint(to, "Usage: catchment ramp COMMAND [flags]\n\n")
		for _, c := range rampCommands() {
			fmt.Fprintf(to, "  %-9s %s\n", c.name, c.summary)
		}
		fmt.Fprint(to, "\n'catchment ramp COMMAND -h' lists the flags of a command.\n")
	}
	if len(args) == 0 {
		help(io.err)
		return errUsage
	}
	for _, c := range rampCommands() {
		if c.name == args[0] {
			return c.run(ctx, io, args[1:])
		}
	}
	if args[0] == "-h" || args[0] == "--help" || args[0] == "help" {
		help(io.out)
		return nil
	}
	fmt.Fprintf(io.err, "catchment ramp: unknown command %q\n\n", args[0])
	help(io.err)
	return errUsage
}

// apiFlags are those of whoever talks to /api/v1.
type apiFlags struct {
	control string
	controlFlags
}

func (f *apiFlags) register(fs *flag.FlagSet) {
	fs.StringVar(&f.control, "control", "http://127.0.0.1:9100", "`URL` of the control node's /api/v1 (its --admin listener)")
	f.controlFlags.register(fs)
}

// client returns a client of the API.
func (f *apiFlags) client(fs *flag.FlagSet) (*follow.Client, error) {
	if f.tokenFile == "" {
		return nil, usagef(fs, "--token-file is required")
	}
	c, err := follow.NewAPIClient(f.control, f.tokenFile, f.ca)
	if err != nil {
		return nil, &refusedError{err}
	}
	return c, nil
}

// maxRampAnswer bounds what the API answers, in bytes.
const maxRampAnswer = 64 << 20

// refused makes of an answer that the request does not fit a refusedError.
func refused(err error) error {
	var status *follow.StatusError
	if errors.As(err, &status) && (status.Code == http.StatusUnprocessableEntity || status.Code == http.StatusConflict || status.Code == http.StatusNotFound) {
		return &refusedError{err}
	}
	return err
}

func rampPath(id string) string { return "/api/v1/ramps/" + url.PathEscape(id) }

func runRampCheck(_ context.Context, io stdio, args []string) error {
	fs := newFlags(io, "ramp check", "ramp check FILE", "Says what is wrong with a declaration, with its lines.")
	if err := parse(fs, args); err != nil {
		return err
	}
	if fs.NArg() != 1 {
		return usagef(fs, "want one file")
	}
	_, _, err := readPlan(fs.Arg(0))
	return err
}

func readPlan(file string) (*ramp.Plan, []byte, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, nil, &refusedError{err}
	}
	p, err := ramp.Parse(file, text)
	if err != nil {
		return nil, nil, &refusedError{err}
	}
	return p, text, nil
}

func runRampStart(ctx context.Context, io stdio, args []string) error {
	fs := newFlags(io, "ramp start", "ramp start FILE --why TEXT --token-file FILE [flags]", "Declares a ramp (docs/ramps.md). Whom it is for is watched from now on, and it\nbegins by itself once that has lasted.")
	var f apiFlags
	f.register(fs)
	why := fs.String("why", "", "`text` for the trail (required)")
	files, err := mixed(fs, args)
	if err != nil {
		return err
	}
	if len(files) != 1 || *why == "" {
		return usagef(fs, "want one file, and --why")
	}
	p, _, err := readPlan(files[0])
	if err != nil {
		return err
	}
	client, err := f.client(fs)
	if err != nil {
		return err
	}
	if err := client.Call(ctx, http.MethodPost, "/api/v1/ramps?why="+url.QueryEscape(*why), p, nil); err != nil {
		return refused(err)
	}
	fmt.Fprintf(io.err, "%s is watched from now on, and begins after %s\n", p.ID, p.Observe)
	return nil
}

// mixed parses flags that may also come after arguments.
func mixed(fs *flag.FlagSet, args []string) (rest []string, err error) {
	for len(args) > 0 {
		if err := parse(fs, args); err != nil {
			return nil, err
		}
		if args = fs.Args(); len(args) > 0 {
			rest, args = append(rest, args[0]), args[1:]
		}
	}
	return rest, nil
}

// rampOrder is a command that changes a ramp.
func rampOrder(name, summary string) command {
	return command{name, summary, func(ctx context.Context, io stdio, args []string) error {
		fs := newFlags(io, "ramp "+name, "ramp "+name+" RAMP --why TEXT --token-file FILE [flags]", strings.ToUpper(summary[:1])+summary[1:]+".")
		var f apiFlags
		f.register(fs)
		var geography, share string
		all := false
		why := fs.String("why", "", "`text` for the trail (required)")
		if name != "abort" {
			fs.StringVar(&geography, "geography", "", "`id` of one geography; without it, the whole ramp")
		}
		if name == "set" {
			fs.StringVar(&share, "share", "", "`share` of a step, such as 25%, or 0 (required)")
		}
		if name == "rollback" {
			fs.BoolVar(&all, "all", false, "every ramp, for emergencies: needs neither store nor evidence")
		}
		ids, err := mixed(fs, args)
		if err != nil {
			return err
		}
		body := map[string]any{"why": *why}
		switch {
		case *why == "":
			return usagef(fs, "--why is required")
		case all && (len(ids) > 0 || geography != ""):
			return usagef(fs, "--all is every ramp: want neither a ramp nor --geography")
		case !all && len(ids) != 1:
			return usagef(fs, "want one ramp")
		case name == "set" && (geography == "" || share == ""):
			return usagef(fs, "--geography and --share are required")
		}
		if geography != "" {
			body["geography"] = geography
		}
		if share != "" {
			x, err := parseShare(share)
			if err != nil {
				return usagef(fs, "--share: %v", err)
			}
			body["share"] = x
		}
		client, err := f.client(fs)
		if err != nil {
			return err
		}
		if all {
			var answer struct {
				RolledBack []string `json:"rolled_back"`
			}
			if err := client.Call(ctx, http.MethodPost, "/api/v1/ramps/rollback", body, &answer); err != nil {
				return refused(err)
			}
			fmt.Fprintf(io.err, "rolled back: %s\n", strings.Join(answer.RolledBack, ", "))
			return nil
		}
		if name == "abort" {
			return refused(client.Call(ctx, http.MethodPost, rampPath(ids[0])+"/abort", body, nil))
		}
		var decisions []ramp.Decision
		if err := client.Call(ctx, http.MethodPost, rampPath(ids[0])+"/"+name, body, &decisions); err != nil {
			return refused(err)
		}
		for i := range decisions {
			writeDecision(io.err, &decisions[i])
		}
		return nil
	}}
}

func runRampEnd(ctx context.Context, io stdio, args []string) error {
	fs := newFlags(io, "ramp end", "ramp end RAMP --why TEXT --token-file FILE [flags]", "Forgets a ramp that is through, after the scheme that it led to has become the\nservice's own in the fleet file. Its trail stays.")
	var f apiFlags
	f.register(fs)
	why := fs.String("why", "", "`text` for the trail (required)")
	ids, err := mixed(fs, args)
	if err != nil {
		return err
	}
	if len(ids) != 1 || *why == "" {
		return usagef(fs, "want one ramp, and --why")
	}
	client, err := f.client(fs)
	if err != nil {
		return err
	}
	return refused(client.Call(ctx, http.MethodDelete, rampPath(ids[0])+"?why="+url.QueryEscape(*why), nil, nil))
}

func runRampChart(ctx context.Context, io stdio, args []string) error {
	fs := newFlags(io, "ramp chart", "ramp chart RAMP --token-file FILE [flags]", "Writes the share of page views that reached an optimal PoP over time, by\ngeography and arm, with what was decided.")
	var f apiFlags
	f.register(fs)
	every := fs.Duration("every", time.Hour, "what one value is of")
	format := fs.String("format", "csv", "csv or json")
	ids, err := mixed(fs, args)
	if err != nil {
		return err
	}
	if len(ids) != 1 {
		return usagef(fs, "want one ramp")
	}
	client, err := f.client(fs)
	if err != nil {
		return err
	}
	q := url.Values{"every": {every.String()}, "format": {*format}}
	text, err := client.Get(ctx, rampPath(ids[0])+"/chart?"+q.Encode(), maxRampAnswer)
	if err != nil {
		return refused(err)
	}
	_, err = io.out.Write(text)
	return err
}
