package dash

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"catchment/internal/edge"
	"catchment/internal/store"
)

type stood struct {
	State string
	Hint  string
	Error string
	Total int
}

// figurePages are asked for by whatever state the store is in.
var figurePages = []string{"overview", "compare", "compare?by=asn&days=30", "offenders", "catchments", "catchments/iad", "catchments/changes", "resolvers"}

func (r *rig) stand(path, want string) stood {
	r.t.Helper()
	got := get[stood](r, path, 200)
	if got.State != want || (want != "ok") != (got.Hint != "") {
		r.t.Errorf("%s: %q %q, want %s", path, got.State, got.Hint, want)
	}
	return got
}

// TestEmpty: a store without beacons says so on every page, and what to do.
func TestEmpty(t *testing.T) {
	c, r := loadContract(t), newRig(t, t.TempDir())
	heardAll(r)
	for _, path := range figurePages {
		if got := r.stand(path, "empty"); !strings.Contains(got.Hint, "rum.js") {
			t.Errorf("%s: %s", path, got.Hint)
		}
		c.check(c.pattern(path), "get", "200", path, r.ask("GET", "/api/v1/"+path, "").Body.Bytes())
	}
	r.stand("stability", "none")
	r.stand("whatif?edit=withdraw+gru", "none")
}

// TestOneBeacon: one page view is there, and nothing can be judged yet.
func TestOneBeacon(t *testing.T) {
	dir := t.TempDir()
	b := &edge.Beacon{
		V: 1, ID: "one", Received: testNow.Add(-time.Minute), Rate: 1, Client: netip.MustParsePrefix("198.18.0.0/24"), Place: homes[0].place,
		Probes: []edge.Probe{{Target: "global", PoP: "iad", RTT: 9, AF: 4}, {Target: "pop:iad", PoP: "iad", RTT: 9, AF: 4}},
	}
	if _, err := store.WriteSegment(dir, testToday, 1, 1, []*edge.Beacon{b}); err != nil {
		t.Fatal(err)
	}
	c, r := loadContract(t), newRig(t, dir)
	heardAll(r)
	for path, want := range map[string]string{
		"overview": "few", "compare": "few", "compare?by=asn": "few", "offenders": "few", "catchments": "few", "catchments/iad": "few",
		"catchments/gru": "nothing", "catchments?scheme=regional": "nothing", "catchments/changes": "nothing", "resolvers": "none", "compare?to=2026-11-01": "nothing", "compare?country=BR": "nothing",
	} {
		r.stand(path, want)
		c.check(c.pattern(path), "get", "200", path, r.ask("GET", "/api/v1/"+path, "").Body.Bytes())
	}
}

// TestVanished: a PoP that the fleet has no more is told of as long as there are
// page views, and unknown where there never were any.
func TestVanished(t *testing.T) {
	r := full(t)
	if got := r.stand("catchments/old?days=15&scheme=unicast", "gone"); !strings.Contains(got.Hint, "old") {
		t.Error(got.Hint)
	}
	for _, path := range []string{"catchments/old?days=3", "catchments/none?days=15"} {
		if got := get[stood](r, path, 404); got.State != "gone" || got.Hint == "" {
			t.Errorf("%s: %+v", path, got)
		}
	}
}

