package analysis

import (
	"math/bits"

	"catchment/internal/edge"
)

// connections are what was seen of connections to one target from one group.
type connections struct {
	downloads uint64 // slow ones that were connected
	broken    uint64 // of those
	unmade    uint64 // connections that failed before they were open, of any kind
	looked    uint64 // connections of looks that were answered
	missed    uint64 // and those that were not
	ms        float64
	outcomes  map[edge.DownloadOutcome]uint64 // of slow downloads
	torn      uint64                          // of all kinds: ended by an RST, or a FIN
	silent    uint64                          // of all kinds: no answer, or nothing more
	hours     map[int64]uint64                // watched: 64 h a word
	failed    map[int64]uint32                // broken downloads by the second in which they ended
	trouble   map[int64]uint32                // by minute, downloads and looks that broke or were never connected
	tries     uint64                          // of these kinds
	from, to  int64                           // seconds of the first and the last moment watched; 0: none
	big       uint64                          // bursts of full-size packets that were begun
	swallowed uint64                          // and of which nothing arrived
}

func newConnections() *connections {
	return &connections{outcomes: map[edge.DownloadOutcome]uint64{}, hours: map[int64]uint64{}, failed: map[int64]uint32{}, trouble: map[int64]uint32{}}
}

// broke reports whether a connection that was open was lost to the network, or
// to the PoP. A certificate that is refused, or a page that is not the object,
// says nothing of that; nor does a silence that may be the agent's own.
func broke(d *edge.Download) bool {
	switch d.Outcome {
	case edge.DownloadReset, edge.DownloadClosed:
		return true
	case edge.DownloadStall:
		return !d.Lagged
	case edge.DownloadTimeout:
		return d.Stage != edge.DownloadConnecting && !d.Lagged
	}
	return false
}

// unmade reports whether there was no connection.
func unmade(d *edge.Download) bool {
	switch d.Outcome {
	case edge.DownloadRefused, edge.DownloadUnreachable:
		return true
	case edge.DownloadTimeout:
		return d.Stage == edge.DownloadConnecting
	}
	return false
}

// watched reports whether a download had a connection whose fate says
// something of the network.
func watched(d *edge.Download) bool {
	return !unmade(d) && d.Outcome != edge.DownloadBusy && d.Outcome != edge.DownloadTLS && d.Outcome != edge.DownloadWrong
}

// Watched returns for how many minutes the connection of a slow download was
// watched, and whether it broke, as the report counts them.
func Watched(d *edge.Download) (minutes float64, broken bool) {
	if !watched(d) {
		return 0, false
	}
	return d.Duration / 60e3, broke(d)
}

func (c *connections) add(d *edge.Download, t *StabilityTotals) {
	if d.Lagged && (d.Outcome == edge.DownloadStall || d.Outcome == edge.DownloadTimeout) {
		t.Lagged++
	}
	switch d.Outcome {
	case edge.DownloadReset, edge.DownloadClosed, edge.DownloadRefused:
		c.torn++
	case edge.DownloadStall, edge.DownloadTimeout:
		if !d.Lagged && d.Kind != edge.BigDownload { // a burst that vanishes says nothing of the way
			c.silent++
		}
	}
	if d.Kind != edge.BigDownload {
		c.tries++
		if broke(d) || unmade(d) {
			c.trouble[(d.Start.Unix()+int64((d.Connect+d.Duration)/1000))/60]++
		}
	}
	switch d.Kind {
	case edge.LookDownload:
		for _, p := range d.Served {
			if p == edge.Failed {
				c.missed++
			} else {
				c.looked++
			}
		}
	case edge.BigDownload:
		switch {
		case unmade(d):
			c.unmade++
		case d.Outcome == edge.DownloadOK:
			c.big++
		case d.Stage == edge.DownloadBody && broke(d):
			c.big++
			if d.Outcome == edge.DownloadStall && d.Bytes == 0 {
				c.swallowed++
			}
		}
	case edge.SlowDownload:
		c.outcomes[d.Outcome]++
		if unmade(d) {
			c.unmade++
		}
		if !watched(d) {
			return
		}
		c.downloads++
		c.ms += d.Duration
		begin := d.Start.Unix()
		end := d.Start.Unix() + int64((d.Connect+d.Duration)/1000)
		if c.from == 0 || begin < c.from {
			c.from = begin
		}
		c.to = max(c.to, end)
		for hour := begin / 3600; hour <= end/3600; hour++ {
			if word, bit := hour/64, uint64(1)<<(hour%64); c.hours[word]&bit == 0 {
				c.hours[word] |= bit
			}
		}
		if broke(d) {
			c.broken++
			c.failed[end]++
		}
	}
}

func (c *connections) watchedHours() (n int) {
	for _, w := range c.hours {
		n += bits.OnesCount64(w)
	}
	return n
}

// spread returns in how many spans of so many seconds something failed.
func (c *connections) spread(seconds int64) int {
	spans := map[int64]struct{}{}
	for s := range c.failed {
		spans[s/seconds] = struct{}{}
	}
	return len(spans)
}

// episodes are the minutes in which something failed: what breaks one
// connection often breaks all that are open at the time.
func (c *connections) episodes() int { return c.spread(60) }

func (c *connections) minutes() float64 { return c.ms / 60e3 }

func (c *connections) rate() Rate {
	return rateOf(float64(c.broken), float64(c.episodes()), c.minutes())
}

// join adds what o has.
func (c *connections) join(o *connections) {
	c.downloads, c.broken, c.unmade = c.downloads+o.downloads, c.broken+o.broken, c.unmade+o.unmade
	c.torn, c.silent = c.torn+o.torn, c.silent+o.silent
	c.looked, c.missed, c.ms = c.looked+o.looked, c.missed+o.missed, c.ms+o.ms
	c.big, c.swallowed = c.big+o.big, c.swallowed+o.swallowed
	if c.from == 0 || o.from != 0 && o.from < c.from {
		c.from = o.from
	}
	c.to = max(c.to, o.to)
	for k, n := range o.outcomes {
		c.outcomes[k] += n
	}
	for k, n := range o.hours {
		c.hours[k] |= n
	}
	c.tries += o.tries
	for k, n := range o.trouble {
		c.trouble[k] += n
	}
	for k, n := range o.failed {
		c.failed[k] += n
	}
}
