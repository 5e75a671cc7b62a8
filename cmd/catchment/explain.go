package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"catchment/internal/follow"
	"catchment/internal/geo"
	"catchment/internal/steer"
)

func explainCommand() command {
	return command{"explain", "why a client is given the answer it is given", runExplain}
}

const explainAbout = `Prints each step of a steering decision. With --control the control node is asked,
about the snapshot that is in force; with --fleet or --snapshot it is worked out here.`

// explainFlags say what to explain, and from what.
type explainFlags struct {
	service, format  string
	client, resolver netip.Addr
	control          string
	access           controlFlags
	source           sourceFlags
	places           placeFlags
}

func runExplain(ctx context.Context, io stdio, args []string) error {
	fs := newFlags(io, "explain", "explain --client ADDR --service NAME --control URL --token-file FILE | --fleet FILE | --snapshot FILE [flags]", explainAbout)
	f := &explainFlags{}
	f.register(fs)
	if err := parse(fs, args); err != nil {
		return err
	}
	if err := f.check(fs); err != nil {
		return err
	}
	if f.control != "" {
		return f.ask(ctx, io)
	}
	return f.derive(io)
}

func (f *explainFlags) register(fs *flag.FlagSet) {
	fs.StringVar(&f.service, "service", "", "`name` that is asked for (required)")
	fs.TextVar(&f.client, "client", netip.Addr{}, "client `address`, as the resolver tells it; without it the resolver stands for its clients")
	fs.TextVar(&f.resolver, "resolver", netip.Addr{}, "`address` of the resolver that asks")
	fs.StringVar(&f.format, "format", "text", "text or json")
	fs.StringVar(&f.control, "control", "", "`URL` of the control node's /api/v1 (its --admin listener): http://127.0.0.1:9100")
	f.access.register(fs)
	fs.StringVar(&f.source.fleet, "fleet", "", "fleet `file`, instead of --control")
	fs.StringVar(&f.source.snapshot, "snapshot", "", "snapshot `file`, instead of --control, such as a name server's DATA/snapshot.json")
	f.places.register(fs)
}

func (f *explainFlags) check(fs *flag.FlagSet) error {
	given := 0
	for _, s := range []string{f.control, f.source.fleet, f.source.snapshot} {
		if s != "" {
			given++
		}
	}
	offline := len(f.places.files) > 0 || f.places.overrides != ""
	switch {
	case fs.NArg() > 0:
		return usagef(fs, "unexpected argument %q", fs.Arg(0))
	case f.service == "" || !f.client.IsValid() && !f.resolver.IsValid():
		return usagef(fs, "--service and --client (or --resolver) are required")
	case f.format != "text" && f.format != "json":
		return usagef(fs, "--format: %q is not text or json", f.format)
	case given != 1:
		return usagef(fs, "want exactly one of --control, --fleet and --snapshot")
	case (f.control != "") != (f.access.tokenFile != "") || f.control == "" && f.access.ca != "":
		return usagef(fs, "--control needs --token-file, and --token-file and --ca go with --control")
	case f.control != "" && offline:
		return usagef(fs, "--geo and --places go with --fleet or --snapshot: the control node has its own")
	}
	return nil
}

// derive explains from files.
func (f *explainFlags) derive(io stdio) error {
	snapshot, err := f.source.read()
	if err != nil {
		return &refusedError{err}
	}
	snapshot.Version = max(snapshot.Version, 1)
	places, err := geo.Open(geo.Config{Files: f.places.files, Places: f.places.overrides})
	if err != nil {
		return &refusedError{err}
	}
	plan, err := steer.Compile(snapshot, places)
	if err != nil {
		return &refusedError{err}
	}
	service := strings.TrimSuffix(strings.ToLower(f.service), ".")
	x, err := plan.Explain(steer.Query{Service: service, Client: f.client, Resolver: f.resolver})
	if err != nil {
		return err
	}
	if f.format == "json" {
		enc := json.NewEncoder(io.out)
		enc.SetIndent("", "  ")
		return enc.Encode(x)
	}
	_, err = fmt.Fprint(io.out, x)
	return err
}

// maxExplanation bounds what the control node says, in bytes.
const maxExplanation = 4 << 20

// ask asks the control node.
func (f *explainFlags) ask(ctx context.Context, io stdio) error {
	client, err := follow.NewAPIClient(f.control, f.access.tokenFile, f.access.ca)
	if err != nil {
		return &refusedError{err}
	}
	query := url.Values{"service": {f.service}, "format": {f.format}}
	if f.client.IsValid() {
		query.Set("client", f.client.String())
	}
	if f.resolver.IsValid() {
		query.Set("resolver", f.resolver.String())
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	text, err := client.Get(ctx, "/api/v1/explain?"+query.Encode(), maxExplanation)
	if err != nil {
		return err
	}
	_, err = io.out.Write(text)
	return err
}
