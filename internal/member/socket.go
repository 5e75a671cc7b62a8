package member

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"time"

	"catchment/internal/announce"
)

// SocketName is that of the socket in the PoP's directory.
const SocketName = "pop.sock"

// Socket serves Handler on a Unix socket that only its owner may use: for
// whoever is at the machine when the control node cannot be asked.
type Socket struct {
	listener net.Listener
	server   *http.Server
}

// ListenSocket makes the socket at path, in place of one that was left behind.
func (m *Member) ListenSocket(path string) (*Socket, error) {
	if c, err := net.Dial("unix", path); err == nil {
		_ = c.Close()
		return nil, fmt.Errorf("member: %s is in use: another agent runs", path)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("member: %w", err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("member: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil { // the directory is the owner's alone, too
		return nil, fmt.Errorf("member: %w", errors.Join(err, l.Close()))
	}
	return &Socket{l, &http.Server{Handler: m.Handler(), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second}}, nil
}

// Run serves until ctx is done.
func (s *Socket) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = s.server.Close() })
	defer stop()
	if err := s.server.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("member: %w", err)
	}
	return nil
}

// Handler serves
//
//	GET  /v1/status                            announce.Status
//	POST /v1/drain, restore, abort and skip    {"why": "…", "grace": "2m"}; 409 if it is not followed
func (m *Member) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, _ *http.Request) {
		s := m.status.Load()
		if s == nil {
			http.Error(w, "there is no status yet: the PoP does not speak BGP, or has just started", http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(s)
	})
	for _, do := range []announce.Do{announce.DoDrain, announce.DoRestore, announce.DoAbort, announce.DoSkip} {
		mux.HandleFunc("POST /v1/"+string(do), func(w http.ResponseWriter, r *http.Request) { m.take(w, r, do) })
	}
	return mux
}

func (m *Member) take(w http.ResponseWriter, r *http.Request, do announce.Do) {
	var body struct {
		Why   string `json:"why"`
		Grace string `json:"grace"`
	}
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, 16<<10))
	d.DisallowUnknownFields()
	if err := d.Decode(&body); err != nil {
		http.Error(w, "want {\"why\": \"…\"}: "+err.Error(), http.StatusBadRequest)
		return
	}
	o := order{announce.Order{Do: do, Local: true, Why: body.Why}, make(chan string, 1)}
	if body.Grace != "" {
		var err error
		if o.Grace, err = time.ParseDuration(body.Grace); err != nil || o.Grace <= 0 {
			http.Error(w, "grace: want a duration above 0, such as 2m", http.StatusBadRequest)
			return
		}
	}
	if body.Why == "" {
		http.Error(w, "why: is missing: those who read the log want to know", http.StatusBadRequest)
		return
	}
	select {
	case m.orders <- o:
	case <-r.Context().Done():
		return
	}
	if refused := <-o.refused; refused != "" {
		http.Error(w, refused, http.StatusConflict)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}
