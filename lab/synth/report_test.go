package synth_test

import (
	"encoding/json"
	"fmt"
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
	Pairs, Flips             int
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
func TestReport(t *testing.T) {
	const cut, moves, alternate, tenth, small, well, hundredth, networks = 0, 1, 2, 3, 4, 5, 6, 7
	w, begin := newWorld(t, networks), time.Now()
	from := func(i int) string { return "ip saddr " + agentAddr(i) + " ip daddr " + global + " " }
	w.filter(t, from(alternate)+"meta mark set numgen inc mod 2 offset 1")
	w.filter(t, from(tenth)+"numgen random mod 10 < 1 meta mark set 2")
	w.filter(t, from(hundredth)+"numgen inc mod 100 < 1 meta mark set 2")
	w.filter(t, "ip saddr "+global+" ip daddr "+agentAddr(small)+" ip length > 1000 drop")
	for i := range networks {
		n := 8
		if i == hundredth {
			n = 32 // most of its downloads pass
		}
		w.agent(t, i, n, "2s")
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
	for _, a := range r.Answers {
		t.Logf("figures: %s", a.Answer)
	}
	for _, r := range r.Groups {
		t.Logf("figures: %s AS%d: %s, %s; %d downloads, %d broken, %d not connected, %v; %d of %d flips; unicast %d of %d broken", r.Group.VIP, r.Group.ASN, r.Verdict, r.Pattern,
			r.VIP.Downloads, r.VIP.Broken, r.VIP.Unmade, r.Outcomes, r.Flips, r.Pairs, r.Unicast.Broken, r.Unicast.Downloads)
		if r.Group.VIP == "global" && r.Unicast.Broken > 0 {
			t.Errorf("AS%d: %d downloads over unicast broke", r.Group.ASN, r.Unicast.Broken)
		}
	}
	t.Logf("figures: all told apart after %.1f s", time.Since(begin).Seconds())
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
