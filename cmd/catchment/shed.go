package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"catchment/internal/edge"
	"catchment/internal/follow"
)

func shedCommand() command {
	return command{"shed", "take a share of its users, or of its announcements, from a PoP", runShed}
}

const shedAbout = `Moves a share of a PoP's clients to their next best PoP by DNS. Coarser means, for
whom DNS does not move: to withdraw some of several VIPs, and to prepend towards
neighbors. They add to what there is; --announce and --prepend NEIGHBOR=0 take back
one, --end all (docs/drain.md).`

// shedFlags are what is to become of a PoP's share and announcements.
type shedFlags struct {
	apiFlags
	why                string
	share              string
	withdraw, announce stringList
	prepend            prependFlag
	end, force         bool
}

func runShed(ctx context.Context, io stdio, args []string) error {
	fs := newFlags(io, "shed", "shed POP --share S | --withdraw VIP | --prepend NEIGHBOR=N | --end --token-file FILE [flags]", shedAbout)
	f := shedFlags{prepend: prependFlag{}}
	f.register(fs)
	ids, err := mixed(fs, args)
	if err != nil {
		return err
	}
	exceptions := len(f.withdraw) > 0 || len(f.announce) > 0 || len(f.prepend) > 0
	share := 0.0
	switch {
	case len(ids) != 1:
		return usagef(fs, "want one PoP")
	case f.end && (f.share != "" || exceptions):
		return usagef(fs, "--end ends all: want nothing beside it")
	case !f.end && f.share == "" && !exceptions:
		return usagef(fs, "want --share, --withdraw, --prepend or --end")
	case f.share != "":
		if share, err = parseShare(f.share); err != nil {
			return usagef(fs, "--share: %v", err)
		}
	}
	f.why = (&operateFlags{why: f.why}).reason()
	client, err := f.client(fs)
	if err != nil {
		return err
	}
	s := &shedder{client, ids[0], f.why, f.force, io}
	if f.end {
		return s.end(ctx)
	}
	if f.share != "" {
		if err := s.put(ctx, "sheds", map[string]any{"share": share}); err != nil {
			return err
		}
		fmt.Fprintf(io.err, "%s gives up %s of its clients\n", s.pop, percents(share))
	}
	if !exceptions {
		return nil
	}
	return s.except(ctx, &f)
}

func (f *shedFlags) register(fs *flag.FlagSet) {
	f.apiFlags.register(fs)
	fs.StringVar(&f.why, "why", "", "`text` for the audit trail (default $USER@host)")
	fs.StringVar(&f.share, "share", "", "`share` of the PoP's clients that DNS moves, such as 20% or 0.2; with 0 none, also not by load")
	fs.Var(&f.withdraw, "withdraw", "`VIP` that the PoP does not announce any more; repeatable")
	fs.Var(&f.announce, "announce", "`VIP` that it announces again; repeatable")
	fs.Var(f.prepend, "prepend", "`NEIGHBOR=N`: our ASN N more times in the path to a neighbor, by its address, 0 to 10; repeatable")
	fs.BoolVar(&f.end, "end", false, "end the shed and all exceptions")
	fs.BoolVar(&f.force, "force", false, "even if no other PoP announces the VIP")
}

// prependFlag is how often our ASN is to be repeated, by neighbor.
type prependFlag map[string]int

func (p prependFlag) String() string { return "" }

func (p prependFlag) Set(s string) error {
	name, text, _ := strings.Cut(s, "=")
	addr, err := netip.ParseAddr(name)
	n, wrong := strconv.Atoi(text)
	if err != nil || wrong != nil || n < 0 || n > 10 {
		return errors.New("want a neighbor's address and 0 to 10, such as 192.0.2.1=2")
	}
	p[addr.String()] = n
	return nil
}

// shedder changes what one PoP sheds and announces.
type shedder struct {
	client *follow.Client
	pop    string
	why    string
	force  bool
	io     stdio
}

func (s *shedder) path(kind string) string { return "/api/v1/" + kind + "/" + url.PathEscape(s.pop) }

func (s *shedder) put(ctx context.Context, kind string, body map[string]any) error {
	body["why"] = s.why
	if s.force {
		body["force"] = true
	}
	return answered(s.client.Call(ctx, http.MethodPut, s.path(kind), body, nil))
}

// remove ends what there is of a kind, and reports whether there was any.
func (s *shedder) remove(ctx context.Context, kind string) (was bool, err error) {
	err = s.client.Call(ctx, http.MethodDelete, s.path(kind), map[string]any{"why": s.why}, nil)
	if notFound(err) {
		return false, nil
	}
	return err == nil, answered(err)
}

func notFound(err error) bool {
	var status *follow.StatusError
	return errors.As(err, &status) && status.Code == http.StatusNotFound
}

func (s *shedder) end(ctx context.Context) error {
	shed, err := s.remove(ctx, "sheds")
	if err != nil {
		return err
	}
	exceptions, err := s.remove(ctx, "announcements")
	switch {
	case err != nil:
		return err
	case !shed && !exceptions:
		return &refusedError{fmt.Errorf("%s sheds nothing by hand", s.pop)}
	}
	fmt.Fprintf(s.io.err, "%s sheds nothing any more\n", s.pop)
	return nil
}

// except changes the PoP's exceptions.
func (s *shedder) except(ctx context.Context, f *shedFlags) error {
	var former struct{ Value edge.Announcement }
	err := s.client.Call(ctx, http.MethodGet, s.path("announcements"), nil, &former)
	if err != nil && !notFound(err) {
		return answered(err)
	}
	a := former.Value
	for _, v := range f.withdraw {
		if !slices.Contains(a.Withdraw, edge.VIPID(v)) {
			a.Withdraw = append(a.Withdraw, edge.VIPID(v))
		}
	}
	a.Withdraw = slices.DeleteFunc(a.Withdraw, func(v edge.VIPID) bool { return slices.Contains(f.announce, string(v)) })
	if a.Prepend == nil {
		a.Prepend = map[string]int{}
	}
	maps.Copy(a.Prepend, f.prepend)
	maps.DeleteFunc(a.Prepend, func(_ string, n int) bool { return n == 0 })
	if len(a.Withdraw) == 0 && len(a.Prepend) == 0 {
		if _, err := s.remove(ctx, "announcements"); err != nil {
			return err
		}
		fmt.Fprintf(s.io.err, "%s announces as ever\n", s.pop)
		return nil
	}
	if err := s.put(ctx, "announcements", map[string]any{"withdraw": a.Withdraw, "prepend": a.Prepend}); err != nil {
		return err
	}
	fmt.Fprintf(s.io.err, "%s %s\n", s.pop, exceptionWords(&a))
	return nil
}

// exceptionWords says what a PoP does not announce as ever.
func exceptionWords(a *edge.Announcement) string {
	var words []string
	for _, v := range a.Withdraw {
		words = append(words, "withdraws "+string(v))
	}
	for _, addr := range slices.Sorted(maps.Keys(a.Prepend)) {
		words = append(words, fmt.Sprintf("prepends %d to %s", a.Prepend[addr], addr))
	}
	return strings.Join(words, ", ")
}
