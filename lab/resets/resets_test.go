package resets_test

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"catchment/internal/analysis"
	"catchment/internal/edge"
	"catchment/lab/delay"
)

// flips are the resets at one PoP that no doubt is about, and open those of
// their connections that another one had.
func flips(all []edge.ResetRecord, at edge.PoPID) (resets []edge.ResetRecord, open []edge.ResetRecord) {
	for _, r := range all {
		switch {
		case r.Open != nil && r.PoP != at:
			open = append(open, r)
		case r.Reset != nil && r.PoP == at && r.Reset.Kind == edge.MidFlow && r.Reset.Doubt == edge.NoDoubt:
			resets = append(resets, r)
		}
	}
	return resets, open
}

func reportOf(all []edge.ResetRecord, by ...analysis.Key) []analysis.ResetRow {
	r := analysis.NewResets(by)
	for i := range all {
		r.Add(&all[i])
	}
	return r.Rows(1)
}

// A flow that the network moves to another PoP is reset there; the watcher
// there sees it, and that of the PoP it left confirms it.
func TestFlip(t *testing.T) {
	t.Parallel()
	for _, method := range []edge.ResetMethod{edge.ResetsByKernel, edge.ResetsByPacket} {
		for _, addr := range []netip.Addr{vip, vip6} {
			t.Run(string(method)+" "+addr.String(), func(t *testing.T) {
				t.Parallel()
				if !permitted(t, method) {
					return
				}
				w := newWorld(t, by(method), "iad", "lax")
				end := w.download(t, addr)
				w.to("lax")
				if err := <-end; !errors.Is(err, syscall.ECONNRESET) {
					t.Fatalf("the download ended with %v; want a reset", err)
				}
				all := w.eventually(t, "confirmed flip", func(all []edge.ResetRecord) bool {
					_, open := flips(all, "lax")
					return len(open) > 0
				})
				prefix := netip.MustParsePrefix("203.0.113.0/24")
				if addr == vip6 {
					prefix = netip.MustParsePrefix("2001:db8:c::/48")
				}
				resets, open := flips(all, "lax")
				if len(resets) != 1 || resets[0].Reset.VIP != "global" || resets[0].Reset.Client != prefix || resets[0].Method != method {
					t.Errorf("lax saw\n%s; want one reset of %v", show(resets), prefix)
				}
				if len(open) != 1 || open[0].PoP != "iad" || open[0].Open.Client != prefix || !slices.Contains(resets[0].Reset.Flows, open[0].Open.Flow) {
					t.Errorf("iad had open\n%s; want what lax reset", show(open))
				}
				rows := reportOf(all, analysis.ByFrom, analysis.ByTo, analysis.ByClient)
				if len(rows) != 1 || rows[0].Confirmed != 1 || rows[0].Balanced != 0 ||
					rows[0].Group[0].Text != "iad" || rows[0].Group[1].Text != "lax" || rows[0].Group[2].Text != prefix.String() {
					t.Errorf("the report has %+v; want one confirmed flip from iad to lax", rows)
				}
			})
		}
	}
}

// Where the link of a PoP is cut its clients stall. Those that say something,
// if only to see whether the connection is alive, are reset at another PoP; the
// PoP that they left sends into the void, and gives up at last.
func TestCut(t *testing.T) {
	t.Parallel()
	if !permitted(t, edge.ResetsByKernel) {
		return
	}
	w := newWorld(t, by(edge.ResetsByKernel), "iad", "lax")
	run(t, w.pops["iad"].Namespace, "sh", "-c", "echo 3 >/proc/sys/net/ipv4/tcp_retries2") // some 3 s instead of 15 min
	end := w.download(t, vip)
	w.pops["iad"].SetLink(delay.Link{Down: true})
	w.to("lax")
	if err := <-end; !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("the download ended with %v; want a reset", err)
	}
	all := w.eventually(t, "confirmed flip, then a timeout", func(all []edge.ResetRecord) bool {
		_, open := flips(all, "lax")
		return len(open) > 0 && slices.ContainsFunc(all, func(r edge.ResetRecord) bool { return r.Reset != nil && r.Reset.Kind == edge.TimedOut })
	})
	_, open := flips(all, "lax")
	flow := open[0].Open.Flow
	for _, r := range all {
		switch {
		case r.Open != nil && (r.PoP != "iad" || !r.Open.Unheard):
			t.Errorf("open: %s; want it at iad, unheard of", show([]edge.ResetRecord{r}))
		case r.Reset != nil && r.Reset.Kind == edge.TimedOut && (r.PoP != "iad" || r.Reset.Count != 1 || r.Reset.Client.String() != "203.0.113.0/24" || !slices.Contains(r.Reset.Flows, flow)):
			t.Errorf("timed out: %s; want one, at iad", show([]edge.ResetRecord{r}))
		}
	}
}

