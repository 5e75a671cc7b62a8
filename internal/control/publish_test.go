package control

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"catchment/internal/edge"
	"catchment/internal/steer"
)

// TestVersions: they rise by one with each change of what is said, changes in
// close succession are one, and a restart neither goes back nor changes any.
func TestVersions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		r := newRig(t, testConfig(dir))
		r.settle()
		if r.Snapshot().Version != 1 {
			t.Fatalf("begins with version %d", r.Snapshot().Version)
		}
		for i := range 10 {
			r.api(200, "PUT", "sheds/iad", fmt.Sprintf(`{"why":"x","share":0.%d}`, i))
		}
		r.settle()
		if r.Snapshot().Version != 2 || r.Snapshot().Sheds[0].Share != 0.9 {
			t.Errorf("version %d: %+v", r.Snapshot().Version, r.Snapshot().Sheds)
		}
		r.tell(iad, "health", `{"state":"down"}`)
		r.settle()
		before := r.Snapshot()
		r.stop()

		time.Sleep(time.Minute)
		r = newRig(t, testConfig(dir))
		r.settle()
		if got := r.Snapshot(); got.Version != before.Version || !got.Made.Equal(before.Made) || jsonOf(t, got) != jsonOf(t, before) {
			t.Errorf("after a restart\n%s, want\n%s", jsonOf(t, got), jsonOf(t, before))
		}
		r.stop()
		cfg := testConfig(dir)
		cfg.Places = elsewhere{}
		r = newRig(t, cfg)
		r.settle()
		if got := r.Snapshot(); got.Version != before.Version+1 || got.Places != "two" {
			t.Errorf("with other places: %d %s", got.Version, got.Places)
		}
		r.stop()
	})
}

type elsewhere struct{ nowhere }

func (elsewhere) Version() string { return "two" }

// TestEndings: what has an end leaves the snapshot then, without anybody doing
// anything.
func TestEndings(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.api(200, "PUT", "drains/iad", `{"why":"x","for":"1h"}`)
		r.api(200, "PUT", "pins/a", `{"asn":64496,"scheme":"global","why":"x","for":"2h"}`)
		r.api(200, "PUT", "acme/_acme-challenge.edge.example", `{"value":"v","why":"x","for":"3h"}`)
		r.settle()
		count := func(version uint64, drains, pins, challenges int) {
			t.Helper()
			if s := r.Snapshot(); s.Version != version || len(s.Drains) != drains || len(s.Pins) != pins || len(s.Challenges) != challenges {
				t.Errorf("version %d: %d drains, %d pins, %d challenges", s.Version, len(s.Drains), len(s.Pins), len(s.Challenges))
			}
		}
		count(2, 1, 1, 1)
		time.Sleep(time.Hour - time.Second)
		count(2, 1, 1, 1)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		count(3, 0, 1, 1)
		time.Sleep(time.Hour)
		synctest.Wait()
		count(4, 0, 0, 1)
		time.Sleep(time.Hour)
		synctest.Wait()
		count(5, 0, 0, 0)
		entries, err := r.db.audit(-1, 3)
		if err != nil || len(entries) != 3 || entries[0].Object != "drain/iad" || entries[2].Who != "control" || entries[2].Action != "delete" {
			t.Errorf("%+v (%v)", entries, err)
		}
		if list := r.api(200, "GET", "drains", ""); list != "[]" {
			t.Errorf("still there: %s", list)
		}
	})
}

// TestSetFleet: what goes with the state is taken, what is about PoPs that are
// gone is passed over, and what makes no sense is refused.
func TestSetFleet(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.api(200, "PUT", "drains/lax", `{"why":"x"}`)
		r.api(200, "PUT", "shares/us", `{"service":"www.edge.example","scheme":"global","share":0.1,"why":"x"}`)
		r.settle()
		without := testFleet()
		without.VIPs = without.VIPs[1:] // not global, to which the ramp leads
		if err := r.SetFleet(without); err == nil {
			t.Error("a fleet without the ramp's VIP was taken")
		}
		smaller := testFleet()
		smaller.PoPs = append(smaller.PoPs[:1], smaller.PoPs[2:]...)
		if err := r.SetFleet(smaller); err != nil {
			t.Fatal(err)
		}
		r.settle()
		if s := r.Snapshot(); s.Version != 3 || len(s.Fleet.PoPs) != 2 || s.Drains != nil || len(s.Ramps) != 1 {
			t.Errorf("%s", jsonOf(t, s))
		}
		if err := r.SetFleet(testFleet()); err != nil {
			t.Fatal(err)
		}
		r.settle()
		if s := r.Snapshot(); s.Version != 4 || len(s.Drains) != 1 {
			t.Errorf("the drain did not come back: %s", jsonOf(t, s))
		}
	})
}

