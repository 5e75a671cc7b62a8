package runner_test

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"catchment/internal/edge"
	"catchment/internal/follow"
	"catchment/internal/ramp"
	"catchment/internal/ramp/runner"
)

func (r *rig) api(want int, token, method, path, body, contains string) string {
	r.t.Helper()
	q := httptest.NewRequest(method, "/api/v1/ramps"+path, strings.NewReader(body))
	q.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	r.API().ServeHTTP(w, q)
	if w.Code != want || !strings.Contains(w.Body.String(), contains) {
		r.t.Errorf("%s %s %.80s: %d %.300s, want %d with %q", method, path, body, w.Code, w.Body, want, contains)
	}
	return w.Body.String()
}

func TestAPI(t *testing.T) {
	c := plane(t, tempDB(t))
	defer c.Close()
	r := newRig(t, c, nil)
	r.users.harmed = "br"
	plan := text(t, testPlan(t)) // JSON is YAML, too
	r.api(401, "nobody-0123456789012345", "GET", "", "", "bearer token")
	r.api(403, ns1, "GET", "", "", "want operator or viewer")
	r.api(403, victor, "POST", "?why=x", plan, "want operator")
	r.api(200, victor, "GET", "", "", "[]")
	r.api(422, alice, "POST", "", plan, "why: is missing")
	r.api(422, alice, "POST", "?why=x", "id: r", "service: is missing")
	r.api(422, alice, "POST", "?why=x", strings.Replace(plan, "www.edge", "x.edge", 1), "no service")
	r.api(201, alice, "POST", "?why=to+see", plan, `"phase":"pending"`)
	r.api(409, alice, "POST", "?why=x", plan, "already")
	r.goOn(12)
	r.api(200, victor, "GET", "/r", "", `"phase":"running","share":0.2`)
	r.api(200, victor, "GET", "/r/plan", "", `"at_once":2`)
	r.api(404, victor, "GET", "/x", "", "no such ramp")
	r.api(422, alice, "POST", "/r/jump", `{"why":"x"}`, "is not pause")
	r.api(422, alice, "POST", "/r/pause", `{}`, "why: is missing")
	r.api(422, alice, "POST", "/r/pause", `{"why":"x","y":1}`, "unknown field")
	r.api(409, alice, "POST", "/r/set", `{"why":"x","geography":"us","share":0.3}`, "is not a step")
	r.api(409, alice, "POST", "/r/resume", `{"why":"x","geography":"xx"}`, "no geography")
	r.api(200, alice, "POST", "/r/pause", `{"why":"lunch"}`, "lunch, by alice")
	r.api(200, alice, "POST", "/r/resume", `{"why":"back"}`, "resume")
	r.api(409, alice, "DELETE", "/r?why=x", "", "whose clients would go back")
	log := r.api(200, victor, "GET", "/r/log?limit=3", "", `"by":"alice"`)
	var answer struct {
		Looks []runner.Look
		Last  int64
	}
	if err := json.Unmarshal([]byte(log), &answer); err != nil || len(answer.Looks) != 3 || answer.Last == 0 {
		t.Errorf("log: %d looks, last %d, %v", len(answer.Looks), answer.Last, err)
	}
	r.goOn(12 * 6)
	var chart runner.Chart
	if err := json.Unmarshal([]byte(r.api(200, victor, "GET", "/r/chart?every=30m", "", "")), &chart); err != nil {
		t.Fatal(err)
	}
	us, br := chart.Geographies[0], chart.Geographies[1]
	if n := len(us.Values); n < 8 || us.Values[n-1].Share != 1 || us.Values[0].Optimal == nil || *us.Values[0].Optimal < 0.79 || us.Marks[0].Action != ramp.Start {
		t.Errorf("curve of us: %+v", us)
	}
	if m := br.Marks[len(br.Marks)-1]; m.Action != ramp.Rolled || m.To != 0 {
		t.Errorf("marks of br: %+v", br.Marks)
	}
	r.api(200, victor, "GET", "/r/chart?format=csv", "", "at,geography,share,")
	r.api(422, victor, "GET", "/r/chart?every=1s", "", "every")
	r.api(200, alice, "POST", "/rollback", `{"why":"it burns"}`, `["r"]`)
	if got := r.shares(); got != "" {
		t.Errorf("after the emergency: %q", got)
	}
	r.api(200, alice, "POST", "/r/abort", `{"why":"over"}`, `"ended":true`)
	r.api(200, victor, "GET", "/r/log", "", "over")
}

