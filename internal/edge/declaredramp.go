package edge

import (
	"errors"
	"time"
)

// RampRecord is what the control node keeps of a declared ramp. Plan and State
// are package ramp's, as JSON, packed or not: whoever keeps them does not look.
type RampRecord struct {
	ID    string
	Seq   uint64 // rises with every change
	Plan  []byte
	State []byte
}

// RampChange is one change of a declared ramp: all of it is done, or nothing.
type RampChange struct {
	ID     string
	Seq    uint64 // of the record that it was made from; 0: there must be none
	Plan   []byte // nil: the record is removed, its trail stays
	State  []byte
	Shares []Ramp // all that the snapshot is to have of the ramp, by id "RAMP/GEOGRAPHY"
	Look   []byte // appended to the trail; nil: nothing
	Point  []byte // appended to the curve; nil: nothing
	Who    string // of the audit trail
	Why    string
	Lease  *RampLease // that must be held; nil: whoever asks may
}

// RampLease is the right to look after ramps. Term rises with every new
// holder, so that a former one cannot mistake itself for it.
type RampLease struct {
	Holder string    `json:"holder"`
	Term   uint64    `json:"term"`
	Until  time.Time `json:"until"`
}

// Why a change of a ramp is refused.
var (
	ErrRampChanged = errors.New("the ramp has changed meanwhile")
	ErrRampLease   = errors.New("another one looks after the ramps")
)

// PoPLoad is a PoP's load as it reports it.
type PoPLoad struct {
	PoP      PoPID
	Load     float64 // requests/s
	Capacity float64 // requests/s; 0: not known
}
