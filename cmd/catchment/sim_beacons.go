package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"

	"catchment/internal/edge"
	"catchment/internal/sim"
	"catchment/internal/sim/people"
	"catchment/internal/sim/topology"
	"catchment/internal/sim/views"
)

func simBeacons() command {
	return command{"beacons", "the beacons that browsers would have sent", runSimBeacons}
}

const simBeaconsAbout = `Puts the fleet into a topology and makes the beacons of page views there: who
views, when, over which line, asking whose resolver, reaching which PoP under
each scheme, and what the probes measure. It writes them as NDJSON, which
'catchment import' reads, or into a store. The same flags and files give the
same bytes, on any number of processors.`

// beaconFlags are the flags of sim beacons.
type beaconFlags struct {
	worldFlags
	from, until string
	days        int
	outages     stringList
	out, data   string

	people people.Model
	views  views.Model
}

func (f *beaconFlags) register(fs *flag.FlagSet) {
	p, v := people.DefaultModel(0), views.DefaultModel(0)
	f.registerWorld(fs)

	fs.IntVar(&f.views.Views, "views", v.Views, "how many page views in all")
	fs.IntVar(&f.days, "days", 0, "over how many UTC `days`; 1 unless --until says it")
	fs.StringVar(&f.from, "from", "", "first UTC `day`, 2026-11-01; without it the days end yesterday")
	fs.StringVar(&f.until, "until", "", "UTC `day` after the last")
	fs.Float64Var(&f.views.Rate, "rate", v.Rate, "sampling rate that the beacons name: one stands for 1/rate page views")
	fs.Float64Var(&f.people.Public, "public", p.Public, "`share` of users who ask a public resolver")
	fs.Float64Var(&f.people.PublicECS, "ecs", p.PublicECS, "`share` of those whose resolver sends the client's network along (RFC 7871)")
	fs.Float64Var(&f.people.AbroadScale, "abroad", p.AbroadScale, "`share` of the far resolvers of 2014 that are left")
	fs.Float64Var(&f.views.Active, "active", v.Active, "`share` of client prefixes that are seen on a day")
	fs.Float64Var(&f.views.Timeout, "timeouts", v.Timeout, "`share` of probes that bring no answer")
	fs.Float64Var(&f.views.Flips, "flips", v.Flips, "`chance` that a network's route to a VIP changes on a day, for some hours")
	fs.Float64Var(&f.views.Balanced, "balanced", v.Balanced, "`share` of networks that spread packets over two paths")
	fs.Var(&f.outages, "outage", "a PoP stops answering: `POP@TIME/DURATION`, such as iad@2026-11-01T10:00:00Z/2h; may be repeated")

	fs.StringVar(&f.out, "out", "", "`file` to write, packed if it ends in .gz; standard output without it")
	fs.StringVar(&f.data, "data", "", "`directory` of a store to put them into instead")
}

// check reads the flags that are words.
func (f *beaconFlags) check(fs *flag.FlagSet, now time.Time) error {
	switch {
	case fs.NArg() > 0:
		return usagef(fs, "unexpected argument %q", fs.Arg(0))
	case f.out != "" && f.data != "":
		return usagef(fs, "--out or --data, not both")
	case f.days < 0 || f.days > 0 && f.until != "" && f.from != "":
		return usagef(fs, "--days: want 1 or more, and not beside both --from and --until")
	}
	if err := f.checkWorld(fs); err != nil {
		return err
	}
	if err := f.checkDays(fs, now); err != nil {
		return err
	}
	for _, s := range f.outages {
		o, err := parseOutage(s)
		if err != nil {
			return usagef(fs, "--outage: %v", err)
		}
		f.views.Outages = append(f.views.Outages, o)
	}
	if err := f.people.Validate(); err != nil {
		return usagef(fs, "%v", err)
	}
	return nil
}

// checkDays turns --from, --until and --days into the first day and how many.
func (f *beaconFlags) checkDays(fs *flag.FlagSet, now time.Time) error {
	f.views.Days = max(1, f.days)
	f.views.From = edge.DayOf(now) - edge.Day(f.views.Days)
	var err error
	if f.from != "" {
		if f.views.From, err = edge.ParseDay(f.from); err != nil {
			return usagef(fs, "--from: %v", err)
		}
	}
	if f.until == "" {
		return nil
	}
	until, err := edge.ParseDay(f.until)
	switch {
	case err != nil:
		return usagef(fs, "--until: %v", err)
	case f.from == "":
		f.views.From = until - edge.Day(f.views.Days)
	case until <= f.views.From:
		return usagef(fs, "--until: want a day after --from")
	default:
		f.views.Days = int(until - f.views.From)
	}
	return nil
}

