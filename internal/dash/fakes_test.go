package dash

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"time"

	"catchment/internal/edge"
	"catchment/internal/sim"
)

// moved is a simulator in which all of Brazil moves.
type moved struct{}

func (moved) WhatIf(vip edge.VIPID, edits []sim.Edit, _ float64) (*sim.Change, error) {
	if vip != "global" {
		return nil, errors.New("sim: there is no such VIP")
	}
	shift := sim.Shift{BeforeP50: 12, BeforeP90: 14, AfterP50: 115, AfterP90: 119, P50: 103, P90: 105}
	return &sim.Change{
		VIP: vip, Edits: edits, Users: 3e6, Moved: 1e6, All: sim.Shift{P90: 103}, MovedShift: shift,
		Moves:  []sim.Move{{From: "gru", To: "iad", Users: 1e6, Shift: shift, Engine: sim.ByTopology}},
		PoPs:   []sim.PoPChange{{PoP: "iad", Before: 1e6, After: 2e6, Rate: math.NaN()}, {PoP: "gru", Before: 1e6, Rate: 10, Capacity: 5}},
		Places: []sim.PlaceChange{{Country: "BR", Users: 1e6, Moved: 1e6, From: "gru", To: "iad", Shift: 103}, {Country: "US", Users: 2e6, Shift: math.NaN()}},
		Causes: []sim.Cause{{ASN: 64496, Name: "Example", From: "gru", To: "iad", Users: 1e6, Lost: 1e8, Metro: "Rio", Before: []uint32{64496, 64500}, Why: "its path is gone", Engine: sim.ByTopology}},
	}, nil
}

// shaky measures something.
type shaky struct{}

func (shaky) Stability(context.Context, time.Time, time.Time) (*StabilityFigures, error) {
	x := 0.01
	return &StabilityFigures{
		Answers:  []StabilityAnswer{{"global", "Is TCP over global as stable as over unicast? Yes, for 1 group."}},
		Networks: json.RawMessage(`[{"group":{"vip":"global","country":"US","asn":64496},"as_name":"Example","verdict":"stable","pattern":"","course":"","vip":{"downloads":9,"broken":0,"rate":{"per_minute":0,"low":0,"high":0.1}},"unicast":{"downloads":9,"broken":0,"rate":{"per_minute":null,"low":null,"high":null}},"excess":{"per_minute":null,"low":null,"high":null}}]`),
		Resets:   json.RawMessage(`[{"group":{"vip":"global"},"resets":1,"per_hour":0.1}]`),
		Days:     []StabilityDay{{Day: "2026-11-14", PerHour: &x}, {Day: "2026-11-15", VIPs: &x}},
	}, nil
}
