package delay

import (
	"container/heap"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// maxHeld bounds the packets under way, so that a flood costs 48 MB at most;
// more are dropped, as a full queue does.
const maxHeld = 32 << 10

// loop is the forwarding thread. One thread for all sites needs no locks nor
// hand-over between threads on a packet's way, and its wake-ups are the only
// thing that precision depends on: it runs at real-time priority where that is
// allowed, sleeps in ppoll(2), which counts in nanoseconds, and asks for 1 ns
// of timer slack (the default is 50 µs).
type loop struct {
	table *atomic.Pointer[table]
	start time.Time // the times below are since then
	rand  *rand.Rand

	mu    sync.Mutex
	added []int // descriptors of sites that the thread does not know yet
	wake  int   // eventfd: look at added and closing
	done  chan struct{}

	closing  atomic.Bool
	realtime error // why the thread has no real-time priority

	// Of the thread alone.
	tuns []int // by site
	poll []unix.PollFd
	held held
	free [][]byte
	last map[[2]int]time.Duration // when the newest packet of a direction is due
	seq  uint64

	counters
}

func newLoop(t *atomic.Pointer[table], seed uint64) (*loop, error) {
	wake, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("delay: eventfd: %w", err)
	}
	l := &loop{
		table: t,
		start: time.Now(),
		rand:  rand.New(rand.NewPCG(seed, 0)),
		wake:  wake,
		done:  make(chan struct{}),
		last:  map[[2]int]time.Duration{},
		poll:  []unix.PollFd{{Fd: int32(wake), Events: unix.POLLIN}},
	}
	ready := make(chan struct{})
	go func() {
		defer close(l.done)
		runtime.LockOSThread() // never unlocked: the priority must not outlive the loop
		l.realtime = raisePriority()
		close(ready)
		l.run()
	}()
	<-ready
	return l, nil
}

// raisePriority makes the calling thread wake up as soon as it is due.
func raisePriority() error {
	err := unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 10}, 0)
	if err == nil {
		return nil
	}
	return errors.Join(fmt.Errorf("delay: SCHED_FIFO: %w", err),
		unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0),
		unix.Setpriority(unix.PRIO_PROCESS, 0, -20))
}

// add hands over the TUN device of the next site.
func (l *loop) add(fd int) {
	l.mu.Lock()
	l.added = append(l.added, fd)
	l.mu.Unlock()
	l.poke()
}

func (l *loop) poke() {
	unix.Write(l.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0}) // fails only when the thread is to wake up anyway
}

func (l *loop) close() {
	if l.closing.Swap(true) {
		return
	}
	l.poke()
	<-l.done
	for _, fd := range append(l.tuns, l.added...) {
		unix.Close(fd)
	}
	unix.Close(l.wake)
}

func (l *loop) now() time.Duration { return time.Since(l.start) }

func (l *loop) run() {
	for !l.closing.Load() {
		var timeout *unix.Timespec // nil: until a packet comes
		if len(l.held) > 0 {
			ts := unix.NsecToTimespec(int64(max(0, l.held[0].due-l.now())))
			timeout = &ts
		}
		n, err := unix.Ppoll(l.poll, timeout, nil)
		if err != nil && !errors.Is(err, unix.EINTR) {
			panic(fmt.Sprintf("delay: ppoll: %v", err)) // a descriptor went bad: a bug here
		}
		l.deliver()
		if n > 0 {
			l.receive()
		}
	}
}

// deliver writes every packet that is due.
func (l *loop) deliver() {
	for len(l.held) > 0 {
		p := l.held[0]
		late := l.now() - p.due
		if late < 0 {
			return
		}
		heap.Pop(&l.held)
		if _, err := unix.Write(l.tuns[p.to], p.data); err != nil {
			l.dropped.Add(1)
		} else {
			l.delivered.Add(1)
			l.countLate(late)
		}
		l.free = append(l.free, p.data[:cap(p.data)])
	}
}

