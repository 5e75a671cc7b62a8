package control

import (
	"encoding/json"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"catchment/internal/edge"
)

// inBubble runs a test with a control plane, whose clock stands still while
// anything can run.
func inBubble(t *testing.T, f func(t *testing.T, r *rig)) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, testConfig(t.TempDir()))
		defer r.stop()
		r.settle()
		f(t, r)
	})
}

// TestRoles: every path wants a token, and of the right role.
func TestRoles(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		f := func(h http.Handler, method, path, body string, want map[string]int) {
			t.Helper()
			for _, token := range []string{"", "unknown-0123456789012345", alice, victor, ns1, iad, relay} {
				code, text := do(h, token, method, path, body)
				wanted, ok := want[token]
				switch {
				case ok:
				case token == "" || strings.HasPrefix(token, "unknown"):
					wanted = 401
				default:
					wanted = 403
				}
				if code != wanted {
					t.Errorf("%s %s with %q: %d %s, want %d", method, path, token, code, text, wanted)
				}
			}
		}
		f(r.Handler(), "GET", "/v1/snapshot", "", map[string]int{ns1: 200, iad: 200})
		f(r.Handler(), "POST", "/v1/health", `{"state":"up"}`, map[string]int{iad: 204})
		f(r.Handler(), "POST", "/v1/probes", `[]`, map[string]int{ns1: 204})
		f(r.Handler(), "POST", "/v1/announce", `{"report":{"pop":"iad","sent":"2000-01-01T00:00:00Z"},"connections":-1}`, map[string]int{iad: 200})
		for _, path := range []string{"snapshot", "health", "audit", "drains", "sheds", "shares", "pins", "weights", "policy", "acme", "announcements", "pops", "pops/iad", "vips"} {
			f(r.API(), "GET", "/api/v1/"+path, "", map[string]int{alice: 200, victor: 200})
		}
		f(r.API(), "GET", "/api/v1/explain?service=www.edge.example&client=203.0.113.7", "", map[string]int{alice: 200, victor: 200})
		f(r.API(), "PUT", "/api/v1/drains/iad", `{"why":"disks"}`, map[string]int{alice: 200})
		f(r.API(), "DELETE", "/api/v1/drains/iad?why=done", "", map[string]int{alice: 204})
		if code, text := do(r.Handler(), other, "POST", "/v1/health", `{"state":"up"}`); code != 403 || !strings.Contains(text, `"other\" is no PoP of the fleet`) {
			t.Errorf("a PoP that is not in the fleet: %d %s", code, text)
		}
	})
}