// TestDown: a store that cannot be read leaves the last figures, and says so; a
// store that never could be read is a 503 with words.
func TestDown(t *testing.T) {
	c, r := loadContract(t), full(t)
	heardAll(r)
	for _, path := range figurePages {
		get[stood](r, path, 200)
	}
	r.from.down = errors.New("segments: input/output error")
	r.index.refresh(t.Context())
	for _, path := range figurePages {
		if got := r.stand(path, "stale"); !strings.Contains(got.Hint, "input/output error") {
			t.Errorf("%s: %s", path, got.Hint)
		}
	}
	r.from.down = nil
	r.index.refresh(t.Context())
	r.stand("compare", "ok")

	never := newRig(t, t.TempDir(), func(cfg *Config) { cfg.Beacons.(*stored).down = errors.New("permission denied") })
	for _, path := range figurePages {
		w := never.ask("GET", "/api/v1/"+path, "")
		if w.Code != 503 || !strings.Contains(w.Body.String(), "permission denied") || !strings.Contains(w.Body.String(), "hint") {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
		c.check(c.pattern(path), "get", "503", path, w.Body.Bytes())
	}
}

// TestBuilding: until all days are judged, answers say of how many they are,
// and are not kept.
func TestBuilding(t *testing.T) {
	r := full(t)
	whole := r.index.now.Load()
	part := *whole
	part.days, part.waiting, part.generation = whole.days[10:], 10, whole.generation+1
	r.index.now.Store(&part)
	if got := r.stand("compare?days=15", "building"); !strings.Contains(got.Hint, "5 of 15 days") {
		t.Error(got.Hint)
	}
	next := *whole
	next.generation += 2
	r.index.now.Store(&next)
	r.stand("compare?days=15", "ok")
}

// TestManyNetworks: ten thousand networks come in pages, sorted, and can be
// looked for.
func TestManyNetworks(t *testing.T) {
	dir := t.TempDir()
	var batch []*edge.Beacon
	const networks = 10_000
	for i := range networks {
		h := homes[i%3]
		b := &edge.Beacon{
			V: 1, ID: fmt.Sprint(i), Received: testNow.Add(-time.Hour), Rate: 1, Place: h.place,
			Client: netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 18 + byte(i>>15&1), byte(i >> 7), byte(i << 1)}), 31),
		}
		b.Place.ASN, b.Place.ASName = uint32(4_200_000_000+i), fmt.Sprintf("Example Net %d", i)
		for _, pop := range []edge.PoPID{"iad", "lax", "gru"} {
			b.Probes = append(b.Probes, edge.Probe{Target: edge.TargetOf(pop), PoP: pop, RTT: h.ms[pop], AF: 4})
		}
		b.Probes = append(b.Probes, edge.Probe{Target: "unicast", PoP: "iad", RTT: h.ms["iad"], AF: 4}, edge.Probe{Target: "global", PoP: "gru", RTT: h.ms["gru"], AF: 4})
		batch = append(batch, b)
	}
	if _, err := store.WriteSegment(dir, testToday, 1, 1, batch); err != nil {
		t.Fatal(err)
	}
	r := newRig(t, dir)
	type page struct {
		stood
		Rows []struct {
			Group struct{ ASN uint32 }
			Name  string `json:"as_name"`
		}
	}
	first := get[page](r, "compare?by=asn&sort=name", 200)
	if first.State != "ok" || first.Total != networks || len(first.Rows) != 1000 || first.Rows[0].Group.ASN != 4_200_000_000 {
		t.Errorf("the first page: %s, %d of %d", first.State, len(first.Rows), first.Total)
	}
	last := get[page](r, "compare?by=asn&sort=name&offset=9990", 200)
	if len(last.Rows) != 10 || last.Rows[9].Group.ASN != 4_200_009_999 {
		t.Errorf("the last page has %d rows", len(last.Rows))
	}
	if beyond := get[page](r, "compare?by=asn&offset=10000", 200); len(beyond.Rows) != 0 || beyond.Total != networks {
		t.Errorf("beyond the end: %d rows", len(beyond.Rows))
	}
	if found := get[page](r, "compare?by=asn&q=net+1234", 200); found.Total != 1 || found.Rows[0].Name != "Example Net 1234" {
		t.Errorf("looked for by name: %d", found.Total)
	}
	if found := get[page](r, "compare?by=asn&q=as4200001234", 200); found.Total != 1 {
		t.Errorf("looked for by number: %d", found.Total)
	}
	if got := get[stood](r, "compare?by=asn&min_views=2", 200); got.Total != 0 {
		t.Errorf("%d networks with two views", got.Total)
	}
	csv := r.ask("GET", "/api/v1/compare?by=asn&format=csv&limit=5", "")
	if n := strings.Count(csv.Body.String(), "\n"); n != networks+1 || csv.Header().Get("Content-Type") != "text/csv; charset=utf-8" {
		t.Errorf("%d lines of CSV", n)
	}
}

// TestFresh: what comes in is there after the next look, in answers that were
// kept too; days that have not changed are not judged again.
func TestFresh(t *testing.T) {
	now := testNow
	r := full(t, func(cfg *Config) { cfg.Now = func() time.Time { return now } })
	type views struct {
		Views  uint64
		Before *uint64 `json:"views_before"`
	}
	was := get[views](r, "overview", 200)
	if was.Views != testViews/2 || was.Before == nil || *was.Before != testViews/2 {
		t.Fatalf("%d views, %v a week ago", was.Views, was.Before)
	}
	judged := r.index.now.Load().days
	b := *testView(testRand(), "new", testNow.Add(time.Second))
	if _, err := store.WriteSegment(r.from.dir, testToday, 100, 100, []*edge.Beacon{&b}); err != nil {
		t.Fatal(err)
	}
	now = now.Add(40 * time.Second)
	r.index.refresh(t.Context())
	if got := get[views](r, "overview", 200); got.Views != was.Views+1 {
		t.Errorf("%d views after one more", got.Views)
	}
	after := r.index.now.Load().days
	for i := range judged[:len(judged)-1] {
		if judged[i] != after[i] {
			t.Errorf("%s was judged again", judged[i].day)
		}
	}
	if err := os.RemoveAll(r.from.dir + "/segments/day=2026-11-01"); err != nil {
		t.Fatal(err)
	}
	r.index.refresh(t.Context())
	if got := r.index.now.Load().days[0].day; got != after[0].day+1 {
		t.Errorf("a day that was dropped: the first is %s", got)
	}
}

// TestLittleMemory: days that do not fit are read when they are asked for, with
// the same figures.
func TestLittleMemory(t *testing.T) {
	dir := t.TempDir()
	writeViews(t, dir)
	large, small := newRig(t, dir), newRig(t, dir, func(cfg *Config) { cfg.Memory = 300 << 10 })
	kept := 0
	for _, d := range small.index.now.Load().days {
		if d.judged != nil {
			kept++
		}
	}
	if kept == 0 || kept == testDays {
		t.Fatalf("%d of %d days are kept", kept, testDays)
	}
	for _, path := range []string{"compare?days=15&by=country,asn", "offenders?days=15", "catchments?days=15"} {
		a, b := large.ask("GET", "/api/v1/"+path, "").Body.String(), small.ask("GET", "/api/v1/"+path, "").Body.String()
		if a != b {
			t.Errorf("%s differs", path)
		}
	}
}
