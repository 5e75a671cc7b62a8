package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"catchment/internal/announce"
)

// writePoP prints what is known of one PoP.
func writePoP(w io.Writer, p *popState) error {
	if err := writePoPs(w, []popState{*p}); err != nil {
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if p.Connections != nil || p.Traffic != nil {
		fmt.Fprint(t, "\n")
	}
	if p.Connections != nil {
		fmt.Fprintf(t, "connections\t%d\n", *p.Connections)
	}
	if p.Traffic != nil {
		fmt.Fprintf(t, "traffic\t%.1f requests/s\n", *p.Traffic)
	}
	if len(p.Wanted) > 0 {
		fmt.Fprintln(t, "\nPREFIX\tVIP\tWANTED\tTOLD TO\tWHY")
	}
	for i := range p.Wanted {
		x := &p.Wanted[i]
		fmt.Fprintf(t, "%v\t%s\t%s\t%s\t%s\n", x.Prefix, dash(string(x.VIP)), wantedWord(p, x), dash(strings.Join(sentTo(p, x), " ")), x.Reason)
	}
	if len(p.Neighbors) > 0 {
		fmt.Fprintln(t, "\nNEIGHBOR\tASN\tSTATE\tSINCE\tROUTES\tERROR")
	}
	for _, n := range p.Neighbors {
		fmt.Fprintf(t, "%v\t%d\t%s\t%s\t%d\t%s\n", n.Address, n.ASN, n.State, dash(clockOf(n.Since)), len(n.Sent), dash(n.Error))
	}
	if len(p.VIPs) > 0 {
		fmt.Fprintln(t, "\nVIP\tIS\tTHE GUARD SAYS\tWHY")
	}
	for i := range p.VIPs {
		v := &p.VIPs[i]
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", v.VIP, vipWord(v), dash(v.Guard), dash(v.Why))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if len(p.Events) > 0 {
		fmt.Fprintln(w)
	}
	for _, e := range p.Events {
		text := e.Text
		if e.VIP != "" {
			text = string(e.VIP) + ": " + text
		}
		if _, err := fmt.Fprintf(w, "%s  %s\n", clockOf(e.At), text); err != nil {
			return err
		}
	}
	return nil
}

func wantedWord(p *popState, w *announce.Wanted) string {
	switch {
	case excepted(p, w):
		return "no, by order"
	case !w.Announced:
		return "no"
	case w.GracefulShutdown || w.Prepend > 0:
		return "degraded"
	}
	return "yes"
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func clockOf(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format(time.DateTime)
}
