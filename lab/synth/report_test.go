package synth_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"catchment/internal/downloadlog"
	"catchment/internal/edge"
)

// stability is what `report stability` says.
type stability struct {
	Answers []struct{ VIP, Answer string }
	Groups  []verdict
}

// verdict is that of a group.
type verdict struct {
	Group struct {
		VIP string
		ASN int
	}
	Verdict, Pattern, Course string
	VIP, Unicast             struct{ Downloads, Broken, Unmade, Big, Swallowed int }
	Pairs, Flips, Resets     int
	Outcomes                 map[string]int
}

func (w *world) report(t *testing.T, args ...string) []byte {
	t.Helper()
	out, err := exec.Command(w.binary, append([]string{"report"}, args...)...).Output()
	if err != nil {
		t.Fatalf("report %v: %v", args, err)
	}
	return out
}

// Agents in six networks, a control node and PoPs, all of them the program
// itself. Something else happens to each network, and the report tells what:
// its way to the VIP is cut, or moves; its packets are balanced over two PoPs,
// every other, one of ten or one of a hundred; large packets vanish; or nothing. Another VIP's
// PoP crashes.
//
// That takes seconds, after which the verdicts are still "too few". With
// LAB_VERDICT=7m more agents go on for so long, until there are verdicts.
func TestReport(t *testing.T) {
	const cut, moves, alternate, tenth, small, well, hundredth, networks = 0, 1, 2, 3, 4, 5, 6, 7
	w, begin := newWorld(t, networks), time.Now()
	concurrent, length := 8, "2s"
	if os.Getenv("LAB_VERDICT") != "" {
		concurrent, length = 60, "5s" // PoPs serve 64 of a /24
	}
	from := func(i int) string { return "ip saddr " + agentAddr(i) + " ip daddr " + global + " " }
	w.filter(t, from(alternate)+"meta mark set numgen inc mod 2 offset 1")
	w.filter(t, from(tenth)+"numgen random mod 10 < 1 meta mark set 2")
	w.filter(t, from(hundredth)+"numgen inc mod 100 < 1 meta mark set 2")
	w.filter(t, "ip saddr "+global+" ip daddr "+agentAddr(small)+" ip length > 1000 drop")
	for i := range networks {
		n := concurrent
		if i == hundredth {
			n = max(n, 32) // most of its downloads pass
		}
		w.agent(t, i, n, length)
	}
	// All are under way before anything happens.
	within(t, 20*time.Second, func() string {
		ok := map[string]int{}
		for r, err := range downloadlog.Read(w.path("data"), time.Time{}, time.Time{}) {
			if err != nil {
				t.Fatal(err)
			}
			if d := r.Download; d.Kind == edge.SlowDownload && d.Outcome == edge.DownloadOK && d.Target.Anycast() {
				ok[d.Agent+" "+string(d.Target)]++
			}
		}
		for _, want := range []string{"n0 vip:global", "n1 vip:global", "n4 vip:global", "n5 vip:global", "n5 vip:second"} {
			if ok[want] < 2 {
				return fmt.Sprint("downloads ", ok)
			}
		}
		return ""
	})
	t.Logf("figures: all under way after %.1f s", time.Since(begin).Seconds())
	w.filter(t, from(cut)+"drop")
	w.filter(t, from(moves)+"meta mark set 2")
	w.kill("gru")

	want := map[string]string{
		"global AS64496": "path cut", "global AS64497": "route moved", "global AS64498": "packets balanced", "global AS64499": "packets balanced",
		"global AS64500": "mtu black hole", "global AS64501": "", "second AS64501": "pop", "global AS64502": "packets balanced",
	}
	var r stability
	within(t, 30*time.Second, func() string {
		r = stability{}
		if err := json.Unmarshal(w.report(t, "stability", "--data", w.path("data"), "--by", "asn", "--format", "json"), &r); err != nil {
			t.Fatal(err)
		}
		wrong := []string{}
		found := 0
		for _, r := range r.Groups {
			name := fmt.Sprintf("%s AS%d", r.Group.VIP, r.Group.ASN)
			if p, ok := want[name]; ok {
				found++
				if r.Pattern != p {
					wrong = append(wrong, fmt.Sprintf("%s: %q, want %q: %+v", name, r.Pattern, p, r))
				}
			}
		}
		if found < len(want) {
			return fmt.Sprintf("%d groups", found)
		}
		return strings.Join(wrong, "\n")
	})
	for _, r := range r.Groups {
		t.Logf("figures: %s AS%d: %s, %s; %d downloads, %d broken, %d not connected, %v; %d of %d flips; unicast %d of %d broken", r.Group.VIP, r.Group.ASN, r.Verdict, r.Pattern,
			r.VIP.Downloads, r.VIP.Broken, r.VIP.Unmade, r.Outcomes, r.Flips, r.Pairs, r.Unicast.Broken, r.Unicast.Downloads)
		if r.Group.VIP == "global" && r.Unicast.Broken > 0 {
			t.Errorf("AS%d: %d downloads over unicast broke", r.Group.ASN, r.Unicast.Broken)
		}
	}
	t.Logf("figures: all told apart after %.1f s", time.Since(begin).Seconds())
	if text := os.Getenv("LAB_VERDICT"); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Until(begin.Add(d)))
		w.verdicts(t)
	}
	flips := string(w.report(t, "flips", "--data", w.path("data"), "--by", "asn", "--format", "csv"))
	for i := range networks {
		if has := strings.Contains(flips, fmt.Sprintf("\nglobal,%d,", 64496+i)); has && (i == cut || i == small || i == well) || !has && i == moves {
			t.Errorf("AS%d sees several PoPs: %v\n%s", 64496+i, has, flips)
		}
	}
	if answer := string(w.report(t, "stability", "--data", w.path("data"), "--by", "asn")); !strings.HasPrefix(answer, "Is TCP over global as stable as over unicast? ") {
		t.Error(answer)
	}
}

