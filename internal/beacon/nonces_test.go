package beacon

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"catchment/internal/edge"
	"catchment/internal/tokens"
)

const dnsToken = "ns1-correct-horse-battery"

func nonceRig(t testing.TB, cfg Config) *rig {
	t.Helper()
	known, _, err := tokens.Parse(strings.NewReader("dns ns1 " + dnsToken + "\nrelay iad " + relayToken + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	cfg.Tokens, cfg.Keys = known, testKeys(t, 1)
	return newRig(t, cfg)
}

func (r *rig) noncePost(body io.Reader, header ...string) (int, Noted, string) {
	req := httptest.NewRequest("POST", "/v1/nonces", body)
	req.Header.Set("Authorization", "Bearer "+dnsToken)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	r.ControlHandler().ServeHTTP(w, req)
	var a Noted
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
		return w.Code, a, err.Error()
	}
	return w.Code, a, w.Body.String()
}

// page is one page view: the plan it was given, and its beacon.
type page struct {
	r    *rig
	seed seed
	id   string
}

func (r *rig) page(n uint64) page { return page{r, newSeed(time.Now(), n), fmt.Sprintf("page%d", n)} }

// asked is a query for one of the page's names; client may be empty.
func (p page) asked(label, resolver, client string) edge.Asked {
	a := edge.Asked{
		Nonce: p.r.cfg.Keys.nonce(p.seed, 0, label), Label: label, At: time.Now(), Resolver: netip.MustParsePrefix(resolver),
	}
	if client != "" {
		a.Client = netip.MustParsePrefix(client)
	}
	return a
}

// beacon posts the page's beacon from 203.0.113.7 and returns what is stored
// of its resolver: "resolver client".
func (p page) beacon(t *testing.T) string {
	t.Helper()
	body := fmt.Sprintf(`{"v":1,"id":%q,"plan":%q,"rate":1,"probes":[]}`, p.id, p.r.cfg.Keys.planID(0, p.seed))
	if w := p.r.do("POST", "/v1/beacons", body); w.Code != 204 {
		t.Fatal(w.Code, w.Body)
	}
	for _, b := range p.r.sink.all() {
		if b.ID == p.id {
			return strings.TrimSpace(text(b.Resolver.Addr) + " " + text(b.Resolver.ECS))
		}
	}
	t.Fatal("the beacon is not stored")
	return ""
}

func text(p netip.Prefix) string {
	if !p.IsValid() {
		return ""
	}
	return p.String()
}

func lines(all ...edge.Asked) *bytes.Buffer {
	var b bytes.Buffer
	for i := range all {
		b.Write(append(all[i].AppendJSON(nil), '\n'))
	}
	return &b
}

// TestResolverOfPage follows pages from the queries for their names to their
// beacons.
func TestResolverOfPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := nonceRig(t, Config{})
		n := uint64(0)
		// f posts queries, a second after one another, each as a batch of its own.
		f := func(why, want string, queries ...func(page) edge.Asked) {
			t.Helper()
			n++
			p := r.page(n)
			for _, q := range queries {
				if code, _, body := r.noncePost(lines(q(p))); code != 200 {
					t.Fatal(why, code, body)
				}
				time.Sleep(time.Second)
			}
			if got := p.beacon(t); got != want {
				t.Errorf("%s: got %q, want %q", why, got, want)
			}
		}
		q := func(label, resolver, client string) func(page) edge.Asked {
			return func(p page) edge.Asked { return p.asked(label, resolver, client) }
		}
		late := func(q func(page) edge.Asked, by time.Duration) func(page) edge.Asked {
			return func(p page) edge.Asked {
				a := q(p)
				a.At = a.At.Add(by)
				return a
			}
		}

		f("nobody asked", "")
		f("one resolver", "198.51.100.0/24", q("unicast", "198.51.100.0/24", ""))
		f("any name will do", "198.51.100.0/24", q("pop-iad", "198.51.100.0/24", ""))
		f("unicast says most, though it comes last", "198.51.100.0/24",
			q("global", "192.0.2.0/24", ""), q("unicast", "198.51.100.0/24", ""))
		f("and though it came first", "198.51.100.0/24",
			q("unicast", "198.51.100.0/24", ""), q("global", "192.0.2.0/24", ""))
		f("whoever asks again is not the resolver", "198.51.100.0/24",
			q("unicast", "198.51.100.0/24", ""), q("unicast", "192.0.2.0/24", "192.0.2.0/24"))
		f("batches of two name servers come in any order", "198.51.100.0/24",
			q("unicast", "192.0.2.0/24", ""), late(q("unicast", "198.51.100.0/24", ""), -9*time.Second))
		f("client subnet", "198.51.100.0/24 203.0.113.0/24", q("unicast", "198.51.100.0/24", "203.0.113.0/24"))
		f("of another network than the page's: as it was said", "198.51.100.0/24 192.0.2.0/24", q("unicast", "198.51.100.0/24", "192.0.2.0/24"))
		f("of no bits: none", "198.51.100.0/24", q("unicast", "198.51.100.0/24", "0.0.0.0/0"))
		f("IPv6, coarser than asked for", "2001:db8:53::/48 2001:db8::/40", q("unicast", "2001:db8:53::/48", "2001:db8::/40"))
		f("too long: cut here too", "2001:db8:53::/48 203.0.113.0/24", q("unicast", "2001:db8:53::1/128", "203.0.113.7/32"))
		f("nobody signed it", "", func(p page) edge.Asked {
			a := p.asked("unicast", "198.51.100.0/24", "")
			a.Label = "global" // a nonce is good for one name
			return a
		})
		f("from the future", "", late(q("unicast", "198.51.100.0/24", ""), 2*time.Minute))

		wantLines(t, r.metricLines(),
			`catchment_beacon_nonces_total{result="noted"} 13`, `catchment_beacon_nonces_total{result="repeated"} 2`,
			`catchment_beacon_nonces_total{result="unsigned"} 2`, `catchment_beacon_nonces_total{result="refused"} 0`,
			`catchment_beacon_resolver_joined_total{result="joined"} 11`, `catchment_beacon_resolver_joined_total{result="none"} 3`,
			`catchment_beacon_nonces_forgotten_total 0`)
	})
}

