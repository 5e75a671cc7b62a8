//go:build !linux || !(amd64 || arm64)

package authdns

import (
	"errors"
	"net/netip"
	"os"
	"time"
)

const maxQueryUDP = 4096

// worker answers what comes in on one socket, a packet at a time: for where
// packets cannot be taken in batches. Answers leave from the address that the
// system chooses.
type worker struct {
	answerer
	socket *udpSocket
}

func newWorker(s *Server, socket *udpSocket, st *stats) (*worker, error) {
	return &worker{answerer{Server: s, via: overUDP, stats: st}, socket}, nil
}

func (w *worker) run() error {
	in, out := make([]byte, maxQueryUDP+1), make([]byte, 0, maxUDP+32)
	for {
		n, peer, err := w.socket.conn.ReadFromUDPAddrPort(in)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil
		case err != nil:
			return err
		case n > maxQueryUDP:
			w.stats.oversized.Add(1)
			continue
		}
		peer = netip.AddrPortFrom(peer.Addr().Unmap(), peer.Port())
		w.now, w.snap, w.peer = time.Now(), w.current.Load(), peer.Addr()
		v := w.parse(in[:n])
		if v == unanswerable || peer.Port() == 0 {
			w.stats.unanswered.Add(1)
			continue
		}
		if v == wellFormed {
			if reply, done := w.fast(out); done {
				if _, err := w.socket.conn.WriteToUDPAddrPort(reply, peer); len(reply) > 0 && err != nil {
					w.stats.unsent.Add(1)
				}
				continue
			}
		}
		w.stats.slow.Add(1)
		if !w.enqueueSlow(w.socket, in[:n], peer, nil) {
			w.stats.dropped.Add(1)
		}
	}
}

func socketOptions(string, bool) func(fd uintptr) error {
	return func(uintptr) error { return nil }
}
