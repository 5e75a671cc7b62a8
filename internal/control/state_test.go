package control

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	bolt "go.etcd.io/bbolt"

	"catchment/internal/edge"
)

func openTest(t *testing.T, file string) (*db, *state) {
	t.Helper()
	d, err := openDB(file)
	if err != nil {
		t.Fatal(err)
	}
	s, err := d.load()
	if err != nil {
		t.Fatal(err)
	}
	return d, s
}

// TestCrash: what a change has returned from is in the file, and the audit
// trail with it, at whatever point the process ends: the file is copied after
// each change, without closing it.
func TestCrash(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "control.db")
	d, s := openTest(t, file)
	defer d.close()
	at := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	var trail []Entry
	for i := range 40 {
		id := fmt.Sprintf("p%d", i%7)
		x := change{kind: drains, id: id, who: "alice", why: fmt.Sprint("change ", i)}
		if i%3 != 2 {
			x.value = json.RawMessage(jsonOf(t, edge.Drain{PoP: edge.PoPID(id), Why: x.why}))
		}
		var err error
		if s, err = d.apply(s, x, at); err != nil {
			t.Fatal(err)
		}
		if s, err = d.published(s, lastPublish{Version: uint64(i + 1), Made: at, Health: []edge.Health{{PoP: "p1", State: edge.Down}}, ByProbes: []edge.PoPID{"p1"}}, nil); err != nil {
			t.Fatal(err)
		}
		image, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		crashed := filepath.Join(dir, "crashed.db")
		if err := os.WriteFile(crashed, image, 0o600); err != nil {
			t.Fatal(err)
		}
		d2, s2 := openTest(t, crashed)
		if diff := cmp.Diff(texts(s), texts(s2)); diff != "" {
			t.Fatalf("after change %d: %s", i, diff)
		}
		if s2.version != uint64(i+1) || s2.audited != uint64(i+1) || len(s2.health) != 1 || len(s2.byProbes) != 1 {
			t.Fatalf("after change %d: version %d, %d entries", i, s2.version, s2.audited)
		}
		list, err := d2.audit(0, 1000)
		if err != nil || len(list) != i+1 {
			t.Fatalf("%d entries (%v)", len(list), err)
		}
		// Append-only: what there was is there, as it was.
		if diff := cmp.Diff(trail, list[:i:i]); i > 0 && diff != "" {
			t.Fatalf("after change %d the trail differs: %s", i, diff)
		}
		trail = list
		if err := d2.close(); err != nil {
			t.Fatal(err)
		}
	}
}

func texts(s *state) []string {
	var list []string
	for k, all := range s.objects {
		for _, o := range all {
			list = append(list, fmt.Sprint(k, "/", o.ID, " ", o.Seq, " ", string(o.Value)))
		}
	}
	slices.Sort(list)
	return list
}

// TestOrderStays: ramps keep the order in which they were made, since an
// earlier one has precedence; one that is made anew is last.
func TestOrderStays(t *testing.T) {
	file := filepath.Join(t.TempDir(), "control.db")
	d, s := openTest(t, file)
	set := func(id string, value json.RawMessage) {
		t.Helper()
		var err error
		if s, err = d.apply(s, change{kind: ramps, id: id, value: value, who: "alice", why: "x"}, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	order := func(s *state) string {
		var ids []string
		for _, o := range s.objects[ramps] {
			ids = append(ids, o.ID)
		}
		return strings.Join(ids, " ")
	}
	for _, id := range []string{"z", "m", "a", "m", "z"} {
		set(id, json.RawMessage(`{"share":0.1}`))
	}
	set("z", nil)
	set("z", json.RawMessage(`{"share":0.1}`))
	if order(s) != "m a z" {
		t.Error(order(s))
	}
	if err := d.close(); err != nil {
		t.Fatal(err)
	}
	d, s = openTest(t, file)
	defer d.close()
	if order(s) != "m a z" {
		t.Errorf("after opening again: %s", order(s))
	}
}

// TestBadState: a state that is in use, of another format or damaged is
// refused, rather than begun anew.
func TestBadState(t *testing.T) {
	file := filepath.Join(t.TempDir(), "control.db")
	d, _ := openTest(t, file)
	if _, err := openDB(file); err == nil || !strings.Contains(err.Error(), "timeout") {
		t.Errorf("opened twice: %v", err)
	}
	put := func(bucket []byte, key, value string) {
		t.Helper()
		if err := d.bolt.Update(func(tx *bolt.Tx) error { return tx.Bucket(bucket).Put([]byte(key), []byte(value)) }); err != nil {
			t.Fatal(err)
		}
	}
	put(objectBucket, "drain/iad", `{"seq":1,"value":{"pop":7}}`)
	if _, err := d.load(); err == nil || !strings.Contains(err.Error(), "control: state: drain/iad: ") {
		t.Error(err)
	}
	put(objectBucket, "drain/iad", `{"seq":1,"value":{"pop":"iad"}}`)
	put(objectBucket, "later/x", `{"seq":2,"value":{"any":"thing"}}`) // of a later version
	if _, err := d.load(); err != nil {
		t.Error(err)
	}
	put(metaBucket, "format", "2")
	if err := d.close(); err != nil {
		t.Fatal(err)
	}
	if _, err := openDB(file); err == nil || !strings.Contains(err.Error(), `the file has format "2" (want "1")`) {
		t.Error(err)
	}
}

// TestConfig: what makes no sense is refused.
func TestConfig(t *testing.T) {
	for _, cfg := range []Config{
		{},
		{Dir: "x"},
		{Dir: "x", Places: nowhere{}, Stale: time.Millisecond},
		{Dir: "x", Places: nowhere{}, Sheds: watermarks(1, 0.5)},
	} {
		if c, err := New(cfg, testFleet(), nil, nil); err == nil {
			c.Close()
			t.Errorf("%+v was taken", cfg)
		}
	}
}

func FuzzReport(f *testing.F) {
	f.Add([]byte(`{"state":"up","share":0.5,"load":12,"why":"x"}`))
	f.Add([]byte(`{"state":"down","load":null}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var r edge.HealthReport
		if decode(text, &r) == nil && checkReport(&r) == nil && !(r.Share >= 0 && r.Share <= 1 && (r.State == edge.Up || r.State == edge.Down)) {
			t.Errorf("%+v", r)
		}
	})
}