// TestRefusals: what is wrong with a request is said with its field, and
// changes nothing.
func TestRefusals(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.api(200, "PUT", "shares/us", `{"service":"www.edge.example","scheme":"global","share":0.1,"salt":"s","why":"try"}`)
		version, audited := r.Snapshot().Version, r.now().audited
		f := func(method, path, body string, code int, field, message string) {
			t.Helper()
			text := r.api(code, method, path, body)
			var got apiError
			if err := json.Unmarshal([]byte(text), &got); err != nil || got.Field != field || !strings.Contains(got.Message, message) {
				t.Errorf("%s %s %s: %s, want %q about %q", method, path, body, text, message, field)
			}
		}
		f("PUT", "drains/iad", ``, 400, "", "the body is empty")
		f("PUT", "drains/iad", `{}`, 400, "why", "the audit trail wants a reason")
		f("PUT", "drains/iad", `{"why":"  "}`, 400, "why", "is missing")
		f("PUT", "drains/iad", `{"why":"a\nb"}`, 400, "why", "on one line")
		f("PUT", "drains/iad", `{"why":"x","whom":"y"}`, 400, "whom", "unknown field")
		f("PUT", "drains/iad", `{"why":"x"} {}`, 400, "", "more than one JSON value")
		f("PUT", "drains/iad", `{"why":7}`, 400, "why", "want string")
		f("PUT", "drains/iad", `{"why":"x","for":"-1h"}`, 400, "for", "is negative")
		f("PUT", "drains/iad", `{"why":"x","for":"1h","until":"2100-01-01T00:00:00Z"}`, 400, "for", "not both")
		f("PUT", "drains/iad", `{"why":"x","until":"1999-01-01T00:00:00Z"}`, 400, "until", "has passed")
		f("PUT", "drains/iad", `{"why":"`+strings.Repeat("x", maxBody)+`"}`, 413, "", "larger than")
		f("PUT", "drains/nrt", `{"why":"x"}`, 422, "pop", `there is no PoP "nrt"`)
		f("PUT", "drains/fra", `{"why":"x"}`, 409, "pop", "region emea would be left without a PoP")
		f("DELETE", "drains/iad?why=x", ``, 404, "", `there is no drain "iad"`)
		f("DELETE", "drains/iad", `{}`, 400, "why", "is missing")
		f("PUT", "sheds/iad", `{"why":"x"}`, 400, "share", "is missing")
		f("PUT", "sheds/iad", `{"why":"x","share":1.5}`, 422, "", "1.5 is not in 0 to 1")
		f("PUT", "sheds/iad", `{"why":"x","share":0.5,"granule":{"v4":30}}`, 422, "", "granule")
		f("PUT", "shares/us", `{"service":"www.edge.example","scheme":"global","share":0.2,"salt":"t","why":"x"}`, 409, "salt", "it decides who is in it")
		f("PUT", "shares/us", `{"service":"www.edge.example","scheme":"regional","share":0.2,"why":"x"}`, 409, "scheme", "stays")
		f("PUT", "shares/eu", `{"scheme":"global","share":0.2,"why":"x"}`, 422, "service", "there is no service")
		f("PUT", "shares/eu", `{"service":"www.edge.example","scheme":"random","share":0.2,"why":"x"}`, 422, "", "scheme")
		f("PUT", "shares/eu", `{"service":"www.edge.example","scheme":"global","share":0.2,"salt":"s","why":"x"}`, 422, "", "would draw the same clients")
		f("PUT", "shares/EU", `{"service":"www.edge.example","scheme":"global","share":0.2,"why":"x"}`, 400, "id", "want 1 to 255 of")
		f("PUT", "pins/one", `{"client":"203.0.113.0/24","why":"x"}`, 422, "", "want exactly one of scheme and pop")
		f("PUT", "pins/one", `{"client":"203.0.113.1/24","pop":"iad","why":"x"}`, 422, "", "without host bits")
		f("PUT", "pins/one", `{"client":"203.0.113.0/240","pop":"iad","why":"x"}`, 400, "", "203.0.113.0/240")
		f("PUT", "weights/www.edge.example/nrt", `{"weight":1,"why":"x"}`, 422, "pop", "there is no PoP")
		f("PUT", "weights/www.edge.example/iad", `{"weight":-1,"why":"x"}`, 422, "", "-1 is not in 0 to 1000")
		f("PUT", "policy", `{"healthy_floor":2,"why":"x"}`, 422, "", "healthy_floor")
		f("PUT", "policy", `{"settle":"soon","why":"x"}`, 400, "", "invalid duration")
		f("PUT", "acme/_acme-challenge.other.example", `{"value":"v","why":"x"}`, 422, "name", "is not in the zone edge.example")
		f("PUT", "acme/www.edge.example", `{"value":"v","why":"x"}`, 422, "name", "does not begin with _acme-challenge.")
		f("PUT", "acme/_acme-challenge.edge.example", `{"why":"x"}`, 400, "value", "want value")
		f("PUT", "acme/_acme-challenge.edge.example", `{"value":"a b","why":"x"}`, 422, "values", "printable ASCII")
		f("PUT", "acme/_acme-challenge.edge.example", `{"value":"v","for":"48h","why":"x"}`, 422, "until", "24h")
		f("GET", "explain?service=www.edge.example", ``, 400, "client", "want a client")
		f("GET", "explain?service=www.edge.example&client=x", ``, 400, "client", "is not an address")
		f("GET", "explain?service=ftp.edge.example&client=203.0.113.7", ``, 404, "service", "there is no such service")
		f("GET", "explain?service=www.edge.example&client=203.0.113.7&format=xml", ``, 400, "format", "not text or json")
		f("GET", "audit?limit=0", ``, 400, "limit", "1 to 1000")
		f("GET", "audit?after=-1", ``, 400, "after", "not a sequence number")
		f("GET", "shares/none", ``, 404, "", "there is no ramp")
		f("GET", "nothing", ``, 404, "", "there is no GET /api/v1/nothing")
		r.settle()
		if got := r.Snapshot(); got.Version != version+1 || r.now().audited != audited { // +1: the ramp
			t.Errorf("version %d was %d, %d entries were %d", got.Version, version, r.now().audited, audited)
		}
	})
}

