package control

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"catchment/internal/announce"
	"catchment/internal/edge"
)

// TestDrainCapacity: a drain after which the others would have more to serve
// than they can is made by force only.
func TestDrainCapacity(t *testing.T) {
	for name, test := range map[string]struct {
		loads    map[string]string // by token
		capacity float64           // of fra
		before   string            // a drain that is there already
		want     string            // empty: not refused
	}{
		"enough":           {map[string]string{iad: "400", lax: "500", fra: "300"}, 500, "", ""},
		"exactly enough":   {map[string]string{iad: "700", lax: "500", fra: "300"}, 500, "", ""},
		"too little":       {map[string]string{iad: "701", lax: "500", fra: "300"}, 500, "", "the fleet would lack capacity: 701 requests/s of iad, on top of the 800 of lax, fra, exceed their capacity of 1500"},
		"unknown capacity": {map[string]string{iad: "9000", lax: "500", fra: "300"}, 0, "", ""},
		"others' unknown":  {map[string]string{iad: "900"}, 500, "", "900 requests/s of iad, on top of the 1350 of lax, fra, exceed their capacity of 1500"},
		"its own unknown":  {map[string]string{lax: "950", fra: "475"}, 500, "", "950 requests/s of iad, its own not being told, on top of the 1425 of lax, fra, exceed"},
		"nobody anywhere":  {map[string]string{lax: "0", fra: "0"}, 500, "", ""},
		"nothing known":    {nil, 500, "", ""},
		"small ones":       {nil, 500, "lax", "1000 requests/s of iad, its own not being told, on top of the 0 of fra, exceed their capacity of 500"},
		"users still there": {
			map[string]string{iad: "300", lax: "300", fra: "0"},
			500, "lax",
			"600 requests/s of iad, lax, on top of the 0 of fra, exceed their capacity of 500",
		},
		"users gone": {map[string]string{iad: "300", lax: "0", fra: "0"}, 500, "lax", ""},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				f := testFleet()
				f.PoPs[2].Capacity = test.capacity
				if err := r.SetFleet(f); err != nil {
					t.Fatal(err)
				}
				if test.before != "" {
					r.api(200, "PUT", "drains/"+test.before, `{"why":"before","force":true}`)
				}
				for token, load := range test.loads {
					r.tell(token, "health", `{"state":"up","load":`+load+`}`)
				}
				if test.want == "" {
					r.api(200, "PUT", "drains/iad", `{"why":"disks"}`)
					return
				}
				if text := r.api(409, "PUT", "drains/iad", `{"why":"disks"}`); !strings.Contains(text, test.want) {
					t.Errorf("%s\nwant %s", text, test.want)
				}
				r.api(200, "PUT", "drains/iad", `{"why":"disks","force":true}`)
				r.api(200, "PUT", "drains/iad", `{"why":"longer","for":"1h"}`) // it is there already
			})
		})
	}
}

// TestDrainOfDown: a PoP that is down has no load to leave to the others.
func TestDrainOfDown(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		f := testFleet()
		f.PoPs[2].Capacity = 1000
		if err := r.SetFleet(f); err != nil {
			t.Fatal(err)
		}
		r.tell(lax, "health", `{"state":"up","load":900}`)
		r.tell(fra, "health", `{"state":"up","load":900}`)
		r.api(409, "PUT", "drains/iad", `{"why":"x"}`)
		r.tell(iad, "health", `{"state":"down","why":"fire"}`)
		r.api(200, "PUT", "drains/iad", `{"why":"x"}`)
	})
}

