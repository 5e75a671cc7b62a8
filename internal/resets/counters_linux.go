package resets

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"os"
	"strconv"
	"time"
)

// counterSource sees how many RSTs the kernel has sent: one number, which
// includes what scanners and aborted connections draw.
type counterSource struct {
	file   *os.File
	buf    []byte
	last   uint64
	next   time.Time
	normal baseline
}

// openCounters needs no privilege. The counters are those of the network
// namespace of the calling thread. Nothing is unusual before so long has passed.
func openCounters(learn time.Duration) (*counterSource, error) {
	file, err := os.Open("/proc/thread-self/net/snmp")
	if err != nil {
		return nil, err
	}
	s := &counterSource{file: file, buf: make([]byte, 16<<10), next: time.Now().Add(countEvery), normal: baseline{learn: learn.Seconds()}}
	if s.last, err = s.read(); err != nil {
		_ = file.Close()
		return nil, err
	}
	return s, nil
}

const countEvery = time.Second

func (s *counterSource) setVIPs(map[netip.Addr]bool) error { return nil }

func (s *counterSource) drain(_ int, take func(*event)) (lost uint64, err error) {
	now := time.Now()
	if now.Before(s.next) {
		return 0, nil
	}
	s.next = now.Add(countEvery)
	total, err := s.read()
	if err != nil {
		return 0, fmt.Errorf("resets: %w", err)
	}
	sent := total - s.last
	s.last = total
	if n := s.normal.over(float64(sent)); n > 0 {
		take(&event{what: excess, n: n})
	}
	return 0, nil
}

// read returns the TcpOutRsts of /proc/net/snmp, whose lines come in pairs:
// names, then values.
func (s *counterSource) read() (uint64, error) {
	n, err := s.file.ReadAt(s.buf, 0)
	if n == 0 && err != nil {
		return 0, err
	}
	return outRsts(s.buf[:n])
}

func outRsts(text []byte) (uint64, error) {
	var names [][]byte
	for line := range bytes.Lines(text) {
		words := bytes.Fields(line)
		if len(words) == 0 || string(words[0]) != "Tcp:" {
			continue
		}
		if names == nil {
			names = words
			continue
		}
		for i, name := range names {
			if string(name) == "OutRsts" && i < len(words) {
				return strconv.ParseUint(string(words[i]), 10, 64)
			}
		}
	}
	return 0, errors.New("/proc/net/snmp has no OutRsts of Tcp")
}

func (s *counterSource) Close() error { return s.file.Close() }

// baseline is how many events a second are usual: a mean that forgets.
type baseline struct {
	mean  float64
	n     float64 // seconds it was learned over
	learn float64 // seconds before anything is unusual
}

const memory = 600 // s that the mean looks back

// over returns by how many x exceeds the usual, if that is no chance: by more
// than four standard deviations of a Poisson process, and two. What is unusual
// moves the mean no further than that limit would.
func (b *baseline) over(x float64) (excess uint64) {
	limit := b.mean + 4*math.Sqrt(b.mean) + 2
	if b.n > 0 && b.n >= b.learn && x > limit {
		excess = uint64(math.Round(x - b.mean))
		x = limit
	}
	b.n = min(b.n+1, memory)
	b.mean += (x - b.mean) / b.n
	return excess
}