// The kernel's counters tell that something was reset, at least.
func TestCounters(t *testing.T) {
	t.Parallel()
	cfg := by(edge.ResetsByCounters)
	cfg.Warmup = time.Second
	w := newWorld(t, cfg, "iad", "lax")
	time.Sleep(2500 * time.Millisecond) // two seconds are counted each at its end: what is usual is known
	var ends []<-chan error
	for range 20 {
		ends = append(ends, w.download(t, vip))
	}
	w.to("lax")
	for _, end := range ends {
		<-end
	}
	all := w.eventually(t, "excess at lax", func(all []edge.ResetRecord) bool { return len(all) > 0 })
	for _, r := range all {
		if r.PoP != "lax" || r.Reset == nil || r.Reset.Kind != edge.Excess || r.Reset.Client.IsValid() {
			t.Errorf("%s; want an excess at lax", show([]edge.ResetRecord{r}))
		}
	}
}

// fence makes each PoP see a segment that no TCP would send, and waits for it
// to be kept: all that happened before is then, too.
func (w *world) fence(t *testing.T) []edge.ResetRecord {
	t.Helper()
	for id, s := range w.pops {
		fences := func(all []edge.ResetRecord) (n uint64) {
			for _, r := range all {
				if r.PoP == id && r.Reset != nil && r.Reset.Client.Contains(s.own) {
					n += r.Reset.Count
				}
			}
			return n
		}
		before := fences(w.records(t))
		send(t, s.Namespace, segment{netip.AddrPortFrom(s.own, 1), netip.AddrPortFrom(vip, 80), 0, 0})
		w.eventually(t, "fence", func(all []edge.ResetRecord) bool { return fences(all) > before })
	}
	return slices.DeleteFunc(w.records(t), func(r edge.ResetRecord) bool {
		return r.Reset != nil && r.Reset.Client.Contains(netip.MustParseAddr("192.0.2.1"))
	})
}

// Scans are no flips: SYNs to closed ports leave nothing, ACKs to many ports
// mark whoever sends them, and so do numbers that no TCP would have chosen.
func TestScan(t *testing.T) {
	t.Parallel()
	for _, method := range []edge.ResetMethod{edge.ResetsByKernel, edge.ResetsByPacket} {
		t.Run(string(method), func(t *testing.T) {
			t.Parallel()
			if !permitted(t, method) {
				return
			}
			w := newWorld(t, by(method), "iad")
			for port := uint16(81); port < 90; port++ {
				_, err := w.client.Dial(&net.Dialer{Timeout: time.Second}, "tcp", netip.AddrPortFrom(vip, port).String())
				if !errors.Is(err, syscall.ECONNREFUSED) {
					t.Fatalf("port %d: %v; want it closed", port, err)
				}
			}
			if all := w.fence(t); len(all) != 0 {
				t.Errorf("after SYNs to closed ports there is\n%swant nothing", show(all))
			}
			from := netip.AddrPortFrom(client[0], 40000)
			send(t, w.client.Namespace, segment{from, netip.AddrPortFrom(vip, 80), 12345, 0}) // crafted
			for port := uint16(79); port < 90; port++ {
				send(t, w.client.Namespace, segment{from, netip.AddrPortFrom(vip, port), 12345, 67890})
			}
			for _, r := range w.fence(t) {
				if r.Reset == nil || r.Reset.Doubt != edge.DoubtScan {
					t.Errorf("after a scan there is\n%swant it marked", show([]edge.ResetRecord{r}))
				}
			}
			rows := reportOf(w.records(t))
			if len(rows) != 1 || rows[0].Resets != 0 || rows[0].Doubtful < 2 || rows[0].Networks != 0 {
				t.Errorf("the report has %+v; want doubtful resets only", rows)
			}
		})
	}
}

