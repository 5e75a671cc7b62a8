// Netlab runs commands at the sites of a small network with chosen delays, and
// then one command, or a shell, at the client's:
//
//	go run ./lab/netlab \
//	  -site "iad 5ms 192.0.2.10 198.51.100.1" -at "iad bin/catchment pop …" \
//	  -site "gru 60ms 192.0.2.30 198.51.100.1" -at "gru bin/catchment pop …" \
//	  -route "198.51.100.1 gru" -- curl -v http://198.51.100.1/o
//
// It ends with the client's command and leaves nothing behind. See lab/delay.
package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"catchment/lab/delay"
)

const about = `Usage: netlab [flags] [--] [COMMAND [ARGUMENT…]]

Runs COMMAND (a shell without one) as the client of a network of sites, each a
network namespace behind a link with a delay.

`

func main() {
	code, err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "netlab:", err)
	}
	os.Exit(code)
}

// words is a repeatable flag of space-separated words.
type words [][]string

func (w *words) String() string { return "" }
func (w *words) Set(s string) error {
	f := strings.Fields(s)
	if len(f) < 2 {
		return errors.New("want at least two words")
	}
	*w = append(*w, f)
	return nil
}

// run returns the exit status of the client's command.
func run(args []string) (int, error) {
	fs := flag.NewFlagSet("netlab", flag.ContinueOnError)
	fs.Usage = func() {
		fmt.Fprint(fs.Output(), about)
		fs.PrintDefaults()
	}
	var sites, routes words
	at := map[string][]string{} // commands by site
	fs.Var(&sites, "site", "`\"NAME RTT ADDRESS…\"`: a site and its round trip to the client; RTT may be "+
		"5ms, 5ms±2ms (jitter each way), 5ms/0.01 (loss each way) or down; repeatable")
	fs.Func("at", "`\"NAME COMMAND\"`: what to run at the site, in a shell's words; repeatable", func(s string) error {
		name, command, ok := strings.Cut(s, " ")
		if !ok {
			return errors.New("want at least two words")
		}
		at[name] = append(at[name], command)
		return nil
	})
	fs.Var(&routes, "route", "`\"ADDRESS NAME\"`: the site that an anycast address leads the client to (otherwise the first); repeatable")
	client := fs.String("client", "203.0.113.7,2001:db8:c::7", "`addresses` of the client")
	if err := fs.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0, nil
	} else if err != nil {
		return 2, nil // has been printed
	}

	net, err := delay.New(uint64(time.Now().UnixNano()))
	if err != nil {
		return 1, err
	}
	defer net.Close()
	addrs, err := addresses(strings.Split(*client, ","))
	if err != nil {
		return 2, err
	}
	here, err := net.AddSite("client", delay.Link{}, addrs...)
	if err != nil {
		return 1, err
	}
	byName := map[string]*delay.Site{"client": here}
	for _, s := range sites {
		link, err := parseLink(s[1])
		if err != nil {
			return 2, fmt.Errorf("-site %s: %w", s[0], err)
		}
		addrs, err := addresses(s[2:])
		if err != nil {
			return 2, fmt.Errorf("-site %s: %w", s[0], err)
		}
		if byName[s[0]] != nil {
			return 2, fmt.Errorf("-site %s twice", s[0])
		}
		if byName[s[0]], err = net.AddSite(s[0], link, addrs...); err != nil {
			return 1, err
		}
	}
	for _, r := range routes {
		a, err := netip.ParseAddr(r[0])
		if err != nil || byName[r[1]] == nil {
			return 2, fmt.Errorf("-route %q: want the address and the name of a site", strings.Join(r, " "))
		}
		net.Route(here, a, byName[r[1]])
	}
	for name, commands := range at {
		site := byName[name]
		if site == nil {
			return 2, fmt.Errorf("-at %s: no such site", name)
		}
		for _, c := range commands {
			cmd := exec.Command("sh", "-c", "exec "+c) // exec: a shell between would outlive us
			cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
			if err := site.Start(cmd); err != nil {
				return 1, err
			}
		}
	}

	command := fs.Args()
	if len(command) == 0 {
		command = []string{cmp.Or(os.Getenv("SHELL"), "sh")}
	}
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := here.Start(cmd); err != nil {
		return 1, err
	}
	err = cmd.Wait()
	fmt.Fprintln(os.Stderr, "netlab:", net.Stats())
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		return max(1, exit.ExitCode()), nil
	}
	return 0, err
}

func addresses(list []string) (addrs []netip.Addr, err error) {
	for _, s := range list {
		a, err := netip.ParseAddr(s)
		if err != nil {
			return nil, err
		}
		addrs = append(addrs, a)
	}
	return addrs, nil
}

// parseLink parses RTT[±JITTER][/LOSS], or "down".
func parseLink(s string) (l delay.Link, err error) {
	if s == "down" {
		return delay.Link{Down: true}, nil
	}
	s, loss, lossy := strings.Cut(s, "/")
	s, jitter, jittery := strings.Cut(s, "±")
	if l.RTT, err = time.ParseDuration(s); err != nil {
		return l, err
	}
	if jittery {
		if l.Jitter, err = time.ParseDuration(jitter); err != nil {
			return l, err
		}
	}
	if lossy {
		if l.Loss, err = strconv.ParseFloat(loss, 64); err != nil || l.Loss < 0 || l.Loss > 1 {
			return l, fmt.Errorf("loss %q: want a share from 0 to 1", loss)
		}
	}
	if l.RTT < 0 || l.Jitter < 0 {
		return l, errors.New("a delay cannot be negative")
	}
	return l, nil
}