// TestResolverAtHome: what is the client's own network is kept no longer than
// the client's address.
func TestResolverAtHome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := nonceRig(t, Config{Keep: Prefixes{V4: 16, V6: 40}})
		p := r.page(1)
		r.noncePost(lines(p.asked("unicast", "203.0.113.0/24", "203.0.113.0/24")))
		if got, want := p.beacon(t), "203.0.0.0/16 203.0.0.0/16"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		p = r.page(2)
		r.noncePost(lines(p.asked("unicast", "198.51.100.0/24", "")))
		if got, want := p.beacon(t), "198.51.100.0/24"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

// TestAskersForget: every plan is remembered for 10 minutes at least and 20 at
// most, and no more of them than there is room for.
func TestAskersForget(t *testing.T) {
	forgotten := 0
	a := newAskers(8, func(n int) { forgotten += n })
	now := time.Unix(1_790_000_000, 0)
	note := func(n uint64) seed {
		s := newSeed(now, n)
		a.note(s, asker{at: uint32(now.Unix()), rank: rankOther, resolver: pack(netip.MustParsePrefix("198.51.100.0/24"))}, now)
		return s
	}
	known := func(s seed) bool { return a.of(s) != edge.Resolver{} }

	first := note(1)
	now = now.Add(9*time.Minute + 59*time.Second)
	second := note(2)
	now = now.Add(askersKept)
	note(3)
	if known(first) != true || !known(second) {
		t.Error("forgotten within a generation")
	}
	now = now.Add(askersKept)
	note(4)
	if known(first) || known(second) {
		t.Error("remembered for over 20 minutes")
	}
	now = now.Add(time.Hour)
	note(5)
	if len(a.old) > 0 {
		t.Errorf("%d are left after an hour of silence", len(a.old))
	}
	if forgotten > 0 {
		t.Errorf("%d were forgotten too soon", forgotten)
	}

	var seeds []seed
	for n := range uint64(100) {
		seeds = append(seeds, note(100+n))
	}
	if n := len(a.young) + len(a.old); n > 8 || !known(seeds[99]) || !known(seeds[95]) || known(seeds[0]) {
		t.Errorf("%d are remembered", n)
	}
	if left := len(a.young) + len(a.old); forgotten != 101-left { // of this second: 5 and the hundred
		t.Errorf("%d were forgotten too soon, %d are left", forgotten, left)
	}
}

func TestPackPrefix(t *testing.T) {
	for _, s := range []string{"198.51.100.0/24", "198.48.0.0/13", "128.0.0.0/1", "2001:db8:1::/48", "2001:c00::/22"} {
		p := netip.MustParsePrefix(s)
		if got := pack(p).prefix(); got != p {
			t.Errorf("%s comes back as %s", p, got)
		}
	}
	for _, p := range []netip.Prefix{{}, netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")} {
		if got := pack(p).prefix(); got != (netip.Prefix{}) {
			t.Errorf("%s comes back as %s", p, got)
		}
	}
}

