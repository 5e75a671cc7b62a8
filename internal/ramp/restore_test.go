package ramp_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"catchment/internal/ramp"
)

// FuzzRestore: a state that is accepted, whatever it says, can be stepped.
func FuzzRestore(f *testing.F) {
	p := ramp.DefaultPlan()
	p.ID, p.Salt, p.Service, p.From, p.To = "r", "r", "www.edge.example.net", "unicast", "regional"
	p.Geographies = []ramp.Geography{{ID: "us", Networks: []uint32{64500}}}
	p.Guardrails = []ramp.Guardrail{ramp.DefaultGuardrail(ramp.P50), ramp.DefaultGuardrail(ramp.Load)}
	p.Steps = []float64{0.5, 1}
	s := ramp.Begin(&p, monday)
	seed, err := json.Marshal(s)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Add([]byte(strings.Replace(string(seed), `"pending","step":-1`, `"running","step":0`, 1)))
	f.Add([]byte(`{"plan":"r","geographies":[{}]}`))
	f.Add([]byte(`{`))
	e := &ramp.Evidence{From: monday.Add(time.Hour), Until: monday.Add(65 * time.Minute), Geographies: []ramp.GeographyViews{{ID: "us", Share: 0.5}}}
	for u := range 60 {
		e.Geographies[0].Rows = append(e.Geographies[0].Rows, ramp.Row{
			Unit: uint64(u), Bucket: uint16(u * 150), Network: 64500, Views: 1, Latency: []ramp.BinCount{{Bin: uint16(500 + u), Count: 1}},
		})
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := ramp.Restore(&p, data)
		if err != nil {
			return
		}
		for i := range 3 {
			s, _ = ramp.Step(&p, s, ramp.Input{Now: monday.Add(time.Duration(65+i) * time.Minute), Evidence: e})
		}
	})
}