// verdicts checks what the report says once it has seen enough of the networks
// of TestReport: a route that moved once makes none unstable, all else does. To
// call a network stable takes less time if one that loses a tenth of downloads
// is all that must be found.
func (w *world) verdicts(t *testing.T) {
	t.Helper()
	var r stability
	if err := json.Unmarshal(w.report(t, "stability", "--data", w.path("data"), "--by", "asn", "--alarm", "10", "--format", "json"), &r); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"global AS64496": "unstable, path cut", "global AS64497": "stable, route moved", "global AS64498": "unstable, packets balanced",
		"global AS64499": "unstable, packets balanced", "global AS64500": "unstable, mtu black hole", "global AS64501": "stable, ",
		"global AS64502": "unstable, packets balanced", "second AS64501": "unicast too, pop",
	}
	for _, g := range r.Groups {
		name, got := fmt.Sprintf("%s AS%d", g.Group.VIP, g.Group.ASN), g.Verdict+", "+g.Pattern
		t.Logf("figures: in the end %s: %s; %d downloads, %d broken, %d not connected, %v; unicast %d of %d broken; %d resets at PoPs", name, got,
			g.VIP.Downloads, g.VIP.Broken, g.VIP.Unmade, g.Outcomes, g.Unicast.Broken, g.Unicast.Downloads, g.Resets)
		if want[name] != "" && got != want[name] {
			t.Errorf("%s: %s; want %s", name, got, want[name])
		}
		if torn := g.Pattern == "packets balanced" || g.Pattern == "route moved"; g.Group.VIP == "global" && torn != (g.Resets > 0) {
			t.Errorf("%s: PoPs saw %d resets", name, g.Resets)
		}
		delete(want, name)
	}
	if len(want) > 0 {
		t.Errorf("no groups %v", want)
	}
	for _, a := range r.Answers {
		t.Logf("figures: %s", a.Answer)
		for i, unstable := range []bool{true, false, true, true, true, false, true} {
			if a.VIP == "global" && strings.Contains(a.Answer, fmt.Sprintf("AS%d ", 64496+i)) != unstable {
				t.Errorf("AS%d is named, or should be: %s", 64496+i, a.Answer)
			}
		}
	}
}

// within polls until there is nothing wrong.
func within(t *testing.T, limit time.Duration, wrong func() string) {
	t.Helper()
	for deadline := time.Now().Add(limit); ; time.Sleep(200 * time.Millisecond) {
		text := wrong()
		if text == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(text)
		}
	}
}
