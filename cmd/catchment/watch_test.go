package main

import (
	"bytes"
	"context"
	"errors"
	"regexp"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"catchment/internal/announce"
	"catchment/internal/edge"
	"catchment/internal/follow"
)

// script is an operator that finds a PoP so, one look after the other.
type script []func() (*popState, error)

func (s *script) look(context.Context) (*popState, error) {
	next := (*s)[0]
	if len(*s) > 1 {
		*s = (*s)[1:]
	}
	return next()
}

func (s *script) order(context.Context, announce.Do, *orderDetails) error { return nil }

// in is a PoP in a phase of a drain.
func in(p announce.Phase, waiting string, events ...string) func() (*popState, error) {
	return func() (*popState, error) {
		s := &popState{PoP: "iad", Speaks: true, Ordered: &edge.Drain{}, DNS: &announce.DNSSeen{}, Told: time.Now()}
		if p != "" {
			s.Drain = &announce.Progress{Phase: p, Next: "next", Waiting: waiting}
		}
		for i, text := range events {
			s.Events = append(s.Events, announce.Event{At: time.Unix(int64(i), 0), Text: text})
		}
		return s, nil
	}
}

func fails(err error) func() (*popState, error) {
	return func() (*popState, error) { return nil, err }
}

// watched returns what is shown of a drain, without times, and how it ends.
func watched(t *testing.T, width int, g goal, s script) (text string, err error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		w := newWatcher(&b, &s, &popState{PoP: "iad"})
		if width > 0 {
			w.tty = func() int { return width }
		}
		err = w.watch(t.Context(), g, "it goes on")
		text = b.String()
	})
	return regexp.MustCompile(`\d\d:\d\d:\d\d iad: `).ReplaceAllString(text, ""), err
}

func TestWatchPlain(t *testing.T) {
	s := script{in("", ""), in(announce.Connections, "12 connections")}
	for range 39 { // 10 s
		s = append(s, in(announce.Connections, "11 connections", "now connections"))
	}
	s = append(s, in(announce.Connections, "10 connections", "now connections"), fails(errors.New("refused")), in(announce.Drained, "", "now connections", "now drained"))
	text, err := watched(t, 0, outOfService, s)
	want := "the PoP has not told of the drain yet\nconnections: 12 connections\nnow connections\nconnections: 10 connections\nnow drained\ndrained\n"
	if diff := cmp.Diff(want, text); diff != "" || err != nil {
		t.Error(err, diff)
	}
}

func TestWatchTerminal(t *testing.T) {
	text, err := watched(t, 40, outOfService, script{
		in(announce.TTL, "answers that name the PoP expire, all of them"), in(announce.Drained, "", "now drained"),
	})
	// 39 columns, of which 14 were the time and the PoP.
	want := "\r\x1b[Kttl: answers that name th\r\x1b[Know drained\n\r\x1b[Kdrained\n"
	if diff := cmp.Diff(want, text); diff != "" || err != nil {
		t.Error(err, diff)
	}
}

func TestWatchEnds(t *testing.T) {
	ended := func(p announce.Phase) func() (*popState, error) {
		return func() (*popState, error) {
			s, _ := in(p, "")()
			s.Ordered = nil
			return s, nil
		}
	}
	mute := func(out bool, waiting ...string) func() (*popState, error) {
		return func() (*popState, error) {
			s := &popState{PoP: "iad", DNS: &announce.DNSSeen{Out: out, Waiting: waiting}}
			if out {
				s.Ordered = &edge.Drain{}
			}
			return s, nil
		}
	}
	for name, test := range map[string]struct {
		goal      goal
		script    script
		text, err string
	}{
		"ended by somebody else":  {outOfService, script{in(announce.TTL, ""), ended(announce.DNSIn)}, "ttl\n", "the drain was ended by somebody else: iad is on its way back, in phase dns-in"},
		"ended at once":           {outOfService, script{ended("")}, "", "the drain was ended by somebody else"},
		"token refused":           {outOfService, script{fails(&follow.StatusError{Path: "/x", Code: 401, Text: "who?"})}, "", "follow: /x: 401 Unauthorized: who?"},
		"drained meanwhile":       {inService, script{in(announce.DNSIn, "")}, "", "a drain was ordered by somebody else: "},
		"back":                    {inService, script{ended(announce.Drained), ended(announce.DNSIn), ended("")}, "the PoP has not told of it yet\ndns-in\nin service\n", ""},
		"announces nothing":       {outOfService, script{mute(true, "ns1"), mute(true)}, "name servers that do not leave it out yet: ns1\nannounces nothing, and all name servers leave it out; answers of before expire with their TTL\n", ""},
		"announced nothing, back": {inService, script{mute(false, "ns1"), mute(false)}, "name servers that do not hand it out yet: ns1\nannounces nothing, and all name servers hand it out; answers of before expire with their TTL\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			text, err := watched(t, 0, test.goal, test.script)
			got := ""
			if err != nil {
				got = err.Error()
			}
			if diff := cmp.Diff(test.text, text) + cmp.Diff(test.err, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
