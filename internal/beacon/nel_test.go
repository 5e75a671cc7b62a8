package beacon

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"catchment/internal/edge"
)

// requestLog keeps records, or does not.
type requestLog struct {
	got    []edge.RequestRecord
	broken error
}

func (l *requestLog) Append(records []edge.RequestRecord, _ time.Time) error {
	if l.broken == nil {
		l.got = append(l.got, records...)
	}
	return l.broken
}

// What Chromium sends, shortened: a page that came, one that was reset, one that
// was given up by the user, one that was not there, one that the server could
// not serve, and one of another site.
const chromiumReports = `[
 {"age":12,"body":{"elapsed_time":20,"method":"GET","phase":"application","protocol":"h2","referrer":"https://www.edge.example/secret","sampling_fraction":0.25,"server_ip":"198.51.100.1","status_code":200,"type":"ok"},"type":"network-error","url":"https://www.edge.example/secret?q=1","user_agent":"Mozilla/5.0"},
 {"age":60000,"body":{"elapsed_time":20,"method":"GET","phase":"connection","protocol":"","referrer":"","sampling_fraction":1,"server_ip":"198.51.100.1","status_code":0,"type":"tcp.reset"},"type":"network-error","url":"https://WWW.edge.example:443/"},
 {"age":1,"body":{"phase":"application","sampling_fraction":1,"status_code":0,"type":"abandoned"},"type":"network-error","url":"https://www.edge.example/"},
 {"age":1,"body":{"phase":"application","sampling_fraction":1,"status_code":404,"type":"http.error"},"type":"network-error","url":"https://www.edge.example/none"},
 {"age":1,"body":{"phase":"application","sampling_fraction":0.5,"status_code":503,"type":"http.error"},"type":"network-error","url":"https://www.edge.example/"},
 {"age":1,"body":{"phase":"dns","sampling_fraction":1,"status_code":0,"type":"dns.<script>"},"type":"network-error","url":"https://www.edge.example/"},
 {"age":1,"body":{"phase":"dns","sampling_fraction":1,"type":"dns.failed"},"type":"network-error","url":"https://other.example/"},
 {"age":1,"body":{"phase":"dns","sampling_fraction":0.25,"status_code":0,"type":"dns.address_changed"},"type":"network-error","url":"https://www.edge.example/"},
 {"age":3600000,"body":{"phase":"dns","sampling_fraction":1,"type":"dns.failed"},"type":"network-error","url":"https://www.edge.example/"},
 {"age":1,"body":{"blockedURL":"eval"},"type":"csp-violation","url":"https://www.edge.example/"}
]`

func TestReports(t *testing.T) {
	log := &requestLog{}
	c := newRig(t, Config{Requests: log})
	fleet := testFleet()
	fleet.Services = []edge.Service{{Name: "www.edge.example"}}
	c.SetFleet(fleet)
	send := func(kind, body string) *httptest.ResponseRecorder {
		return c.do(http.MethodPost, "/v1/nel", body, "Content-Type", kind)
	}
	if w := send("application/reports+json", chromiumReports); w.Code != http.StatusNoContent || w.Header().Get("Access-Control-Allow-Origin") != "*" {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	want := []edge.RequestRecord{{
		Client: netip.MustParsePrefix("203.0.113.0/24"), Service: "www.edge.example", Requests: 4 + 1 + 1 + 2 + 1, Failed: 1 + 2 + 1,
		Types: map[string]float64{"tcp.reset": 1, "http.error": 2, "other": 1},
	}}
	if d := cmp.Diff(want, log.got, cmpopts.IgnoreFields(edge.RequestRecord{}, "Received"), cmpopts.EquateComparable(netip.Prefix{})); d != "" {
		t.Error(d)
	}
	kept, err := json.Marshal(log.got)
	if err != nil || bytes.Contains(kept, []byte("secret")) || bytes.Contains(kept, []byte("203.0.113.7")) {
		t.Errorf("more is kept than may be: %s", kept)
	}
	for name, x := range map[string]struct {
		kind, body string
		want       int
	}{
		"another type":     {"text/plain", "[]", http.StatusUnsupportedMediaType},
		"no array":         {"application/reports+json", "{}", http.StatusBadRequest},
		"no JSON":          {"application/reports+json", "[", http.StatusBadRequest},
		"too many":         {"application/reports+json", "[" + strings.Repeat("{},", maxReports) + "{}]", http.StatusBadRequest},
		"too long":         {"application/reports+json", "[" + strings.Repeat(" ", maxReportBody) + "]", http.StatusRequestEntityTooLarge},
		"nothing of ours":  {"application/reports+json", `[{"type":"network-error","url":"::"},{"type":"network-error","url":"https://www.edge.example/","body":{"type":"ok","sampling_fraction":1e-9}}]`, http.StatusNoContent},
		"nothing":          {"application/reports+json; charset=utf-8", "[]", http.StatusNoContent},
		"an age from hell": {"application/reports+json", `[{"type":"network-error","age":-1,"url":"https://www.edge.example/","body":{"type":"ok","sampling_fraction":1}}]`, http.StatusNoContent},
	} {
		if w := send(x.kind, x.body); w.Code != x.want {
			t.Errorf("%s: %d %s, want %d", name, w.Code, w.Body, x.want)
		}
	}
	if len(log.got) != 1 {
		t.Errorf("%d records, want the one", len(log.got))
	}
	log.broken = errors.New("disk")
	if w := send("application/reports+json", chromiumReports); w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	if w := c.do(http.MethodOptions, "/v1/nel", ""); w.Code != http.StatusNoContent || w.Header().Get("Access-Control-Allow-Headers") != "Content-Type" {
		t.Errorf("the preflight: %d %v", w.Code, w.Header())
	}
	if w := newRig(t, Config{}).do(http.MethodPost, "/v1/nel", "[]"); w.Code != http.StatusNotFound {
		t.Errorf("without a log: %d", w.Code)
	}
	wantLines(t, c.metricLines(),
		`catchment_beacon_reports_total{result="taken"} 5`, `catchment_beacon_reports_total{result="passed"} 13`, `catchment_beacon_reports_total{result="refused"} 6`)
}

func FuzzReports(f *testing.F) {
	f.Add([]byte(chromiumReports))
	f.Add([]byte(`[{"age":1e308,"body":{"sampling_fraction":0},"type":"network-error","url":"https://www.edge.example"}]`))
	services := []edge.Service{{Name: "www.edge.example"}}
	f.Fuzz(func(t *testing.T, body []byte) {
		all, err := decodeReports(body)
		if err != nil {
			return
		}
		records, taken := summarize(all, services, edge.RequestRecord{})
		sum := 0.0
		for _, r := range records {
			if !(r.Requests >= 1 && r.Failed >= 0 && r.Failed <= r.Requests && r.Requests <= maxReports/leastFraction) {
				t.Errorf("%s: %+v", body, r)
			}
			sum += r.Requests
		}
		if sum < float64(taken) {
			t.Errorf("%s: %v requests of %d reports", body, sum, taken)
		}
	})
}
