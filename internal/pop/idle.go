package pop

import (
	"net"
	"net/http"
	"sync"
	"time"
)

// idleDraining is how long a connection may be idle while the PoP drains. A
// client that sends a request at the very moment when it is closed tries again,
// as it does whenever a server tires of waiting.
const idleDraining = 5 * time.Second

// idling knows since when connections are idle.
type idling struct {
	mu    sync.Mutex
	since map[net.Conn]time.Time // guarded by mu
}

// state is http.Server.ConnState.
func (i *idling) state(c net.Conn, s http.ConnState) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if s == http.StateIdle {
		i.since[c] = time.Now()
	} else {
		delete(i.since, c)
	}
}

// close ends connections that have been idle for as long as that.
func (i *idling) close(least time.Duration, now time.Time) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for c, since := range i.since {
		if now.Sub(since) >= least {
			_ = c.Close() // the server's goroutine notices, and tells
			delete(i.since, c)
		}
	}
}
