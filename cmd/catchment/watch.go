package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/mattn/go-isatty"
	"golang.org/x/sys/unix"

	"catchment/internal/announce"
	"catchment/internal/follow"
)

const (
	lookEvery   = 250 * time.Millisecond
	repeatEvery = 10 * time.Second // plain lines, of a phase whose progress alone changes
	silentAfter = 15 * time.Second // five reports
)

// watcher shows how a drain, or the way back, comes along: each event as a
// line, and below them, on a terminal, where it is.
type watcher struct {
	to   io.Writer
	tty  func() (width int) // nil: not a terminal
	op   operator
	last *popState // never nil

	told  map[string]bool // events
	shown string          // where it is, as shown last
	at    time.Time       // then
	phase announce.Phase  // then
}

// newWatcher returns one that shows what happens after before.
func newWatcher(to io.Writer, op operator, before *popState) *watcher {
	w := &watcher{to: to, op: op, last: before, told: map[string]bool{}}
	if f, ok := to.(*os.File); ok && isatty.IsTerminal(f.Fd()) {
		w.tty = func() int { return widthOf(f) }
	}
	for _, e := range before.Events {
		w.told[eventKey(&e)] = true
	}
	return w
}

// widthOf returns how many columns a terminal has.
func widthOf(f *os.File) int {
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil || size.Col == 0 {
		return 80
	}
	return int(size.Col)
}

func eventKey(e *announce.Event) string { return e.At.Format(time.RFC3339Nano) + " " + e.Text }

// say tells that something was done, unless err says that it was not.
func (w *watcher) say(err error, format string, args ...any) error {
	if err == nil {
		w.line(time.Now(), fmt.Sprintf(format, args...))
	}
	return err
}

func (w *watcher) line(at time.Time, text string) {
	if w.tty != nil {
		fmt.Fprint(w.to, "\r\x1b[K")
	}
	fmt.Fprintf(w.to, "%s %s: %s\n", at.Format(time.TimeOnly), w.last.PoP, text)
}

// goal says how far a PoP is: done, or what it is at; over is why it will not
// be done any more.
type goal func(p *popState) (done bool, now, over string)

// watch looks until the goal is reached. Interrupted says what becomes of it
// when the operator does not want to see more.
func (w *watcher) watch(ctx context.Context, g goal, interrupted string) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		p, err := w.op.look(ctx)
		switch {
		case ctx.Err() != nil:
			w.end()
			return errors.New("interrupted: " + interrupted)
		case final(err):
			w.end()
			return err
		case err != nil:
			w.show("no answer, trying again: " + err.Error())
		default:
			w.last = p
			w.events(p)
			done, now, over := g(p)
			if done {
				w.line(time.Now(), now)
				return nil
			}
			if over != "" {
				w.end()
				return errors.New(over)
			}
			w.show(now)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

// final reports whether trying again does not help.
func final(err error) bool {
	var status *follow.StatusError
	return errors.As(err, &status) && status.Code/100 == 4 && status.Code != http.StatusTooManyRequests
}

func (w *watcher) events(p *popState) {
	for i := range p.Events {
		e := &p.Events[i]
		key := eventKey(e)
		if w.told[key] {
			continue
		}
		w.told[key] = true
		text := e.Text
		if e.VIP != "" {
			text = string(e.VIP) + ": " + text
		}
		w.line(e.At.Local(), text)
	}
}

// show shows where it is: over and over on a terminal, else when the phase
// has changed, and now and then.
func (w *watcher) show(text string) {
	now := time.Now()
	if w.tty != nil {
		line := []rune(fmt.Sprintf("%s %s: %s", now.Format(time.TimeOnly), w.last.PoP, text))
		line = line[:min(len(line), max(1, w.tty()-1))] // what is wrapped would stay
		fmt.Fprintf(w.to, "\r\x1b[K%s", string(line))
		return
	}
	if text != w.shown && (w.phase != w.last.phase() || w.shown == "" || now.Sub(w.at) >= repeatEvery) {
		w.line(now, text)
		w.shown, w.at, w.phase = text, now, w.last.phase()
	}
}

// end leaves the line that show has begun.
func (w *watcher) end() {
	if w.tty != nil {
		fmt.Fprintln(w.to)
	}
}

// outOfService is the goal of a drain.
func outOfService(p *popState) (done bool, now, over string) {
	switch {
	case p.phase() == announce.Drained:
		return true, "drained", ""
	case p.Drain != nil && goingBack(p.Drain.Phase) && p.Ordered == nil && p.DNS != nil:
		return false, "", fmt.Sprintf("the drain was ended by somebody else: %s is on its way back, in phase %s", p.PoP, p.Drain.Phase)
	case p.Drain != nil:
		return false, at(p), ""
	case p.Ordered == nil && p.DNS != nil:
		return false, "", "the drain was ended by somebody else"
	case !p.Speaks && p.Told.IsZero():
		return dnsDone(p, true)
	}
	return false, "the PoP has not told of the drain yet" + lastHeard(p), ""
}

// inService is the goal of a restore.
func inService(p *popState) (done bool, now, over string) {
	switch {
	case p.Ordered != nil:
		return false, "", "a drain was ordered by somebody else: " + p.Ordered.Why
	case p.Drain != nil && !goingBack(p.Drain.Phase):
		return false, "the PoP has not told of it yet" + lastHeard(p), ""
	case p.Drain != nil:
		return false, at(p), ""
	case !p.Speaks && p.Told.IsZero():
		return dnsDone(p, false)
	}
	return true, "in service" + lastHeard(p), ""
}

// dnsDone is for a PoP that announces nothing: there is only what name servers
// do.
func dnsDone(p *popState, out bool) (done bool, now, over string) {
	what := "hand it out"
	if out {
		what = "leave it out"
	}
	switch {
	case p.DNS == nil || p.DNS.Out != out:
		return false, "the control node has not published that name servers are to " + what, ""
	case len(p.DNS.Waiting) > 0:
		return false, fmt.Sprintf("name servers that do not %s yet: %s", what, strings.Join(p.DNS.Waiting, ", ")), ""
	}
	return true, fmt.Sprintf("announces nothing, and all name servers %s; answers of before expire with their TTL", what), ""
}

// at is the phase a PoP is in, what it waits for, and for how long.
func at(p *popState) string {
	d := p.Drain
	text := string(d.Phase)
	if d.Waiting != "" {
		text += ": " + d.Waiting
	}
	next := string(d.Next)
	if next == "" {
		next = "in service"
	}
	if !d.Until.IsZero() {
		text += fmt.Sprintf(" (%s by %s)", next, d.Until.Local().Format(time.TimeOnly))
	}
	if p.Skip != nil {
		text += " (to be skipped)"
	}
	return text + lastHeard(p)
}

// lastHeard says so if a PoP has been silent.
func lastHeard(p *popState) string {
	switch {
	case p.Told.IsZero():
		return "; nothing has been heard of it"
	case p.Age > silentAfter.Seconds():
		return fmt.Sprintf("; nothing has been heard of it for %v", time.Duration(p.Age*float64(time.Second)).Truncate(time.Second))
	}
	return ""
}