// Name servers follow a step within 5 s of the decision, over TLS as in
// earnest, and stay where they are when the control node is gone.
func TestFollowed(t *testing.T) {
	c := plane(t, tempDB(t))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- c.Run(ctx) }()
	mux := http.NewServeMux()
	mux.Handle("/v1/", c.Handler())
	server := httptest.NewUnstartedServer(mux)
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	server.Config.RegisterOnShutdown(c.Release)
	server.StartTLS()
	dir := t.TempDir()
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	ca := write("ca", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	client, err := follow.NewClient(server.URL, write("token", []byte(ns1)), ca)
	if err != nil {
		t.Fatal(err)
	}
	shares := make(chan float64, 100)
	var last atomic.Value
	follower, err := follow.New(client, filepath.Join(dir, "snapshot.json"), func(s *edge.Snapshot) error {
		share := 0.0
		for _, r := range s.Ramps {
			share += r.Share
		}
		last.Store(share)
		shares <- share
		return nil
	}, quiet, prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	if err := follower.First(t.Context()); err != nil {
		t.Fatal(err)
	}
	following, stopFollowing := context.WithCancel(t.Context())
	followed := make(chan error)
	go func() { followed <- follower.Run(following) }()

	r := newRig(t, c, func(cfg *runner.Config) { cfg.Steering = c })
	r.users.steering = c
	if err := r.Start(testPlan(t), "alice", "to see"); err != nil {
		t.Fatal(err)
	}
	want := func(share float64, why string) {
		t.Helper()
		decided := time.Now()
		for {
			select {
			case got := <-shares:
				if got != share {
					continue
				}
				t.Logf("%s: followed %v after the decision", why, time.Since(decided).Round(time.Millisecond))
				for !c.RampFollowed("r/us", r.now) { // until the follower has said so
					if time.Since(decided) > 5*time.Second {
						t.Fatalf("%s: the follower did not say so within 5 s", why)
					}
					time.Sleep(time.Millisecond)
				}
				return
			case <-time.After(5 * time.Second):
				t.Fatalf("%s: not followed within 5 s of the decision", why)
			}
		}
	}
	r.goOn(6)
	want(0.2, "start")
	r.goOn(15)
	want(0.5, "advance")
	if _, err := r.RollBackAll("alice", "it burns"); err != nil {
		t.Fatal(err)
	}
	want(0, "emergency")
	if _, err := r.Do("r", ramp.Command{Do: ramp.Set, Geography: "us", Share: 0.2, By: "alice", Why: "again"}); err != nil {
		t.Fatal(err)
	}
	want(0.2, "set")

	cancel() // the control node dies
	if err := errors.Join(<-done, c.Close()); err != nil {
		t.Error(err)
	}
	server.CloseClientConnections()
	server.Close()
	if got := last.Load(); got != 0.2 {
		t.Errorf("without a control node the share is %v", got)
	}
	stopFollowing()
	if err := <-followed; err != nil {
		t.Error(err)
	}
}

// The webhook is told once of each hold and step back, tried again while it
// fails, and its URL is never said.
func TestWebhook(t *testing.T) {
	var bodies []runner.Message
	tries := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if tries++; tries == 1 {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		var m runner.Message
		if err := json.NewDecoder(q.Body).Decode(&m); err != nil || q.URL.Path != "/secret" {
			t.Error(err, q.URL)
		}
		bodies = append(bodies, m)
	}))
	defer server.Close()
	c := plane(t, tempDB(t))
	defer c.Close()
	r := newRig(t, c, func(cfg *runner.Config) { cfg.Webhook = server.URL + "/secret" })
	r.users.harmed = "us"
	if err := r.Start(testPlan(t), "alice", "to see"); err != nil {
		t.Fatal(err)
	}
	r.goOn(14) // us went back
	if _, err := r.Do("r", ramp.Command{Do: ramp.Pause, By: "alice", Why: "enough"}); err != nil {
		t.Fatal(err)
	}
	if err := r.Deliver(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	if len(bodies) != 2 || tries != 3 || bodies[0].Action != ramp.Rolled || bodies[0].Geography != "us" || bodies[0].FromShare != 0.2 || bodies[0].ToShare != 0 ||
		bodies[1].Action != ramp.Paused || bodies[1].By != "alice" || !strings.Contains(bodies[1].Reason, "enough") {
		t.Errorf("%d tries, told %+v", tries, bodies)
	}
	_, err := runner.New(runner.Config{Records: c, Leases: c, Trails: c, Steering: c, Evidence: r.users, Places: country{}, Webhook: "gopher://secret"}, quiet, prometheus.NewRegistry())
	if err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("a bad URL: %v", err)
	}
}
