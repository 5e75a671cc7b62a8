package edge

import (
	"net/netip"
	"time"
)

// RequestRecord is what one browser told at a time of its requests to one
// service (Network Error Logging, W3C Working Draft): how many there were, by
// sampling fractions, and how many of them failed.
type RequestRecord struct {
	Received time.Time          `json:"received"`
	Client   netip.Prefix       `json:"client"` // a /24 or /48
	Service  string             `json:"service"`
	Requests float64            `json:"requests"` // failed ones among them
	Failed   float64            `json:"failed,omitempty"`
	Types    map[string]float64 `json:"types,omitempty"` // of the failed ones: "tcp.timed_out"
}
