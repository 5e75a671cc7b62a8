package follow_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"catchment/internal/beacon"
	"catchment/internal/edge"
	"catchment/internal/follow"
	"catchment/internal/tokens"
)

const nonceToken = "correct-horse-battery-staple"

type nowhere struct{}

func (nowhere) Lookup(netip.Addr) edge.Place { return edge.Place{} }

type nothing struct{}

func (nothing) Append(_ context.Context, b ...*edge.Beacon) (int, error) { return len(b), nil }

func nonceClient(t *testing.T, url string) *follow.Client {
	t.Helper()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(nonceToken+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := follow.NewAPIClient(url, file, "")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestTakeNonces hands a batch to the collector's own handler.
func TestTakeNonces(t *testing.T) {
	known, _, err := tokens.Parse(strings.NewReader("dns ns1 " + nonceToken + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	reg := prometheus.NewRegistry()
	keys, err := beacon.RandomKeys()
	if err != nil {
		t.Fatal(err)
	}
	fleet := &edge.Fleet{Probe: "probe.example"}
	c, err := beacon.New(beacon.Config{Tokens: known, Keys: keys}, fleet, nowhere{}, nothing{}, slog.New(slog.DiscardHandler), reg)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(c.ControlHandler())
	defer server.Close()

	var batch []edge.Asked
	for len(batch) < 250 { // what one network may ask for
		w := httptest.NewRecorder()
		r := httptest.NewRequest("GET", "/v1/plan", nil)
		r.RemoteAddr = netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, 100, byte(len(batch))}), 1).String()
		c.Handler().ServeHTTP(w, r)
		_, rest, ok := strings.Cut(w.Body.String(), "https://unicast-")
		nonce, _, _ := strings.Cut(rest, ".")
		if !ok {
			t.Fatal(w.Code, w.Body)
		}
		batch = append(batch, edge.Asked{
			Nonce: nonce, Label: "unicast", At: time.Now(),
			Resolver: netip.MustParsePrefix("192.0.2.0/24"), Client: netip.MustParsePrefix("198.51.100.0/24"),
		})
	}
	to := nonceClient(t, server.URL)
	if err := to.TakeNonces(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	promhttp.HandlerFor(reg, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if want := `catchment_beacon_nonces_total{result="noted"} 250`; !strings.Contains(w.Body.String(), want+"\n") {
		t.Errorf("want %s in\n%s", want, w.Body)
	}
}

func TestTakeNoncesFails(t *testing.T) {
	batch := []edge.Asked{{Nonce: "n", Label: "unicast", At: time.Unix(1, 0), Resolver: netip.MustParsePrefix("192.0.2.0/24")}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "want a bearer token", http.StatusUnauthorized)
	}))
	to := nonceClient(t, server.URL)
	err := to.TakeNonces(t.Context(), batch)
	if err == nil || !strings.Contains(err.Error(), "401") || !strings.Contains(err.Error(), "want a bearer token") || strings.Contains(err.Error(), nonceToken) {
		t.Errorf("refused: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := to.TakeNonces(ctx, batch); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
	server.Close()
	if err := to.TakeNonces(t.Context(), batch); err == nil || strings.Contains(err.Error(), nonceToken) {
		t.Errorf("nobody listens: %v", err)
	}
}