// TestDrainCapacityOfRegion: a region's users stay in it.
func TestDrainCapacityOfRegion(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		f := testFleet()
		f.PoPs[2].Capacity = 5000
		f.Regions = append(f.Regions, edge.Region{ID: "us", VIP: "global", Countries: []string{"US"}, PoPs: []edge.PoPID{"iad", "lax"}})
		if err := r.SetFleet(f); err != nil {
			t.Fatal(err)
		}
		for _, token := range []string{iad, lax, fra} {
			r.tell(token, "health", `{"state":"up","load":600}`)
		}
		if text := r.api(409, "PUT", "drains/iad", `{"why":"x"}`); !strings.Contains(text, "region us would lack capacity: 600 requests/s of iad, on top of the 600 of lax, exceed their capacity of 1000") {
			t.Error(text)
		}
		r.tell(lax, "health", `{"state":"up","load":100,"share":0.5}`) // half of its servers
		if text := r.api(409, "PUT", "drains/iad", `{"why":"x"}`); !strings.Contains(text, "exceed their capacity of 500") {
			t.Error(text)
		}
		r.tell(lax, "health", `{"state":"up","load":100}`)
		r.api(200, "PUT", "drains/iad", `{"why":"x"}`)
	})
}

func TestDrainGrace(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.api(200, "PUT", "drains/iad", `{"why":"x","grace":"90s"}`)
		r.settle()
		if d := r.Snapshot().Drains; len(d) != 1 || d[0].Grace != 90*time.Second {
			t.Errorf("%+v", d)
		}
		r.api(400, "PUT", "drains/iad", `{"why":"x","grace":"-1s"}`)
		r.api(400, "PUT", "drains/iad", `{"why":"x","grace":"169h"}`)
	})
}

// TestSkip: the PoP is told to skip a phase until it tells of another.
func TestSkip(t *testing.T) {
	withSpeakers(t, func(t *testing.T, r *rig) {
		f := func(code int, path, body, want string) {
			t.Helper()
			if text := r.api(code, "POST", "drains/"+path+"/skip", body); !strings.Contains(text, want) {
				t.Errorf("%s, want %s", text, want)
			}
		}
		f(409, "iad", `{"phase":"ttl","why":"x"}`, "nothing has been heard of what iad announces")
		r.api(200, "PUT", "drains/iad", `{"why":"disks"}`)
		r.announces(iad, inPhase(announce.DNSOut))
		f(409, "iad", `{"phase":"ttl","why":"x"}`, "iad is in phase dns-out")
		f(400, "iad", `{"phase":"dns-out"}`, `"field":"why"`)
		f(400, "iad", `{"why":"x"}`, `"field":"phase"`)
		f(404, "nrt", `{"phase":"dns-out","why":"x"}`, "there is no PoP")
		f(204, "iad", `{"phase":"dns-out","why":"ns2 is gone"}`, "")
		if code, _ := do(r.API(), victor, "POST", "/api/v1/drains/iad/skip", `{"phase":"dns-out","why":"x"}`); code != 403 {
			t.Errorf("a viewer may skip: %d", code)
		}
		want := &announce.Skip{Phase: announce.DNSOut, Why: "ns2 is gone"}
		for range 2 {
			if diff := cmp.Diff(want, r.announces(iad, inPhase(announce.DNSOut)).Skip); diff != "" {
				t.Error(diff)
			}
		}
		for _, p := range []announce.Phase{announce.TTL, announce.DNSOut} {
			if skip := r.announces(iad, inPhase(p)).Skip; skip != nil {
				t.Errorf("in phase %s still to skip %+v", p, skip)
			}
		}
		var entries []Entry
		if err := json.Unmarshal([]byte(r.api(200, "GET", "audit?limit=1", "")), &entries); err != nil {
			t.Fatal(err)
		}
		if e := entries[0]; e.Action != "skip" || e.Object != "drain/iad" || e.Who != "alice" || e.Why != "ns2 is gone" || string(e.After) != `{"phase":"dns-out"}` {
			t.Errorf("%+v", e)
		}
		r.announces(iad, inPhase(announce.Drained))
		f(409, "iad", `{"phase":"drained","why":"x"}`, "iad is drained")
	})
}
