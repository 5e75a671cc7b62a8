package control

import (
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"catchment/internal/tokens"
)

const (
	hold       = 30 * time.Second // how long a request waits for the next snapshot
	sendWithin = 5 * time.Minute  // to whoever is on a bad link
	maxWaiting = 16               // requests of one follower at a time
	maxLeap    = 1 << 32          // versions; one a millisecond for 49 days
	leapEvery  = 10 * time.Second
)

type follower struct {
	role tokens.Role
	id   string
}

// seen is what a follower told of itself.
type seen struct {
	version uint64 // that it has, or has refused
	refused uint64 // that it could not use; 0: none
	applied uint64 // of this control node's, that it answers by; 0: not known
	at      time.Time
	waiting int
}

// followers are all that were heard since the start. There are no more of them
// than tokens.
type followers struct {
	mu  sync.Mutex
	all map[follower]*seen // guarded by mu
}

// enter notes a request, and reports whether there may be one more. A follower
// asks for what comes after a version once it has applied or refused that. One
// that it has from elsewhere (foreign) says nothing of what it answers by.
func (f *followers) enter(who follower, version, refused uint64, foreign bool, now time.Time) (newRefusal, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.all[who]
	if s == nil {
		s = &seen{}
		f.all[who] = s
	}
	if s.waiting >= maxWaiting {
		return false, false
	}
	newRefusal = refused != 0 && refused != s.refused
	s.version, s.refused, s.at = version, refused, now
	switch {
	case foreign:
		s.applied = 0
	case refused == 0:
		s.applied = version
	}
	s.waiting++
	return newRefusal, true
}

func (f *followers) leave(who follower) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.all[who].waiting--
}

// list returns a copy.
func (f *followers) list() map[follower]seen {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := map[follower]seen{}
	for who, s := range f.all {
		list[who] = *s
	}
	return list
}

// Release answers all requests that wait for the next snapshot, now and from
// now on: for a listener that shuts down (http.Server.RegisterOnShutdown).
func (c *Control) Release() { c.release.Do(func() { close(c.released) }) }

// serveSnapshot answers with the snapshot, or, given ?after=VERSION, with one
// of a later version as soon as there is one; 304 if there is none within 30 s.
//
// A follower also says when the one that it has was made, and which one it
// refused.
func (c *Control) serveSnapshot(w http.ResponseWriter, r *http.Request) {
	role, ok := c.allow(w, r, tokens.DNS, tokens.PoP, tokens.Synth)
	if !ok {
		return
	}
	after, refused, made, err := followed(r)
	if err != nil {
		err.write(w)
		return
	}
	deadlines := http.NewResponseController(w)
	_ = deadlines.SetReadDeadline(time.Time{}) // else it cuts the wait short
	_ = deadlines.SetWriteDeadline(time.Now().Add(hold + sendWithin))
	newRefusal, ok := c.followers.enter(role, after, refused, c.foreign(after, made), time.Now())
	if !ok {
		refuse(http.StatusTooManyRequests, "", "%d requests of this token wait already", maxWaiting).write(w)
		return
	}
	defer c.followers.leave(role)
	if newRefusal {
		c.log.Error("a follower refused a snapshot", "role", string(role.role), "id", role.id, "version", refused)
	}
	c.leapOver(after, made, role)

	enough := time.NewTimer(hold)
	defer enough.Stop()
	for {
		changed := c.changed.wait()
		p := c.current.Load()
		if p != nil && p.snapshot.Version > after {
			p.send(w, r)
			return
		}
		select {
		case <-changed:
			continue
		case <-enough.C:
		case <-c.released:
		case <-r.Context().Done():
			return
		}
		switch {
		case p == nil:
			w.Header().Set("Retry-After", "1")
			refuse(http.StatusServiceUnavailable, "", "%v", errNone).write(w)
		default:
			w.Header().Set("ETag", p.etag)
			w.WriteHeader(http.StatusNotModified)
		}
		return
	}
}

// followed reads what a follower says: ?after=, or If-None-Match.
func followed(r *http.Request) (after, refused uint64, made time.Time, _ *apiError) {
	q := r.URL.Query()
	text := q.Get("after")
	if text == "" {
		text = strings.Trim(strings.TrimPrefix(r.Header.Get("If-None-Match"), "W/"), `"`)
	}
	var err error
	if text != "" {
		if after, err = strconv.ParseUint(text, 10, 64); err != nil {
			return 0, 0, made, refuse(http.StatusBadRequest, "after", "%q is not a version", text)
		}
	}
	if text := q.Get("refused"); text != "" {
		if refused, err = strconv.ParseUint(text, 10, 64); err != nil {
			return 0, 0, made, refuse(http.StatusBadRequest, "refused", "%q is not a version", text)
		}
	}
	if text := q.Get("made"); text != "" {
		if made, err = time.Parse(time.RFC3339Nano, text); err != nil {
			return 0, 0, made, refuse(http.StatusBadRequest, "made", "%q is not a time (RFC 3339)", text)
		}
	}
	return after, refused, made, nil
}

// foreign reports whether a follower's version is of another line.
func (c *Control) foreign(after uint64, made time.Time) bool {
	p := c.current.Load()
	if p == nil {
		return true
	}
	ours := p.snapshot
	return after > ours.Version || after == ours.Version && !made.IsZero() && !made.Equal(ours.Made)
}

// leapOver makes the next version higher than a follower's, if that is of
// another line: this state was restored from a backup, or is new. Without a
// leap the follower would refuse everything until the numbers meet.
func (c *Control) leapOver(after uint64, made time.Time, who follower) {
	p := c.current.Load()
	if p == nil {
		return
	}
	ours := p.snapshot.Version
	if !c.foreign(after, made) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if after-ours > maxLeap || time.Since(c.leapt) < leapEvery || after < c.state.version {
		return
	}
	c.leap, c.leapt = after+1, time.Now()
	c.log.Error("a follower has a later snapshot: leaping over its version", "role", string(who.role), "id", who.id, "version", after)
	c.wake()
}

// send writes the snapshot, compressed for whoever takes that.
func (p *published) send(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("Vary", "Accept-Encoding")
	h.Set("ETag", p.etag)
	body := p.text
	if acceptsGzip(r) {
		h.Set("Content-Encoding", "gzip")
		body = p.packed
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body)
}

// acceptsGzip reports whether the request lists gzip, other than as refused
// (RFC 9110, section 12.5.3).
func acceptsGzip(r *http.Request) bool {
	for one := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		name, param, _ := strings.Cut(strings.ReplaceAll(one, " ", ""), ";")
		if !strings.EqualFold(name, "gzip") {
			continue
		}
		q, err := strconv.ParseFloat(strings.TrimPrefix(param, "q="), 64)
		return err != nil || q > 0
	}
	return false
}