// noticeOutage is how long it takes until routes and DNS follow a PoP that
// stopped answering: three health checks a few seconds apart, and a DNS TTL.
const noticeOutage = 90 * time.Second

// parseOutage reads POP@TIME/DURATION.
func parseOutage(s string) (views.Outage, error) {
	bad := fmt.Errorf("%q (want POP@TIME/DURATION, such as iad@2026-11-01T10:00:00Z/2h)", s)
	pop, rest, ok := strings.Cut(s, "@")
	begin, last, more := strings.Cut(rest, "/")
	if !ok || !more {
		return views.Outage{}, bad
	}
	from, err := time.Parse(time.RFC3339, begin)
	if err != nil {
		return views.Outage{}, bad
	}
	d, ok := parseAgo(last)
	if !ok || d == 0 {
		return views.Outage{}, bad
	}
	return views.Outage{PoP: edge.PoPID(pop), From: from, Until: from.Add(d), Noticed: noticeOutage}, nil
}

func runSimBeacons(ctx context.Context, io stdio, args []string) error {
	f := &beaconFlags{people: people.DefaultModel(0), views: views.DefaultModel(0)}
	fs := newFlags(io, "sim beacons", "sim beacons --fleet FILE --topology FILE [flags]", simBeaconsAbout)
	f.register(fs)
	if err := parse(fs, args); err != nil {
		return err
	}
	if err := f.check(fs, time.Now()); err != nil {
		return err
	}
	fl, topo, err := f.load()
	if err != nil {
		return err
	}
	if err := f.views.Validate(fl); err != nil {
		return usagef(fs, "%v", err)
	}
	g, err := f.generator(io, fl, topo)
	if err != nil {
		return err
	}
	if f.data != "" {
		return storeViews(ctx, io, g, f.data)
	}
	bar := startProgress(io.err, "views", int64(g.Views()))
	defer bar.Finish()
	done := func(n int) { bar.Add(n) }
	if f.out == "" {
		return g.WriteNDJSON(ctx, io.out, 0, g.Views(), nil, done)
	}
	var pack views.Packer
	if strings.HasSuffix(f.out, ".gz") {
		pack = gzipMembers
	}
	return writeAside(f.out, func(aside string) error {
		file, err := os.Create(aside)
		if err != nil {
			return err
		}
		return errors.Join(g.WriteNDJSON(ctx, file, 0, g.Views(), pack, done), file.Close())
	})
}

// generator simulates the world and returns the generator of its page views.
func (f *beaconFlags) generator(io stdio, fl *edge.Fleet, topo *topology.Topology) (*views.Generator, error) {
	f.people.Seed, f.views.Seed = f.seed, f.seed
	population := people.New(topo, f.people)
	o := sim.DefaultOptions(f.seed)
	o.Connectivity, o.People = f.connectivity, population
	world, err := sim.New(fl, topo, o)
	if err != nil {
		return nil, &refusedError{fmt.Errorf("%s: %w", f.fleet, err)}
	}
	f.warn(io, world)
	outcome, err := world.Evaluate()
	if err != nil {
		return nil, &refusedError{err}
	}
	g, err := views.New(fl, population, outcome, f.views)
	if err != nil {
		return nil, &refusedError{fmt.Errorf("%s: %w", f.topology, err)}
	}
	return g, nil
}

// gzipMembers packs every chunk as a gzip file of its own, which one after
// another are one file (RFC 1952, section 2.2).
func gzipMembers() func(dst, text []byte) ([]byte, error) {
	var z *gzip.Writer
	return func(dst, text []byte) ([]byte, error) {
		buf := bytes.NewBuffer(dst)
		if z == nil {
			var err error
			if z, err = gzip.NewWriterLevel(buf, gzip.BestSpeed); err != nil {
				return nil, err
			}
		} else {
			z.Reset(buf)
		}
		_, err := z.Write(text)
		err = errors.Join(err, z.Close()) // before Bytes: it writes the end
		return buf.Bytes(), err
	}
}