// receive reads every packet that waits at a device.
func (l *loop) receive() {
	if l.poll[0].Revents != 0 {
		var count [8]byte
		unix.Read(l.wake, count[:])
		l.mu.Lock()
		for _, fd := range l.added {
			l.tuns = append(l.tuns, fd)
			l.poll = append(l.poll, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
		}
		l.added = nil
		l.mu.Unlock()
	}
	for site := range l.tuns {
		switch ready := &l.poll[site+1]; {
		case ready.Revents == 0:
			continue
		case ready.Revents&unix.POLLIN == 0:
			ready.Fd = -1 // somebody deleted the device; ppoll(2) passes over it
			continue
		}
		for {
			buf := l.buffer()
			n, err := unix.Read(l.tuns[site], buf)
			if err != nil {
				l.free = append(l.free, buf)
				break // EAGAIN: no more
			}
			if !l.hold(site, buf[:n]) {
				l.free = append(l.free, buf)
			}
		}
	}
}

func (l *loop) buffer() []byte {
	if k := len(l.free) - 1; k >= 0 {
		b := l.free[k]
		l.free = l.free[:k]
		return b
	}
	return make([]byte, mtu)
}

// hold routes a packet and puts it aside until it is due, or reports that it
// is dropped.
func (l *loop) hold(from int, data []byte) bool {
	t := l.table.Load()
	if to, ok := t.wires[from]; ok {
		return to < len(l.tuns) && l.carry(from, to, t.links[from], Link{}, data)
	}
	dst, ok := destination(data)
	if !ok {
		l.unrouted.Add(1)
		return false
	}
	to, ok := t.routes[route{from, dst}]
	if !ok {
		to, ok = t.home[dst]
	}
	if !ok || to >= len(l.tuns) {
		l.unrouted.Add(1)
		return false
	}
	return l.carry(from, to, t.links[from], t.links[to], data)
}

// carry puts a packet aside for as long as two links take.
func (l *loop) carry(from, to int, a, b Link, data []byte) bool {
	if a.Down || b.Down || l.lost(a.Loss) || l.lost(b.Loss) || len(l.held) >= maxHeld {
		l.dropped.Add(1)
		return false
	}
	pair := [2]int{from, to}
	due := l.now() + (a.RTT+b.RTT)/2 + l.jitter(a.Jitter) + l.jitter(b.Jitter)
	due = max(due, l.last[pair])
	l.last[pair] = due
	l.seq++
	heap.Push(&l.held, packet{due, l.seq, to, data})
	return true
}

func (l *loop) lost(p float64) bool { return p > 0 && l.rand.Float64() < p }

func (l *loop) jitter(j time.Duration) time.Duration {
	if j <= 0 {
		return 0
	}
	return time.Duration(l.rand.Int64N(int64(j)))
}

// destination returns the destination address of an IP packet (RFC 791,
// section 3.1; RFC 8200, section 3).
func destination(p []byte) (netip.Addr, bool) {
	switch {
	case len(p) >= 20 && p[0]>>4 == 4:
		return netip.AddrFrom4([4]byte(p[16:20])), true
	case len(p) >= 40 && p[0]>>4 == 6:
		return netip.AddrFrom16([16]byte(p[24:40])), true
	}
	return netip.Addr{}, false
}

// packet is one under way.
type packet struct {
	due  time.Duration
	seq  uint64 // order of arrival, among those due together
	to   int
	data []byte
}

// held is a heap: the packet that is due first comes first.
type held []packet

func (h held) Len() int { return len(h) }
func (h held) Less(i, j int) bool {
	return h[i].due < h[j].due || h[i].due == h[j].due && h[i].seq < h[j].seq
}
func (h held) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *held) Push(p any)   { *h = append(*h, p.(packet)) }
func (h *held) Pop() any {
	last := len(*h) - 1
	p := (*h)[last]
	*h = (*h)[:last]
	return p
}
