package main

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	sockets = 8
	window  = 128 // questions under way, closed loop, over all sockets
	batch   = window / sockets
	timeout = 300 * time.Millisecond
	flights = 1 << 13 // a socket's questions that are remembered: more than it can ask within the timeout
)

// load asks a server questions and judges the answers. It keeps a processor
// busy throughout: if it slept, waking it would be work of the server's.
type load struct {
	queries []query
	next    int // the query that is asked next
	clients []*client
	base    time.Time

	tally
}

// tally is what became of the questions of a run.
type tally struct {
	asked, answered int
	wrong, wide     int // of those answered
	lost            int // not answered within the timeout

	latencies []time.Duration // of the answers while keep was true
	keep      bool
}

// client is a connected UDP socket with the questions that wait on it.
type client struct {
	fd      int
	in, out *messages
	head    uint16 // the ID of the next question
	tail    uint16 // the oldest that may be unanswered
	waiting int
	flights [flights]flight
}

type flight struct {
	at    time.Duration // when it was asked, since base
	query int32
	id    uint16
	open  bool
}

func newLoad(server netip.AddrPort, queries []query) (*load, error) {
	l := &load{queries: queries, base: time.Now()}
	for range sockets {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			l.close()
			return nil, fmt.Errorf("load: socket: %w", err)
		}
		l.clients = append(l.clients, &client{fd: fd, in: newMessages(batch), out: newMessages(batch)})
		if err := unix.Connect(fd, &unix.SockaddrInet4{Addr: server.Addr().As4(), Port: int(server.Port())}); err != nil {
			l.close()
			return nil, fmt.Errorf("load: connect: %w", err)
		}
	}
	return l, nil
}

func (l *load) close() {
	for _, c := range l.clients {
		unix.Close(c.fd)
	}
}

// saturate keeps a window of questions under way for so long.
func (l *load) saturate(span time.Duration) error {
	for end := l.now() + span; l.now() < end; {
		for _, c := range l.clients {
			if err := l.collect(c); err != nil {
				return err
			}
			if err := l.ask(c, batch-c.waiting); err != nil {
				return err
			}
		}
	}
	return nil
}

// offer asks a fixed number of questions per second, evenly, for so long,
// whether or not the former ones are answered. What it could not ask in time,
// because this process did not run, it does not ask at once later on.
func (l *load) offer(perSecond int, span time.Duration) error {
	interval := time.Second / time.Duration(perSecond)
	due, turn := l.now(), 0
	for end := due + span; l.now() < end; {
		due = max(due, l.now()-time.Millisecond)
		for ; due <= l.now(); due += interval {
			if err := l.ask(l.clients[turn%sockets], 1); err != nil {
				return err
			}
			turn++
		}
		for _, c := range l.clients {
			if err := l.collect(c); err != nil {
				return err
			}
		}
	}
	return nil
}

// drain waits for the answers that are still to come.
func (l *load) drain() error {
	for {
		waiting := 0
		for _, c := range l.clients {
			if err := l.collect(c); err != nil {
				return err
			}
			waiting += c.waiting
		}
		if waiting == 0 {
			return nil
		}
	}
}

func (l *load) now() time.Duration { return time.Since(l.base) }

// ask sends n questions, or as many as the socket takes.
func (l *load) ask(c *client, n int) error {
	// No room: answers to earlier ones are overdue.
	n = min(n, flights-1-int(c.head-c.tail))
	if n <= 0 {
		return nil
	}
	at := l.now()
	for i := range n {
		q := (l.next + i) % len(l.queries)
		id := c.head + uint16(i)
		binary.BigEndian.PutUint16(c.out.put(i, l.queries[q].packet), id)
		c.flights[id%flights] = flight{at, int32(q), id, true}
	}
	sent, errno := c.out.send(c.fd, n)
	if errno != 0 && !again(errno) {
		return fmt.Errorf("load: send: %w", errno)
	}
	c.head += uint16(sent)
	c.waiting += sent
	l.asked += sent
	l.next = (l.next + sent) % len(l.queries)
	return nil
}

// collect takes what answers there are, and gives up on those overdue.
func (l *load) collect(c *client) error {
	n, errno := c.in.receive(c.fd, unix.MSG_DONTWAIT)
	if errno != 0 && !again(errno) {
		return fmt.Errorf("load: receive: %w", errno)
	}
	now := l.now()
	for i := range n {
		p := c.in.packet(i)
		if len(p) < headerLen {
			continue
		}
		id := binary.BigEndian.Uint16(p)
		f := &c.flights[id%flights]
		if !f.open || f.id != id {
			continue // too late
		}
		f.open = false
		c.waiting--
		l.answered++
		if l.keep {
			l.latencies = append(l.latencies, now-f.at)
		}
		switch check(p, &l.queries[f.query]) {
		case wrong:
			l.wrong++
		case wide:
			l.wide++
		}
	}
	for ; c.tail != c.head; c.tail++ {
		f := &c.flights[c.tail%flights]
		if !f.open {
			continue
		}
		if now-f.at < timeout {
			break
		}
		f.open = false
		c.waiting--
		l.lost++
	}
	return nil
}

func again(errno syscall.Errno) bool { return errno == unix.EAGAIN || errno == unix.EINTR }

// percentile returns the p-th percentile of the latencies, by nearest rank.
func (t *tally) percentile(p float64) time.Duration {
	if len(t.latencies) == 0 {
		return 0
	}
	slices.Sort(t.latencies)
	return t.latencies[min(len(t.latencies)-1, int(p/100*float64(len(t.latencies))))]
}