// TestChanges: every kind of change reaches the snapshot, and the audit trail
// says who did what, from what to what, and why.
func TestChanges(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.api(200, "PUT", "drains/iad", `{"why":"disks","for":"2h"}`)
		r.api(200, "PUT", "sheds/lax", `{"why":"hot","share":0.25}`)
		r.api(200, "PUT", "shares/us", `{"service":"www.edge.example","scheme":"global","share":0.05,"salt":"s","where":{"countries":["US"]},"why":"begin"}`)
		r.api(200, "PUT", "shares/us", `{"service":"www.edge.example","scheme":"global","share":0.1,"where":{"countries":["US"]},"why":"looks good"}`)
		r.api(200, "PUT", "pins/office", `{"client":"203.0.113.0/24","pop":"lax","why":"asked","until":"2000-01-02T00:00:00Z"}`)
		r.api(200, "PUT", "weights/www.edge.example/iad", `{"weight":2,"why":"larger"}`)
		r.api(200, "PUT", "policy", `{"healthy_floor":0.3,"settle":"1m","why":"careful"}`)
		r.api(200, "PUT", "acme/_acme-challenge.www.edge.example", `{"value":"one","why":"certificate"}`)
		r.api(200, "PUT", "acme/_acme-challenge.www.edge.example", `{"value":"two","why":"certificate"}`)
		r.api(204, "DELETE", "acme/_acme-challenge.www.edge.example?value=one&why=validated", "")
		r.api(204, "DELETE", "sheds/lax", `{"why":"cool"}`)
		r.settle()
		at := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).Add(2 * coalesce)
		got := *r.Snapshot()
		got.Fleet, got.Made = nil, time.Time{}
		want := edge.Snapshot{
			Version: 2, Places: "one", Policy: edge.Policy{HealthyFloor: 0.3, Settle: time.Minute},
			Drains:     []edge.Drain{{PoP: "iad", By: "alice", Why: "disks", Since: at, Until: at.Add(2 * time.Hour)}},
			Ramps:      []edge.Ramp{{ID: "us", Service: "www.edge.example", Scheme: edge.Global, Share: 0.1, Salt: "s", Where: edge.Where{Countries: []string{"US"}}, By: "alice", Why: "looks good"}},
			Pins:       []edge.Pin{{Client: netip.MustParsePrefix("203.0.113.0/24"), PoP: "lax", By: "alice", Why: "asked", Until: time.Date(2000, 1, 2, 0, 0, 0, 0, time.UTC)}},
			Weights:    []edge.Weight{{Service: "www.edge.example", PoP: "iad", Weight: 2}},
			Challenges: []edge.Challenge{{Name: "_acme-challenge.www.edge.example", Values: []string{"two"}, Until: at.Add(time.Hour)}},
		}
		if a, b := jsonOf(t, want), jsonOf(t, got); a != b {
			t.Errorf("the snapshot is\n%s, want\n%s", b, a)
		}

		var entries []Entry
		if err := json.Unmarshal([]byte(r.api(200, "GET", "audit?after=0&limit=1000", "")), &entries); err != nil {
			t.Fatal(err)
		}
		var lines []string
		for i, e := range entries {
			if e.Seq != uint64(i+1) || e.Who != "alice" || !e.Time.Equal(at) {
				t.Errorf("entry %+v", e)
			}
			lines = append(lines, e.Action+" "+e.Object+": "+e.Why)
		}
		if diff := cmp.Diff([]string{
			"put drain/iad: disks", "put shed/lax: hot", "put ramp/us: begin", "put ramp/us: looks good", "put pin/office: asked",
			"put weight/www.edge.example/iad: larger", "put policy/: careful",
			"put challenge/_acme-challenge.www.edge.example: certificate", "put challenge/_acme-challenge.www.edge.example: certificate",
			"put challenge/_acme-challenge.www.edge.example: validated", "delete shed/lax: cool",
		}, lines); diff != "" {
			t.Error(diff)
		}
		if e := entries[3]; !strings.Contains(string(e.Before), `"share":0.05`) || !strings.Contains(string(e.After), `"share":0.1`) {
			t.Errorf("before %s, after %s", e.Before, e.After)
		}
		if e := entries[10]; e.After != nil || !strings.Contains(string(e.Before), `"share":0.25`) {
			t.Errorf("before %s, after %s", e.Before, e.After)
		}
		var last []Entry
		if err := json.Unmarshal([]byte(r.api(200, "GET", "audit?limit=2", "")), &last); err != nil || len(last) != 2 || last[1].Seq != 11 {
			t.Errorf("the last entries are %+v (%v)", last, err)
		}
		if text := r.api(200, "GET", "shares/us", ""); !strings.Contains(text, `"salt":"s"`) {
			t.Error(text)
		}
		if text := r.api(200, "GET", "weights", ""); text != `[{"id":"www.edge.example/iad","value":{"service":"www.edge.example","pop":"iad","weight":2}}]` {
			t.Error(text)
		}
	})
}

// TestDrainGuard: the last PoP for something is drained by force only.
func TestDrainGuard(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.tell(lax, "health", `{"state":"down","why":"fire"}`)
		r.api(200, "PUT", "drains/fra", `{"why":"meant","force":true}`)
		if text := r.api(409, "PUT", "drains/iad", `{"why":"x"}`); !strings.Contains(text, "the fleet would be left without a PoP") {
			t.Error(text)
		}
		r.tell(lax, "health", `{"state":"up"}`)
		r.api(200, "PUT", "drains/iad", `{"why":"x"}`)
		r.api(200, "PUT", "drains/iad", `{"why":"longer","for":"1h"}`) // what it left is no worse than before
	})
}

func TestExplain(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.api(200, "PUT", "drains/fra", `{"why":"disks","force":true}`)
		r.settle()
		text := r.api(200, "GET", "explain?service=WWW.edge.example.&client=203.0.113.7", "")
		for _, want := range []string{"DE 52.00 13.00, from prefix 203.0.113.0/24", "left out: drained: disks", "192.0.2.10: PoP iad"} {
			if !strings.Contains(text, want) {
				t.Errorf("no %q in\n%s", want, text)
			}
		}
		var x struct{ Answer struct{ PoP edge.PoPID } }
		if err := json.Unmarshal([]byte(r.api(200, "GET", "explain?service=www.edge.example&resolver=203.0.113.7&format=json", "")), &x); err != nil || x.Answer.PoP != "iad" {
			t.Errorf("%+v %v", x, err)
		}
	})
}