// TestMeasured: what was measured is in the snapshot, also after a restart.
func TestMeasured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		r := newRig(t, testConfig(dir))
		r.settle()
		if err := r.SetMeasured(nil, nil); err != nil { // which says nothing new
			t.Fatal(err)
		}
		r.settle()
		if r.Snapshot().Version != 1 {
			t.Errorf("version %d", r.Snapshot().Version)
		}
		cell := edge.CellKey{Country: "DE"}
		orders := []edge.Order{{CellKey: cell, PoPs: []edge.Latency{{PoP: "iad", RTT: 20, Samples: 50}, {PoP: "fra", RTT: 90, Samples: 50}}}}
		reached := []edge.Catchment{{CellKey: cell, Scheme: edge.Global, PoP: "fra", Share: 1}}
		for range 2 {
			if err := r.SetMeasured(orders, reached); err != nil {
				t.Fatal(err)
			}
			r.settle()
		}
		if s := r.Snapshot(); s.Version != 2 || len(s.Orders) != 1 || len(s.Catchments) != 1 {
			t.Errorf("%s", jsonOf(t, s))
		}
		r.stop()
		r = newRig(t, testConfig(dir))
		r.settle()
		if s := r.Snapshot(); s.Version != 2 || jsonOf(t, s.Orders) != jsonOf(t, orders) {
			t.Errorf("%s", jsonOf(t, s))
		}
		plan, err := r.plan()
		if err != nil {
			t.Fatal(err)
		}
		if x, err := plan.Explain(steer.Query{Service: "www.edge.example", Client: netip.MustParseAddr("203.0.113.7")}); err != nil || x.Answer.PoP != "iad" {
			t.Errorf("%s (%v)", x, err)
		}
		r.stop()
		if err := os.WriteFile(filepath.Join(dir, measuredFile), []byte(`{"orders":[{`), 0o600); err != nil {
			t.Fatal(err)
		}
		r = newRig(t, testConfig(dir))
		r.settle()
		if s := r.Snapshot(); s.Version != 3 || s.Orders != nil {
			t.Errorf("with a damaged file: %s", jsonOf(t, s))
		}
		r.stop()
	})
}

// TestLongPoll: a follower waits until there is something new, at most 30 s.
func TestLongPoll(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		get := func(path string, header ...string) *httptest.ResponseRecorder {
			q := httptest.NewRequest("GET", path, nil)
			q.Header.Set("Authorization", "Bearer "+ns1)
			for i := 0; i+1 < len(header); i += 2 {
				q.Header.Set(header[i], header[i+1])
			}
			w := httptest.NewRecorder()
			r.Handler().ServeHTTP(w, q)
			return w
		}
		if w := get("/v1/snapshot"); w.Code != 200 || w.Header().Get("ETag") != `"1"` {
			t.Errorf("%d %v", w.Code, w.Header())
		}
		w := get("/v1/snapshot", "Accept-Encoding", "br, gzip")
		unpacked, err := gzip.NewReader(w.Body)
		if err != nil || w.Header().Get("Content-Encoding") != "gzip" {
			t.Fatal(err, w.Header())
		}
		text, _ := io.ReadAll(unpacked)
		if plain := get("/v1/snapshot", "Accept-Encoding", "gzip;q=0").Body.Bytes(); !bytes.Equal(text, plain) {
			t.Errorf("%s is not %s", text, plain)
		}
		for _, q := range []string{"?after=x", "?refused=x", "?made=x"} {
			if w := get("/v1/snapshot" + q); w.Code != 400 {
				t.Errorf("%s: %d", q, w.Code)
			}
		}

		began := time.Now()
		if w := get("/v1/snapshot?after=1"); w.Code != 304 || time.Since(began) != hold || w.Header().Get("ETag") != `"1"` {
			t.Errorf("%d after %v", w.Code, time.Since(began))
		}
		if w := get("/v1/snapshot", "If-None-Match", `W/"1"`); w.Code != 304 {
			t.Errorf("%d", w.Code)
		}
		began = time.Now()
		go func() {
			time.Sleep(10 * time.Second)
			r.api(200, "PUT", "drains/iad", `{"why":"x"}`)
		}()
		w = get("/v1/snapshot?after=1")
		var s edge.Snapshot
		if err := json.Unmarshal(w.Body.Bytes(), &s); err != nil || s.Version != 2 || len(s.Drains) != 1 || time.Since(began) != 10*time.Second+coalesce {
			t.Errorf("version %d after %v (%v)", s.Version, time.Since(began), err)
		}

		waiting := make(chan int, maxWaiting)
		for range maxWaiting {
			go func() { waiting <- get("/v1/snapshot?after=2").Code }()
		}
		synctest.Wait()
		if w := get("/v1/snapshot?after=2"); w.Code != http.StatusTooManyRequests {
			t.Errorf("one too many: %d", w.Code)
		}
		r.Release()
		for range maxWaiting {
			if code := <-waiting; code != 304 {
				t.Errorf("released: %d", code)
			}
		}
		if err := testutil.GatherAndCompare(r.reg, strings.NewReader(`# HELP catchment_control_follower_version Version that a follower said it has; 0: none.
# TYPE catchment_control_follower_version gauge
catchment_control_follower_version{id="ns1",role="dns"} 2
`), "catchment_control_follower_version"); err != nil {
			t.Error(err)
		}
	})
}

