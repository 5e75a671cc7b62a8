package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"

	"catchment/internal/ramp"
	"catchment/internal/ramp/runner"
)

func runRampStatus(ctx context.Context, std stdio, args []string) error {
	fs := newFlags(std, "ramp status", "ramp status [RAMP] --token-file FILE [flags]", "Prints how far ramps are; of one ramp with the share of page views that reached\nan optimal PoP over the last ten days, what is compared, and why it does not move.")
	var f apiFlags
	f.register(fs)
	format := fs.String("format", "text", "text or json")
	ids, err := mixed(fs, args)
	if err != nil {
		return err
	}
	if len(ids) > 1 || *format != "text" && *format != "json" {
		return usagef(fs, "want one ramp, or none for all; --format: text or json")
	}
	client, err := f.client(fs)
	if err != nil {
		return err
	}
	path := "/api/v1/ramps"
	if len(ids) == 1 {
		path = rampPath(ids[0])
	}
	text, err := client.Get(ctx, path, maxRampAnswer)
	if err != nil {
		return refused(err)
	}
	if *format == "json" {
		_, err = std.out.Write(text)
		return err
	}
	if len(ids) == 1 {
		var s runner.Status
		if err := json.Unmarshal(text, &s); err != nil {
			return err
		}
		writeStatus(std.out, &s)
		return nil
	}
	var all []runner.Status
	if err := json.Unmarshal(text, &all); err != nil {
		return err
	}
	for i := range all {
		writeSummary(std.out, &all[i])
	}
	if len(all) == 0 {
		fmt.Fprintln(std.err, "there are no ramps")
	}
	return nil
}

func writeSummary(w io.Writer, s *runner.Status) {
	phases := map[ramp.Phase]int{}
	for _, g := range s.Geographies {
		phases[g.Phase]++
	}
	var words []string
	for _, p := range []ramp.Phase{ramp.Pending, ramp.Running, ramp.Held, ramp.RolledBack, ramp.Done} {
		if n := phases[p]; n > 0 {
			words = append(words, fmt.Sprintf("%d %s", n, strings.ReplaceAll(string(p), "_", " ")))
		}
	}
	fmt.Fprintf(w, "%s  %s, %s to %s: %s; evidence until %s\n", s.ID, s.Service, s.From, s.To, strings.Join(words, ", "), s.Seen.Format("2006-01-02 15:04 UTC"))
	if s.Paused != "" {
		fmt.Fprintf(w, "  paused: %s\n", s.Paused)
	}
}

func writeStatus(w io.Writer, s *runner.Status) {
	writeSummary(w, s)
	for _, o := range s.Overloads {
		fmt.Fprintf(w, "  %s is at %s of its capacity since %s\n", o.PoP, percents(o.Load), o.Since.Format("15:04"))
	}
	width := 0
	for _, g := range s.Geographies {
		width = max(width, len(g.ID))
	}
	for i := range s.Geographies {
		g := &s.Geographies[i]
		fmt.Fprintf(w, "\n  %-*s  %-11s %6s  %s %s\n", width, g.ID, strings.ReplaceAll(string(g.Phase), "_", " "), percents(g.Share), sparkline(g.Recent), lastShare(g.Recent))
		if g.Share > 0 && g.Share < 1 {
			fmt.Fprintf(w, "  %-*s  since %s; treated %s of %.0f views, %s contaminated\n", width, "", g.Since.Format("2006-01-02 15:04"), percents(round4(g.Achieved)), g.Views[0]+g.Views[1], percents(round4(g.Contamination)))
		}
		for _, t := range g.Arms[1] {
			for _, c := range g.Arms[0] {
				if c.Metric == t.Metric {
					fmt.Fprintf(w, "  %-*s    %-14s %s treated, %s control\n", width, "", t.Metric, armRate(&t), armRate(&c))
				}
			}
		}
		switch {
		case g.Why != "":
			fmt.Fprintf(w, "  %-*s  %s\n", width, "", g.Why)
		case g.Decision != nil:
			fmt.Fprintf(w, "  %-*s  %s: %s\n", width, "", g.Decision.Action, g.Decision.Reason)
		}
	}
}

