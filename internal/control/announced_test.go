package control

import (
	"log/slog"
	"net/http"
	"testing"
	"time"

	"catchment/internal/announce"
)

// FuzzAnnounce: whatever a PoP says is taken or refused, and what was taken can
// be shown.
func FuzzAnnounce(f *testing.F) {
	f.Add([]byte(`{"report":{"pop":"iad","sent":"2026-11-01T12:00:00Z","began":"2026-11-01T11:00:00Z","vips":[{"vip":"global","announced":true,"asks":true}]},"drain":{"phase":"ttl"},"connections":-1,"traffic":-1}`))
	f.Add([]byte(`{"report":{"pop":"iad","sent":"9999-12-31T23:59:59Z","vips":[{"vip":"global","out":true,"withdrawn_at":"0001-01-02T00:00:00Z"},{"vip":"global","asks":true},{"vip":"none","asks":true}]}}`))
	f.Add([]byte(`{"report":{"pop":"iad","sent":"2026-11-01T12:00:00Z"},"neighbors":[{"address":"fe80::1%eth0","sent":[{"prefix":"198.51.100.0/24","prepend":-1}]}],"traffic":1e400}`))
	f.Add([]byte(`{"report":{"pop":"lax"}}`))
	c, err := New(testConfig(f.TempDir()), speakingFleet(), slog.New(slog.DiscardHandler), nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = c.Close() })
	f.Fuzz(func(t *testing.T, body []byte) {
		code, text := do(c.Handler(), iad, "POST", "/v1/announce", string(body))
		switch code {
		case http.StatusOK, http.StatusBadRequest, http.StatusForbidden, http.StatusRequestEntityTooLarge:
		default:
			t.Fatalf("%d %s", code, text)
		}
		for _, s := range c.popsNow("iad", time.Now()) {
			if len(s.Events) > announce.MaxEvents {
				t.Fatalf("%d events are kept", len(s.Events))
			}
		}
		if code, text := do(c.API(), alice, "GET", "/api/v1/pops", ""); code != http.StatusOK {
			t.Fatalf("%d %s", code, text)
		}
	})
}
