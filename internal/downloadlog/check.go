package downloadlog

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"
	"unicode/utf8"

	"catchment/internal/edge"
)

const (
	maxSkew   = 10 * time.Minute // that an agent's clock may be ahead
	maxText   = 256              // bytes of a text
	maxServed = 64               // connections of a look
	maxMillis = 24 * 3600 * 1000 // of any duration: the longest download takes minutes
)

// check names the record and the field that is wrong.
func check(batch []edge.Download, now time.Time) error {
	if len(batch) == 0 {
		return errors.New("want 1 record or more")
	}
	for i := range batch {
		if err := checkOne(&batch[i], now); err != nil {
			return fmt.Errorf("[%d].%w", i, err)
		}
	}
	return nil
}

func checkOne(d *edge.Download, now time.Time) error {
	addr, err := netip.ParseAddr(d.Address)
	family := 6
	if addr.Is4() {
		family = 4
	}
	switch {
	case d.V != 1:
		return fmt.Errorf("v: %d (want 1)", d.V)
	case !brief(d.ID) || d.ID == "":
		return fmt.Errorf("id: want 1 to %d bytes", maxText)
	case !brief(d.Agent) || d.Agent == "":
		return fmt.Errorf("agent: want 1 to %d bytes", maxText)
	case !slices.Contains(edge.DownloadKinds, d.Kind):
		return fmt.Errorf("kind: %.20q is none", string(d.Kind))
	case d.Start.Sub(now) > maxSkew || now.Sub(d.Start) > MaxLate:
		return errors.New("start: not a time of the last 30 days")
	case !target(d.Target):
		return fmt.Errorf("target: %.40q (want vip:ID or pop:ID)", string(d.Target))
	case err != nil || addr.Zone() != "" || addr.Is4In6():
		return fmt.Errorf("address: %.40q is none", d.Address)
	case d.Family != family:
		return fmt.Errorf("af: %d (want %d, the address's)", d.Family, family)
	case !slices.Contains(edge.DownloadProtocols, d.Asked):
		return fmt.Errorf("asked: %.20q is no protocol", string(d.Asked))
	case !brief(d.Spoke):
		return errors.New("proto: not a short text")
	case !brief(d.TLS):
		return errors.New("tls: not a short text")
	case d.Local.IsValid() && d.Local != cut(d.Local.Addr()):
		return errors.New("local: want a /24 or /48")
	}
	return checkEnd(d)
}

// checkEnd looks at how it went.
func checkEnd(d *edge.Download) error {
	switch {
	case !slices.Contains(edge.DownloadOutcomes, d.Outcome):
		return fmt.Errorf("outcome: %.20q is none", string(d.Outcome))
	case d.Stage != "" && !slices.Contains(edge.DownloadStages, d.Stage):
		return fmt.Errorf("stage: %.20q is none", string(d.Stage))
	case !brief(d.Errno):
		return errors.New("errno: not a short text")
	case !brief(d.Error):
		return errors.New("error: not a short text")
	case d.Status != 0 && (d.Status < 100 || d.Status > 999):
		return fmt.Errorf("status: %d is none", d.Status)
	case d.PoP != "" && !edge.ValidID(string(d.PoP)):
		return errors.New("pop: not an id")
	case d.PoPEnd != "" && !edge.ValidID(string(d.PoPEnd)):
		return errors.New("pop_end: not an id")
	case d.VIP != "" && !edge.ValidID(string(d.VIP)):
		return errors.New("vip: not an id")
	case len(d.Served) > maxServed:
		return fmt.Errorf("served: %d (want at most %d)", len(d.Served), maxServed)
	case d.Flips < 0 || d.Flips > max(0, len(d.Served)-1):
		return fmt.Errorf("flips: %d of %d connections", d.Flips, len(d.Served))
	case d.Bytes < 0:
		return errors.New("bytes: less than 0")
	case d.Stalls < 0:
		return errors.New("stalls: less than 0")
	}
	for _, p := range d.Served {
		if p != edge.Failed && !edge.ValidID(string(p)) {
			return errors.New("served: not an id")
		}
	}
	for _, m := range []struct {
		name string
		ms   float64
	}{{"length", d.Length}, {"connect", d.Connect}, {"duration", d.Duration}, {"gap", d.Gap}} {
		if m.ms < 0 || m.ms > maxMillis {
			return fmt.Errorf("%s: %g ms is out of range", m.name, m.ms)
		}
	}
	if t := d.TCP; t != nil {
		for _, ms := range []float64{t.RTT, t.RTTVar, t.MinRTT} {
			// A kernel that has measured no RTT tells 2^32-1 µs.
			if ms < 0 || ms > maxMillis {
				return errors.New("tcp: a time is out of range")
			}
		}
	}
	return nil
}

// brief reports whether s is short, and text.
func brief(s string) bool { return len(s) <= maxText && utf8.ValidString(s) }

func target(t edge.DownloadTarget) bool {
	if id, ok := t.VIP(); ok {
		return edge.ValidID(string(id))
	}
	id, ok := t.PoP()
	return ok && edge.ValidID(string(id))
}