func round4(x float64) float64 { return float64(int(x*1e4+0.5)) / 1e4 }

func armRate(a *ramp.ArmRate) string {
	switch {
	case a.Metric == ramp.P50 || a.Metric == ramp.P90:
		return fmt.Sprintf("%.1f ms", a.Rate)
	case a.Metric == ramp.Resets:
		return fmt.Sprintf("%.3g/min", a.Rate)
	}
	return fmt.Sprintf("%.1f %% (%.1f to %.1f)", 100*a.Rate, 100*a.Low, 100*a.High)
}

// sparkline draws shares between their least and their largest; a gap is a
// space.
func sparkline(values []*float64) string {
	low, high := 1.0, 0.0
	for _, v := range values {
		if v != nil {
			low, high = min(low, *v), max(high, *v)
		}
	}
	const bars = "▁▂▃▄▅▆▇█"
	var b strings.Builder
	for _, v := range values {
		switch {
		case v == nil:
			b.WriteByte(' ')
		case high-low < 0.005: // nothing but noise
			b.WriteString("▄")
		default:
			n := int((*v - low) / (high - low) * 7.999)
			b.WriteString(bars[3*n : 3*n+3])
		}
	}
	return b.String()
}

func lastShare(values []*float64) string {
	for i := len(values) - 1; i >= 0; i-- {
		if values[i] != nil {
			return strconv.FormatFloat(100**values[i], 'f', 1, 64) + " % optimal"
		}
	}
	return ""
}

func runRampLog(ctx context.Context, std stdio, args []string) error {
	fs := newFlags(std, "ramp log", "ramp log RAMP --token-file FILE [flags]", "Prints the last looks, decisions and commands of a ramp, also of one that has\nended; waits and holds that only repeat are left out unless --all is given.")
	var f apiFlags
	f.register(fs)
	limit := fs.Int("limit", 500, "looks, 1 to 1000")
	after := fs.Int64("after", -1, "`number` after which to begin; without it, the last ones")
	all := fs.Bool("all", false, "every decision")
	format := fs.String("format", "text", "text or json")
	ids, err := mixed(fs, args)
	if err != nil {
		return err
	}
	if len(ids) != 1 || *format != "text" && *format != "json" {
		return usagef(fs, "want one ramp; --format: text or json")
	}
	client, err := f.client(fs)
	if err != nil {
		return err
	}
	q := url.Values{"limit": {strconv.Itoa(*limit)}}
	if *after >= 0 {
		q.Set("after", strconv.FormatInt(*after, 10))
	}
	text, err := client.Get(ctx, rampPath(ids[0])+"/log?"+q.Encode(), maxRampAnswer)
	if err != nil {
		return refused(err)
	}
	if *format == "json" {
		_, err = std.out.Write(text)
		return err
	}
	var answer struct {
		Looks []runner.Look `json:"looks"`
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return err
	}
	last := map[string]string{}
	for i := range answer.Looks {
		for j := range answer.Looks[i].Decisions {
			d := &answer.Looks[i].Decisions[j]
			kind := string(d.Action) + firstWord(d.Reason)
			repeated := (d.Action == ramp.Waits || d.Action == ramp.Holds) && last[d.Geography] == kind
			if last[d.Geography] = kind; *all || !repeated {
				writeDecision(std.out, d)
			}
		}
	}
	return nil
}

func firstWord(s string) string {
	word, _, _ := strings.Cut(s, " ")
	return strings.TrimRight(word, ":,0123456789.")
}

func writeDecision(w io.Writer, d *ramp.Decision) {
	fmt.Fprintf(w, "%s  %-14s %-9s %6s → %-6s %s\n", d.At.UTC().Format(time.DateTime), d.Geography, d.Action, percents(d.From), percents(d.To), d.Reason)
}

// parseShare reads 25% or 0.25.
func parseShare(s string) (float64, error) {
	part := 1.0
	if text, ok := strings.CutSuffix(s, "%"); ok {
		s, part = text, 100
	}
	x, err := strconv.ParseFloat(s, 64)
	if x /= part; err != nil || !(x >= 0 && x <= 1) {
		return 0, fmt.Errorf("%q is not a share (want 25%% or 0.25)", s)
	}
	return x, nil
}
