package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"

	"catchment/internal/authdns"
	"catchment/internal/edge"
	"catchment/internal/fleet"
	"catchment/internal/pop"
)

func checkCommand() command {
	return command{"check", "validate fleet files, and what a front end answers", runCheck}
}

func runCheck(ctx context.Context, io stdio, args []string) error {
	fs := newFlags(io, "check", "check [--url URL]... [--zone ZONEFILE] [FILE]...",
		"Validates fleet files and says everything that is wrong, with line and path. With\n--url it asks for a URL from outside, as browsers would, and says what is missing or\nwrong about the answer; a fleet file given with it adds what its PoPs and VIPs imply.\nWith --zone it also says whether 'catchment dns' can answer for the fleet's zone.\nThe exit status is 3 when something was refused, 1 when a file or URL could not be\nread.")
	var urls stringList
	fs.Var(&urls, "url", "`URL` of a small object of a front end, such as https://global-1.probe.edge.example.net/o; repeatable")
	zone := fs.String("zone", "", "zone `file` (RFC 1035) of the zone of the one FILE given")
	var files []string
	for len(args) > 0 { // flags may follow files
		if err := parse(fs, args); err != nil {
			return err
		}
		if args = fs.Args(); len(args) > 0 {
			files, args = append(files, args[0]), args[1:]
		}
	}
	switch {
	case len(files)+len(urls) == 0:
		return usagef(fs, "want a FILE or --url")
	case *zone != "" && len(files) != 1:
		return usagef(fs, "with --zone there is one FILE, the fleet whose zone it is")
	case len(files) > 1 && len(urls) > 0:
		return usagef(fs, "with --url there can be one FILE only, the fleet of the URL's PoPs")
	}
	var refused, failed []error
	var world *edge.Fleet
	for _, file := range files {
		f, err := fleet.Load(file)
		var problems fleet.Errors
		switch {
		case errors.As(err, &problems):
			refused = append(refused, err)
		case err != nil:
			failed = append(failed, err)
		default:
			world = f
			fmt.Fprintf(io.out, "%s: ok: %s\n", file, inventory(f))
			if advice := families(f); advice != "" {
				fmt.Fprintf(io.err, "%s: advice: %s\n", file, advice)
			}
		}
	}
	if *zone != "" && world != nil {
		err := checkZone(*zone, world)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission) {
			failed = append(failed, err)
		} else if err != nil {
			refused = append(refused, err)
		} else {
			fmt.Fprintf(io.out, "%s: ok: zone %s\n", *zone, world.Zone)
		}
	}
	for _, url := range urls {
		findings, err := pop.CheckURL(ctx, url, pop.CheckOptions{Fleet: world})
		if err != nil {
			failed = append(failed, err)
			continue
		}
		wrong, advice := 0, 0
		for _, f := range findings {
			if f.Advice {
				advice++
				fmt.Fprintf(io.err, "%s: %v\n", url, f)
				continue
			}
			wrong++
			refused = append(refused, fmt.Errorf("%s: %v", url, f))
		}
		if wrong == 0 {
			fmt.Fprintf(io.out, "%s: ok%s\n", url, counted(", %s", advice, "piece of advice", "pieces of advice"))
		}
	}
	if len(refused) > 0 {
		return &refusedError{errors.Join(append(refused, failed...)...)}
	}
	return errors.Join(failed...)
}

// checkZone says what keeps a name server from answering for the zone of f.
func checkZone(file string, f *edge.Fleet) error {
	zone, err := readZone(file, f)
	if err != nil {
		return err
	}
	steered, err := newSteering(&edge.Snapshot{Fleet: f}, nil)
	if err != nil {
		return err
	}
	if err := zone.Check(f.Probe, authdns.State{Steering: steered}); err != nil {
		return fmt.Errorf("%s:\n%w", file, err)
	}
	return nil
}

// families says which PoPs lack an address family that others have. Clients who
// are steered to them find no address of that family, and some resolvers then
// remember that for clients of other PoPs, too.
func families(f *edge.Fleet) string {
	var with, without [2][]string // IPv4, IPv6
	for i := range f.PoPs {
		p := &f.PoPs[i]
		if len(p.Unicast) == 0 {
			continue
		}
		for k, is := range []func(netip.Addr) bool{netip.Addr.Is4, netip.Addr.Is6} {
			if slices.ContainsFunc(p.Unicast, is) {
				with[k] = append(with[k], string(p.ID))
			} else {
				without[k] = append(without[k], string(p.ID))
			}
		}
	}
	for k, family := range []string{"IPv4", "IPv6"} {
		if len(with[k]) > 0 && len(without[k]) > 0 {
			return fmt.Sprintf("unicast: no %s address for %s, while others have one: clients who are steered there find none", family, strings.Join(without[k], ", "))
		}
	}
	return ""
}

// inventory says what f holds, in one line.
func inventory(f *edge.Fleet) string {
	return counted("%s", len(f.PoPs), "PoP", "PoPs") + counted(", %s", len(f.VIPs), "VIP", "VIPs") +
		counted(", %s", len(f.Regions), "region", "regions") + counted(", %s", len(f.Services), "service", "services")
}

// counted puts "1 one" or "n many" into format; nothing if n is 0.
func counted(format string, n int, one, many string) string {
	switch n {
	case 0:
		return ""
	case 1:
		return fmt.Sprintf(format, "1 "+one)
	default:
		return fmt.Sprintf(format, fmt.Sprintf("%d %s", n, many))
	}
}
