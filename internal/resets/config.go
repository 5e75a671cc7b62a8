// Package resets watches a PoP for TCP connections that arrive in their middle:
// flows that the network led to another PoP before, and that are reset here
// since nobody knows them. It counts them by client prefix and VIP, and hands
// them to the control node; together with what the other PoPs say, that
// confirms which of them were torn away from which PoP.
//
// It sees resets by the best of three methods that the machine permits:
// tracepoints, outgoing packets, or the kernel's counters.
package resets

import (
	"context"
	"fmt"
	"slices"
	"time"

	"catchment/internal/edge"
)

// Config says what is watched, and how. The zero value of every field but PoP
// is a default.
type Config struct {
	PoP    edge.PoPID
	Method edge.ResetMethod // empty: the best that is permitted

	// Every is how often what was seen is handed in, and how soon questions of
	// the control node are answered: 3 s. Look is how often the kernel's buffers
	// are emptied: 100 ms. They hold what happens meanwhile, some 9,000 resets;
	// this bounds what a flood costs.
	Every, Look time.Duration

	// Warmup is how long after the start resets are in doubt: 2 min. After the
	// machine was restarted clients insist on connections that it had before.
	Warmup time.Duration

	// KeepV4 and KeepV6 are the lengths that client addresses are cut to: 24 and
	// 48.
	KeepV4, KeepV6 int
}

func (c *Config) setDefaults() error {
	if !edge.ValidID(string(c.PoP)) {
		return fmt.Errorf("resets: %q is no PoP", c.PoP)
	}
	if c.Method != "" && !slices.Contains(edge.ResetMethods, c.Method) {
		return fmt.Errorf("resets: method %q (want one of %v, or none for the best)", c.Method, edge.ResetMethods)
	}
	for _, d := range []struct {
		name  string
		field *time.Duration
		value time.Duration
	}{{"Every", &c.Every, 3 * time.Second}, {"Look", &c.Look, 100 * time.Millisecond}, {"Warmup", &c.Warmup, 2 * time.Minute}} {
		if *d.field < 0 {
			return fmt.Errorf("resets: %s is %v (want more than 0)", d.name, *d.field)
		}
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	for _, b := range []struct {
		name               string
		field              *int
		value, least, most int
	}{{"KeepV4", &c.KeepV4, 24, 8, 24}, {"KeepV6", &c.KeepV6, 48, 16, 48}} {
		if *b.field == 0 {
			*b.field = b.value
		}
		if *b.field < b.least || *b.field > b.most {
			return fmt.Errorf("resets: %s is %d (want %d to %d)", b.name, *b.field, b.least, b.most)
		}
	}
	return nil
}

// Poster talks to the control node.
type Poster interface {
	Call(ctx context.Context, method, path string, body, answer any) error
}
