package beacon

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"catchment/internal/edge"
)

// RequestLog keeps what browsers told of their requests. Nil means that the
// records are durable.
type RequestLog interface {
	Append(records []edge.RequestRecord, now time.Time) error
}

const (
	// maxReports is more than browsers send at a time.
	maxReports    = 100
	maxReportBody = 256 << 10 // bytes

	// maxReportAge is how old a report may be: what is older may be of before a
	// change, and says nothing of now.
	maxReportAge = 15 * time.Minute

	// leastFraction bounds what one report can stand for.
	leastFraction = 0.001
)

// report is one of the Reporting API of type network-error, as far as it is
// read: paths, referrers and user agents are not.
type report struct {
	Type string  `json:"type"`
	Age  float64 `json:"age"` // ms
	URL  string  `json:"url"`
	Body struct {
		SamplingFraction *float64 `json:"sampling_fraction"`
		Phase            string   `json:"phase"`
		Type             string   `json:"type"`
		StatusCode       int      `json:"status_code"`
	} `json:"body"`
}

// serveReports takes POST /v1/nel: reports of browsers on requests to the
// fleet's services. Reports of anything else are passed over: browsers send
// what an origin's policy says, and cannot be told otherwise.
func (c *Collector) serveReports(w http.ResponseWriter, r *http.Request) {
	ref, taken := c.takeReports(r, time.Now())
	c.metrics.reports["taken"].Add(float64(taken.taken))
	c.metrics.reports["passed"].Add(float64(taken.passed))
	if ref != nil {
		c.metrics.reports["refused"].Inc()
		ref.write(w)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// reported is what became of the reports of a request.
type reported struct{ taken, passed int }

func (c *Collector) takeReports(r *http.Request, now time.Time) (_ *refusal, n reported) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/reports+json" && kind != "application/json" {
		return refuse(http.StatusUnsupportedMediaType, ReasonMedia, "want Content-Type application/reports+json"), n
	}
	from := c.client(r)
	if !from.addr.IsValid() {
		return refuse(http.StatusBadRequest, ReasonValue, "nobody knows whose reports these are"), n
	}
	if ref := c.take(capKey(from.addr), 1, now); ref != nil {
		return ref, n
	}
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxReportBody))
	if err != nil {
		return refuse(http.StatusRequestEntityTooLarge, ReasonLength, fmt.Sprintf("a body has at most %d bytes", maxReportBody)), n
	}
	all, err := decodeReports(body)
	if err != nil {
		return refuse(http.StatusBadRequest, ReasonSyntax, err.Error()), n
	}
	services := c.state.Load().fleet.Services
	records, taken := summarize(all, services, edge.RequestRecord{Received: now.UTC(), Client: c.cfg.Keep.cut(whole(from.addr))})
	n = reported{taken, len(all) - taken}
	if err := c.cfg.Requests.Append(records, now); err != nil {
		n.taken = 0
		ref := refuse(http.StatusServiceUnavailable, ReasonStore, "cannot be stored now")
		ref.retry = time.Minute
		return ref, n
	}
	return nil, n
}

// decodeReports reads an array of reports.
func decodeReports(body []byte) (all []report, err error) {
	if err := json.Unmarshal(body, &all); err != nil {
		return nil, errors.New("not an array of reports (Reporting API)")
	}
	if len(all) > maxReports {
		return nil, fmt.Errorf("%d reports (want at most %d)", len(all), maxReports)
	}
	return all, nil
}

// summarize adds up the reports of each service; taken is how many of them
// count.
func summarize(all []report, services []edge.Service, head edge.RequestRecord) (records []edge.RequestRecord, taken int) {
	at := map[string]int{}
	for i := range all {
		x := &all[i]
		service, ok := x.service(services)
		failed, counts := x.failed()
		if !ok || !counts {
			continue
		}
		taken++
		n, ok := at[service]
		if !ok {
			n = len(records)
			at[service] = n
			r := head
			r.Service = service
			records = append(records, r)
		}
		r, weight := &records[n], x.weight()
		r.Requests += weight
		if failed {
			r.Failed += weight
			if r.Types == nil {
				r.Types = map[string]float64{}
			}
			r.Types[x.kind()] += weight
		}
	}
	return records, taken
}

// service is the service that the request was to.
func (x *report) service(services []edge.Service) (string, bool) {
	if x.Type != "network-error" || !(x.Age >= 0 && x.Age <= float64(maxReportAge.Milliseconds())) {
		return "", false
	}
	u, err := url.Parse(x.URL)
	if err != nil {
		return "", false
	}
	for i := range services {
		if strings.EqualFold(u.Hostname(), services[i].Name) {
			return services[i].Name, true
		}
	}
	return "", false
}

// failed reports whether the request failed for a reason that a PoP or the way
// to it may have, and whether it counts at all: what users broke off does not.
func (x *report) failed() (failed, counts bool) {
	switch b := &x.Body; {
	case b.SamplingFraction == nil || !(*b.SamplingFraction >= leastFraction && *b.SamplingFraction <= 1):
		return false, false
	case b.Type == "abandoned", b.Type == "dns.address_changed":
		// The latter stands for any report, of a success too, that comes from
		// another address than the policy did (section 6.3 of the draft): after a
		// ramp has moved somebody it says nothing.
		return false, false
	case b.Type == "ok":
		return false, true
	case b.Type == "http.error":
		return b.StatusCode >= 500, true // what is asked for wrongly is no failure
	}
	return true, true
}

func (x *report) weight() float64 { return 1 / *x.Body.SamplingFraction }

// failures are the types of section 5 of the draft that are kept by name.
var failures = map[string]bool{
	"dns.unreachable": true, "dns.name_not_resolved": true, "dns.failed": true,
	"tcp.timed_out": true, "tcp.closed": true, "tcp.reset": true, "tcp.refused": true, "tcp.aborted": true,
	"tcp.address_invalid": true, "tcp.address_unreachable": true, "tcp.failed": true,
	"tls.version_or_cipher_mismatch": true, "tls.bad_client_auth_cert": true, "tls.cert.name_invalid": true, "tls.cert.date_invalid": true,
	"tls.cert.authority_invalid": true, "tls.cert.invalid": true, "tls.cert.revoked": true, "tls.cert.pinned_key_not_in_cert_chain": true,
	"tls.protocol.error": true, "tls.failed": true,
	"http.error": true, "http.protocol.error": true, "http.response.invalid": true, "http.response.redirect_loop": true, "http.failed": true,
}

func (x *report) kind() string {
	if failures[x.Body.Type] {
		return x.Body.Type
	}
	return "other"
}