// TestLeap: a state that is older than a follower's snapshot leaps over its
// version, and one of the same version that is another one, too.
func TestLeap(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		ask := func(query string) {
			t.Helper()
			if code, text := do(r.Handler(), ns1, "GET", "/v1/snapshot?"+query, ""); code != 200 {
				t.Errorf("%s: %d %s", query, code, text)
			}
			r.settle()
		}
		ask("after=41&made=2000-01-01T00:00:00Z")
		if r.Snapshot().Version != 42 {
			t.Errorf("version %d", r.Snapshot().Version)
		}
		time.Sleep(leapEvery)
		ask("after=42&made=1999-01-01T00:00:00Z")
		if r.Snapshot().Version != 43 {
			t.Errorf("version %d", r.Snapshot().Version)
		}
		time.Sleep(leapEvery)
		if code, _ := do(r.Handler(), ns1, "GET", "/v1/snapshot?after=18446744073709551615", ""); code != 304 {
			t.Errorf("%d", code)
		}
		if code, _ := do(r.Handler(), ns1, "GET", "/v1/snapshot?after=43&made="+r.Snapshot().Made.Format(time.RFC3339Nano), ""); code != 304 {
			t.Errorf("%d", code)
		}
		if r.Snapshot().Version != 43 {
			t.Errorf("version %d", r.Snapshot().Version)
		}
		entries, err := r.db.audit(0, 10)
		if err != nil || len(entries) != 2 || entries[0].Who != "control" || string(entries[0].After) != "42" {
			t.Errorf("%+v (%v)", entries, err)
		}
	})
}

// TestShedByLoad: a PoP over its low mark sheds in steps, holds where nothing
// is known, gives way to a shed by hand, and stops when it is cool.
func TestShedByLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		cfg := testConfig(dir)
		cfg.Sheds = &steer.Watermarks{Low: 0.8, High: 1.2}
		r := newRig(t, cfg)
		share := func() float64 {
			r.settle()
			for _, s := range r.Snapshot().Sheds {
				if s.PoP == "iad" {
					return s.Share
				}
			}
			return 0
		}
		load := func(load float64, d time.Duration) {
			for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(3 * time.Second) {
				r.tell(iad, "health", fmt.Sprintf(`{"state":"up","load":%v}`, load))
				r.tell(fra, "health", `{"state":"up","load":9000}`) // of no known capacity
			}
		}
		load(700, 2*time.Minute)
		if share() != 0 {
			t.Errorf("sheds %v at 70 %%", share())
		}
		load(1200, 31*time.Second)
		if share() != 0.1 {
			t.Errorf("first step %v", share())
		}
		load(1000, 10*time.Minute)
		if s := share(); s < 0.45 || s > 0.55 {
			t.Errorf("at 100 %%: %v", s)
		}
		held := share()
		time.Sleep(10 * time.Minute)
		if share() != held {
			t.Errorf("without a load: %v, was %v", share(), held)
		}
		r.api(200, "PUT", "sheds/iad", `{"share":0.9,"why":"by hand"}`)
		if share() != 0.9 {
			t.Errorf("by hand: %v", share())
		}
		r.api(204, "DELETE", "sheds/iad?why=enough", "")
		if share() != held || r.Snapshot().Sheds[0].By != byLoad {
			t.Errorf("then %v", share())
		}
		load(500, 20*time.Minute)
		if share() != 0 || len(r.Snapshot().Sheds) != 0 {
			t.Errorf("when cool: %+v", r.Snapshot().Sheds)
		}
		load(1200, time.Minute)
		if share() == 0 {
			t.Error("does not shed again")
		}
		r.stop()

		r = newRig(t, testConfig(dir)) // without watermarks
		if share() != 0 {
			t.Errorf("an earlier run's shed stayed: %v", share())
		}
		entries, err := r.db.audit(-1, 1)
		if err != nil || len(entries) != 1 || entries[0].Who != byLoad || entries[0].Action != "delete" {
			t.Errorf("%+v (%v)", entries, err)
		}
		r.stop()
	})
}
