// Package beacon takes in what browsers report: it hands out probe plans,
// decodes and checks beacons, adds the place and the time, cuts the client's
// address to a prefix, and passes beacons on to be stored.
//
// A beacon comes in by one of three ways, all through the same decoder:
//
//	browsers  POST /v1/beacons   Collector.Handler
//	relays    POST /v1/relay     Collector.ControlHandler, NDJSON, authenticated
//	files     catchment import   Importer, NDJSON
//
// It is answered, or counted as imported, only once the Sink has made it
// durable. No client address leaves this package longer than the configured
// prefix length, not even into a log line or an error.
package beacon

import (
	"context"
	"net/netip"

	"catchment/internal/edge"
	"catchment/internal/store"
)

// What a body may hold at most. A beacon of seven probes has about 1 KiB, and
// browsers refuse to send more than 64 KiB in the background.
const (
	MaxBody    = 16 << 10 // bytes of one POST /v1/beacons
	MaxBeacons = 16       // beacons in one array
	MaxLine    = 64 << 10 // bytes of one NDJSON line
	MaxProbes  = 24
	MaxWarm    = 8
	MaxCold    = 3 // DNS, TCP connect, TLS
	MaxServed  = 8
	MaxMs      = 60_000 // ms; no duration of a page view that was looked at is longer
)

// Flags lists what a beacon's flags may be: doubts about a whole page view.
// Analysis decides what to leave out; nothing is dropped here.
//
//	webdriver  navigator.webdriver is set: an automated browser
//	bot        the User-Agent names a robot (set by the collector)
//	hidden     the page was out of sight at some time before or while it measured
//	bfcache    the page came out of the back/forward cache
//	prerender  the page was rendered before it was visited
//	fallback   the beacon came by the second address: the first did not answer
//	coarse     the clock's steps were over 1 ms
//	saved      the browser is in data-saver mode
//	noplan     there was no plan, or the beacon does not name one (then set by the collector)
var Flags = []string{"webdriver", "bot", "hidden", "bfcache", "prerender", "fallback", "coarse", "saved", "noplan"}

// ProbeFlags lists what a probe's flags may be: doubts about one measurement.
//
//	split   TCP connect is disbelieved: something nearer accepted it
//	flip    more than one PoP answered
//	reused  the connection was open before the first download
var ProbeFlags = []string{"split", "flip", "reused"}

// ProbeErrors lists why a probe brought no measurement.
//
//	timeout   no answer within the script's limit
//	net       no connection, or it broke: the browser does not say why
//	http      an answer with another status than 200 or 204
//	tao       an answer without Timing-Allow-Origin: no timings
//	mismatch  no PoP named, or X-PoP and Server-Timing name two
//	aborted   the page went away
var ProbeErrors = []string{"timeout", "net", "http", "tao", "mismatch", "aborted"}

// Places tells where an address is. Unknown addresses have an empty place.
type Places interface {
	Lookup(netip.Addr) edge.Place
}

// Sink stores beacons.
type Sink interface {
	// Append returns once beacons are durable, with how many of them were new:
	// those whose id is known already are dropped. With an error some of them
	// may be stored; appending all again stores each once. When it returns nil
	// the beacons and their slices are the caller's again.
	Append(ctx context.Context, beacons ...*edge.Beacon) (stored int, err error)
}

// stager is a Sink that can do Append in two halves: once Stage has returned,
// the beacons are the caller's again. What is waited for takes no memory here.
type stager interface {
	Stage(ctx context.Context, beacons ...*edge.Beacon) store.Pending
}
