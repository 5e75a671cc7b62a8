package steer

import "math"

// Watermarks say when a PoP sheds, as shares of its capacity: below Low
// nothing, from there on in proportion, at High everything. The load settles
// between the two.
type Watermarks struct {
	Low  float64 // such as 0.8
	High float64 // above Low, such as 1.2
}

// Share returns what a PoP at this load, requests/s, should shed for good, 0
// to 1. It is 0 where either figure is unknown (0 or less, or not a number):
// nothing is moved on a guess.
func (w Watermarks) Share(load, capacity float64) float64 {
	if !(load > 0) || !(capacity > 0) || math.IsInf(capacity, 1) {
		return 0
	}
	used := load / capacity
	switch {
	case used <= w.Low:
		return 0
	case used >= w.High:
		return 1
	}
	return (used - w.Low) / (w.High - w.Low)
}

// How Next gets from one share to another: a part of the way, and no more than
// a step, at a time; in whole percents, so that noise makes no new snapshot.
const (
	shedPart = 0.25
	shedStep = 0.1
)

// Next returns the share to shed now by a PoP that sheds current and is at
// this load. The load follows a change only as resolvers ask anew, so that
// going all the way at once would swing to and fro; call it about once a TTL.
// Where load or capacity is unknown (see Share) it returns current.
func (w Watermarks) Next(current, load, capacity float64) float64 {
	if !(load >= 0) || !(capacity > 0) {
		return current // who cannot see holds still
	}
	target := w.Share(load, capacity)
	step := (target - current) * shedPart
	step = max(-shedStep, min(shedStep, step))
	percent := (current + step) * 100
	if step > 0 {
		percent = math.Floor(percent + 0.5)
	} else {
		percent = math.Ceil(percent - 0.5)
	}
	switch { // rounding would otherwise keep the last percent
	case target == 0 && percent <= 1:
		percent = 0
	case target == 1 && percent >= 99:
		percent = 100
	}
	return max(0, min(100, percent)) / 100
}
