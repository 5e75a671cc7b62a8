package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"catchment/internal/announce"
)

func popsCommand() command {
	return command{"pops", "how PoPs are: load, drains, announcements, sessions", runPoPs}
}

// maxPoPsAnswer bounds what the API answers of all PoPs, in bytes.
const maxPoPsAnswer = 256 << 20

func runPoPs(ctx context.Context, io stdio, args []string) error {
	fs := newFlags(io, "pops", "pops [POP] --token-file FILE [flags]", "Prints a line for each PoP; of one PoP with its prefixes, sessions and last events.")
	var f apiFlags
	f.register(fs)
	local := fs.String("local", "", "`socket` of a PoP's agent (DATA/pop.sock), instead of --control")
	format := fs.String("format", "text", "text or json")
	ids, err := mixed(fs, args)
	if err != nil {
		return err
	}
	if len(ids) > 1 || *format != "text" && *format != "json" {
		return usagef(fs, "want one PoP, or none for all; --format: text or json")
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if *local != "" {
		op, err := (&operateFlags{apiFlags: f, local: *local}).operator(ctx, fs, ids)
		if err != nil {
			return err
		}
		p, err := op.look(ctx)
		if err != nil {
			return err
		}
		if *format == "json" {
			return json.NewEncoder(io.out).Encode(p)
		}
		return writePoP(io.out, p)
	}
	client, err := f.client(fs)
	if err != nil {
		return err
	}
	path := "/api/v1/pops"
	if len(ids) == 1 {
		path = (&atControl{client, ids[0]}).path("pops")
	}
	text, err := client.Get(ctx, path, maxPoPsAnswer)
	if err != nil {
		return answered(err)
	}
	if *format == "json" {
		_, err = io.out.Write(text)
		return err
	}
	if len(ids) == 1 {
		p := &popState{}
		if err := json.Unmarshal(text, p); err != nil {
			return err
		}
		return writePoP(io.out, p)
	}
	var all []popState
	if err := json.Unmarshal(text, &all); err != nil {
		return err
	}
	return writePoPs(io.out, all)
}

func writePoPs(w io.Writer, all []popState) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "POP\tSTATE\tLOAD\tANNOUNCED\tSESSIONS\tTOLD\tDRAIN AND SHED")
	for i := range all {
		p := &all[i]
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", p.PoP, stateOf(p), loadOf(p), announcedOf(p), sessionsOf(p), toldOf(p), ordersOf(p))
	}
	return t.Flush()
}

func stateOf(p *popState) string {
	switch {
	case p.Health.State == "":
		return "-" // the PoP itself does not say
	case p.Health.Silent:
		return string(p.Health.State) + ", silent"
	}
	return string(p.Health.State)
}

func loadOf(p *popState) string {
	load, capacity := "?", "?"
	if p.Health.Load != nil {
		load = fmt.Sprintf("%.0f", *p.Health.Load)
	}
	if p.Health.Capacity > 0 {
		capacity = fmt.Sprintf("%.0f", p.Health.Capacity)
	}
	return load + "/" + capacity
}

// announcedOf is how many prefixes some neighbor was really told, of how many
// are wanted.
func announcedOf(p *popState) string {
	if p.Told.IsZero() {
		return "-"
	}
	wanted, sent := 0, 0
	for i := range p.Wanted {
		if p.Wanted[i].Announced && !excepted(p, &p.Wanted[i]) {
			wanted++
		}
		if len(sentTo(p, &p.Wanted[i])) > 0 {
			sent++
		}
	}
	return fmt.Sprintf("%d/%d", sent, wanted)
}

// excepted reports whether an operator withdrew a prefix's VIP from the PoP.
func excepted(p *popState, w *announce.Wanted) bool {
	return p.Announcement != nil && slices.Contains(p.Announcement.Withdraw, w.VIP)
}

// sentTo returns the neighbors that were told a prefix.
func sentTo(p *popState, w *announce.Wanted) []string {
	var to []string
	for _, n := range p.Neighbors {
		for _, s := range n.Sent {
			if s.Prefix == w.Prefix {
				to = append(to, n.Address.String())
			}
		}
	}
	return to
}

func sessionsOf(p *popState) string {
	if p.Told.IsZero() {
		return "-"
	}
	up := 0
	for i := range p.Neighbors {
		if p.Neighbors[i].State == "established" {
			up++
		}
	}
	return fmt.Sprintf("%d/%d", up, len(p.Neighbors))
}

func toldOf(p *popState) string {
	if p.Told.IsZero() {
		return "never"
	}
	return fmt.Sprintf("%v ago", time.Duration(p.Age*float64(time.Second)).Truncate(time.Second))
}

func ordersOf(p *popState) string {
	var words []string
	switch {
	case p.Drain != nil && p.Drain.Phase == announce.Drained:
		words = append(words, "drained: "+whyOf(p))
	case p.Drain != nil:
		words = append(words, at(p))
	case p.Ordered != nil:
		words = append(words, "drain ordered: "+p.Ordered.Why)
	}
	if p.Shed != nil {
		words = append(words, fmt.Sprintf("sheds %s: %s", percents(p.Shed.Share), p.Shed.Why))
	}
	if p.Announcement != nil {
		words = append(words, exceptionWords(p.Announcement))
	}
	for i := range p.VIPs {
		if v := &p.VIPs[i]; v.Degraded || v.Out {
			words = append(words, fmt.Sprintf("%s %s: %s", v.VIP, vipWord(v), v.Why))
		}
	}
	return strings.Join(words, "; ")
}

func vipWord(v *popVIP) string {
	switch {
	case v.Degraded:
		return "degraded"
	case v.Announced:
		return "announced"
	case v.Out:
		return "withdrawn by automation"
	}
	return "not announced"
}