// What belonged to a connection of this very PoP is no flip, nor is what comes
// right after the start.
func TestDoubt(t *testing.T) {
	t.Parallel()
	if !permitted(t, edge.ResetsByKernel) {
		return
	}
	cfg := by(edge.ResetsByKernel)
	cfg.Warmup = time.Hour
	w := newWorld(t, cfg, "iad")
	conn, err := w.client.Dial(&net.Dialer{Timeout: 5 * time.Second}, "tcp", netip.AddrPortFrom(vip, 80).String())
	if err != nil {
		t.Fatal(err)
	}
	local := conn.LocalAddr().(*net.TCPAddr).AddrPort()
	if _, err := io.WriteString(conn, "GET /o HTTP/1.1\r\nHost: global-1.probe.edge.example\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 1024)); err != nil {
		t.Fatal(err)
	}
	conn.Close() // first, so that the wait after the end is the client's
	late := segment{local, netip.AddrPortFrom(vip, 80), 12345, 67890}
	other := late
	other.from = netip.AddrPortFrom(local.Addr(), local.Port()^1)
	send(t, w.client.Namespace, other)
	w.eventually(t, "doubts", func(all []edge.ResetRecord) bool {
		send(t, w.client.Namespace, late) // the PoP's socket may linger for a moment
		doubts := map[edge.ResetDoubt]bool{}
		for _, r := range all {
			doubts[r.Reset.Doubt] = true
		}
		return len(doubts) == 2 && doubts[edge.DoubtClosed] && doubts[edge.DoubtStart]
	})
}

// What comes faster than it is looked at is counted, to the last segment.
func TestFlood(t *testing.T) {
	t.Parallel()
	if !permitted(t, edge.ResetsByKernel) {
		return
	}
	cfg := by(edge.ResetsByKernel)
	cfg.Look = 2 * time.Second
	w := newWorld(t, cfg, "iad")
	s := w.pops["iad"]
	flood := make([]segment, 20_000) // the ring holds 9,362
	for i := range flood {
		flood[i] = segment{netip.AddrPortFrom(s.own, uint16(10_000+i)), netip.AddrPortFrom(vip, 80), 12345, 67890}
	}
	send(t, s.Namespace, flood...) // a busy machine drops some before its TCP
	var sent, counted, overflow uint64
	w.eventually(t, "count of all that was reset", func(all []edge.ResetRecord) bool {
		sent, counted, overflow = outRsts(t, s.Namespace), 0, 0
		for _, r := range all {
			overflow += r.Overflow
			if r.Reset != nil {
				counted += r.Reset.Count
			}
		}
		return counted > 0 && counted+overflow == sent
	})
	t.Logf("figures: of %d resets in one look %d were seen and %d only counted", sent, counted, overflow)
	if overflow == 0 {
		t.Errorf("all of %d resets were seen; want more than there is room for", sent)
	}
}

// outRsts is how many RSTs a namespace's TCP has sent.
func outRsts(t *testing.T, ns *delay.Namespace) (n uint64) {
	t.Helper()
	err := ns.Do(func() error {
		text, err := os.ReadFile("/proc/thread-self/net/snmp")
		if err != nil {
			return err
		}
		var names []string
		for line := range strings.Lines(string(text)) {
			words := strings.Fields(line)
			if len(words) == 0 || words[0] != "Tcp:" {
				continue
			}
			if names == nil {
				names = words
				continue
			}
			n, err = strconv.ParseUint(words[slices.Index(names, "OutRsts")], 10, 64)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}
