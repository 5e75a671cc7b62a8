package beacon

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"

	"catchment/internal/store"
	"catchment/internal/tokens"
)

const relayToken = "correct-horse-battery-staple"

func relayRig(t testing.TB) *rig {
	t.Helper()
	known, _, err := tokens.Parse(strings.NewReader("relay iad " + relayToken + "\nrelay lax " + relayToken + "-2\n"))
	if err != nil {
		t.Fatal(err)
	}
	return newRig(t, Config{Tokens: known})
}

func relayLine(i int) string {
	return fmt.Sprintf(`{"v":1,"id":"b%d","rate":1,"client":"203.0.113.7","received":"2026-11-01T12:00:00Z",`+
		`"probes":[{"target":"unicast","pop":"iad","rtt":1,"warm":[20.5],"srv":0.5}]}`, i)
}

func (r *rig) relayPost(body io.Reader, header ...string) (int, Relayed) {
	req := httptest.NewRequest("POST", "/v1/relay", body)
	req.Header.Set("Authorization", "Bearer "+relayToken)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	r.ControlHandler().ServeHTTP(w, req)
	var a Relayed
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
		a.Error = &Error{Detail: w.Body.String()}
	}
	return w.Code, a
}

func zip(t testing.TB, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestRelay(t *testing.T) {
	r := relayRig(t)
	var lines []string
	for i := range 1200 { // more than two batches
		lines = append(lines, relayLine(i))
	}
	lines[3] = ""                             // blank
	lines[4] = lines[0]                       // known
	lines[5] = `{"v":1}`                      // bad
	lines[6] = strings.Repeat("x", MaxLine+1) // long
	lines[7] = typicalRelay + "\r"
	lines[1199] = "cut of"
	code, got := r.relayPost(strings.NewReader(strings.Join(lines, "\n")))
	want := Relayed{
		Accepted: 1195, Duplicates: 1, Refused: 3,
		Rejected: []RefusedLine{
			{6, Error{ReasonMissing, "id", "is missing"}},
			{7, Error{ReasonLength, "", "a line has at most 64 KiB"}},
			{1200, Error{ReasonSyntax, "", "want an object"}},
		},
	}
	if diff := cmp.Diff(want, got); code != 200 || diff != "" {
		t.Errorf("%d %s", code, diff)
	}
	first := r.sink.all()[0]
	if first.Client.String() != "203.0.113.0/24" || first.Place != illinois || first.Probes[0].RTT != 20 {
		t.Errorf("stored as %+v", first)
	}
	wantLines(t, r.metricLines(), "catchment_beacons_accepted_total 1195", "catchment_beacons_duplicates_total 1",
		`catchment_beacons_rejected_total{reason="missing"} 1`, `catchment_beacons_rejected_total{reason="length"} 1`)

	code, got = r.relayPost(bytes.NewReader(zip(t, relayLine(5000)+"\n")), "Content-Encoding", "gzip")
	if diff := cmp.Diff(Relayed{Accepted: 1, Rejected: []RefusedLine{}}, got); code != 200 || diff != "" {
		t.Errorf("gzip: %d %s", code, diff)
	}
}

func TestRelayRefuses(t *testing.T) {
	r := relayRig(t)
	f := func(want int, reason Reason, body io.Reader, header ...string) {
		t.Helper()
		code, got := r.relayPost(body, header...)
		if code != want || got.Error != nil && got.Error.Reason != reason {
			t.Errorf("%d %+v, want %d %s", code, got.Error, want, reason)
		}
	}
	line := func() io.Reader { return strings.NewReader(relayLine(1)) }
	f(401, "", line(), "Authorization", "")
	f(401, "", line(), "Authorization", "Bearer ")
	f(401, "", line(), "Authorization", "Bearer "+relayToken+"x")
	f(401, "", line(), "Authorization", "Basic "+relayToken)
	f(200, "", line(), "Authorization", "bearer "+relayToken+"-2")
	f(415, ReasonMedia, line(), "Content-Encoding", "br")
	f(400, ReasonRead, line(), "Content-Encoding", "gzip")
	whole := zip(t, relayLine(2)+"\n"+relayLine(3))
	f(400, ReasonRead, bytes.NewReader(whole[:len(whole)-5]), "Content-Encoding", "gzip")

	none := newRig(t, Config{})
	if code, _ := none.relayPost(line()); code != 401 {
		t.Errorf("without tokens everybody is %d", code)
	}
	for _, c := range []struct {
		method, path string
		want         int
	}{{"GET", "/v1/relay", 405}, {"POST", "/v1/beacons", 404}} {
		w := httptest.NewRecorder()
		r.ControlHandler().ServeHTTP(w, httptest.NewRequest(c.method, c.path, nil))
		if w.Code != c.want {
			t.Errorf("%s %s: %d", c.method, c.path, w.Code)
		}
	}

	r.sink.fail = store.ErrBusy
	code, got := r.relayPost(line())
	if code != http.StatusServiceUnavailable || got.Error == nil || got.Error.Reason != ReasonBusy {
		t.Errorf("busy: %d %+v", code, got)
	}
}

// TestRelayBomb unpacks to more than is allowed: it is read only that far, in
// bounded memory, and what came before is kept.
func TestRelayBomb(t *testing.T) {
	r := relayRig(t)
	accepted := 1 // the first time; then it is known
	f := func(body io.Reader, header ...string) {
		t.Helper()
		code, got := r.relayPost(body, header...)
		if code != 413 || got.Error == nil || got.Error.Reason != ReasonLength || got.Accepted != accepted {
			t.Errorf("%d %+v %+v", code, got, got.Error)
		}
		accepted = 0
	}
	// Gzip members follow each other (RFC 1952, section 2.2).
	bomb := func(member []byte, n int) io.Reader {
		return io.MultiReader(bytes.NewReader(zip(t, relayLine(1)+"\n")), bytes.NewReader(bytes.Repeat(member, n)))
	}
	f(bomb(zip(t, strings.Repeat("\n", 1<<20)), 2), "Content-Encoding", "gzip")
	if !testing.Short() { // unpacks half a GiB
		f(bomb(zip(t, strings.Repeat("[", 16<<20)), 40), "Content-Encoding", "gzip")
	}
	f(io.LimitReader(endless('['), maxRelayWire+2))
}

func TestRelayListsSome(t *testing.T) {
	r := relayRig(t)
	code, got := r.relayPost(strings.NewReader(strings.Repeat("x\n", 1000)))
	if code != 200 || got.Refused != 1000 || len(got.Rejected) != maxListed {
		t.Errorf("%d: %d refused, %d listed", code, got.Refused, len(got.Rejected))
	}
}

// TestExportIsRelayForm: what is written as JSON of edge.Beacon is read again.
func TestExportIsRelayForm(t *testing.T) {
	r := relayRig(t)
	if code, got := r.relayPost(strings.NewReader(typicalRelay)); code != 200 || got.Accepted != 1 {
		t.Fatalf("%d %+v", code, got)
	}
	stored := r.sink.all()[0]
	text, err := json.Marshal(stored)
	if err != nil {
		t.Fatal(err)
	}
	d := Decoder{Names: NewNames(testFleet())}
	if err := d.Line(text); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	if diff := cmp.Diff(stored, *d.Beacons()[0], sameBeacon); diff != "" {
		t.Error(diff)
	}
}