func TestNoncesRefused(t *testing.T) {
	r := nonceRig(t, Config{})
	good := r.page(1).asked("unicast", "198.51.100.0/24", "")
	line := string(good.AppendJSON(nil))
	f := func(want int, field, body string, header ...string) {
		t.Helper()
		code, _, text := r.noncePost(strings.NewReader(body), header...)
		var e Error
		if code != want || json.Unmarshal([]byte(text), &e) != nil || e.Field != field {
			t.Errorf("got %d %s; want %d and field %q", code, text, want, field)
		}
	}
	with := func(old, new string) string { return line + "\n" + strings.Replace(line, old, new, 1) }
	f(401, "", line, "Authorization", "")
	f(401, "", line, "Authorization", "Bearer "+relayToken)
	f(415, "", line, "Content-Encoding", "br")
	f(400, "", line, "Content-Encoding", "gzip")
	f(413, "", strings.Repeat(line+"\n", maxAskedBytes/len(line)+1))
	f(413, "", string(zip(t, strings.Repeat(line+"\n", maxAskedBytes/len(line)+1))), "Content-Encoding", "gzip")
	f(400, "", "["+line+","+line)
	f(400, "[1]", line+"\n"+`[]`)
	f(400, "[1].nonce", with(`"nonce":"`, `"nonce":"!`))
	f(400, "[1].label", with(`unicast`, ``))
	f(400, "[1].t", with(`"t":`, `"t":-`))
	f(400, "[1].resolver", with(`/24`, `/33`))
	f(400, "[1].resolver", with(`198.51.100.0/24`, `0.0.0.0/0`))
	f(400, "[1].client", with(`}`, `,"client":7}`))
	f(400, "[1].ip", with(`}`, `,"ip":"192.0.2.1"}`))
	f(400, "[1].t", with(`}`, `,"t":1}`))
	f(400, "[1].label", with(`"label":"unicast",`, ``))
	f(400, "[16384]", strings.Repeat(line+"\n", MaxAsked+1))

	// Nothing of a batch with a mistake in it is noted.
	if known := r.askers.of(seed{}); known != (edge.Resolver{}) || len(r.askers.young) > 0 {
		t.Error("part of a refused batch was noted")
	}
	for _, body := range []string{"", "[]", "\n\n", line, "[" + line + "]", line + line} {
		if code, _, text := r.noncePost(strings.NewReader(body)); code != 200 {
			t.Errorf("%.40q: %d %s", body, code, text)
		}
	}
	if code, got, _ := r.noncePost(bytes.NewReader(zip(t, line+"\n"+line)), "Content-Encoding", "gzip"); code != 200 || got != (Noted{Repeated: 2}) {
		t.Errorf("packed: %d %+v", code, got)
	}

	for range maxAsking {
		<-r.asking
	}
	w := httptest.NewRecorder()
	req := httptest.NewRequest("POST", "/v1/nonces", strings.NewReader(line))
	req.Header.Set("Authorization", "Bearer "+dnsToken)
	r.ControlHandler().ServeHTTP(w, req)
	if w.Code != 503 || w.Header().Get("Retry-After") != "1" {
		t.Errorf("busy: %d %v", w.Code, w.Header())
	}
}

// FuzzAsked checks that what is accepted has no longer prefixes than may be
// kept, and is read again as the same.
func FuzzAsked(f *testing.F) {
	f.Add([]byte(`{"nonce":"4k","label":"unicast","t":1790000000,"resolver":"198.51.100.0/24","client":"203.0.113.0/24"}`))
	f.Add([]byte(`[{"nonce":"4k","label":"pop-iad","t":1790000000,"resolver":"2001:db8::1"},{"nonce":"A","label":"g","t":0,"resolver":"::ffff:192.0.2.1"}]`))
	f.Add([]byte("{\"nonce\":\"\\u0034k\",\"label\":\"x\",\"t\":4294967295,\"resolver\":\"192.0.2.1\"}\n{}"))
	f.Add([]byte(`{"nonce":"4k","label":"x","t":1,"resolver":"192.0.2.1/0"}`))
	f.Add([]byte(`[[{}]]`))
	f.Fuzz(func(t *testing.T, in []byte) {
		var d, again askedDecoder
		all, err := d.decode(in)
		if err != nil {
			return
		}
		var out []byte
		for i := range all {
			a := &all[i]
			for _, p := range []netip.Prefix{a.Resolver, a.Client} {
				if p.IsValid() && (p != p.Masked() || p.Addr().Is4() && p.Bits() > 24 || p.Bits() > 48 || p.Addr().Is4In6()) {
					t.Fatalf("kept %s", p)
				}
			}
			out = append(a.AppendJSON(out), '\n')
		}
		back, err := again.decode(out)
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if diff := cmp.Diff(all, back, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" && len(all) > 0 {
			t.Fatal(diff)
		}
	})
}
