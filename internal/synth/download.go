package synth

import (
	"encoding/json"
	"net/netip"
	"strings"
	"time"

	"catchment/internal/edge"
)

// Target is what a download was meant to reach: "vip:americas", or, as the
// control, one PoP's own address, "pop:iad".
type Target string

// VIPTarget names a VIP as a target.
func VIPTarget(id edge.VIPID) Target { return Target("vip:" + id) }

// PoPTarget names a PoP's own addresses as a target.
func PoPTarget(id edge.PoPID) Target { return Target("pop:" + id) }

// Anycast reports whether t is a VIP.
func (t Target) Anycast() bool { return strings.HasPrefix(string(t), "vip:") }

// Protocol is how a download is asked for.
type Protocol string

// The protocols. HTTP2 offers HTTP/1.1, too: what was spoken is Download.Spoke.
const (
	HTTP  Protocol = "http"  // HTTP/1.1 in the clear
	HTTPS Protocol = "https" // HTTP/1.1 over TLS, under a probe name
	HTTP2 Protocol = "h2"    // HTTP/2 over TLS, under a service's name
)

// Kind is what a record is about.
type Kind string

// The kinds of records.
const (
	Slow Kind = "slow" // one long download over one connection
	Look Kind = "look" // tiny downloads, each over a connection of its own
	Big  Kind = "big"  // a burst of full-size packets after a tiny download
)

// Outcome is how a download ended. OK, Stopped and Busy are no failures of the
// network.
type Outcome string

// The outcomes.
const (
	OK          Outcome = "ok"
	Stopped     Outcome = "stopped"      // the agent was asked to stop: the connection had lived so far
	Busy        Outcome = "busy"         // the PoP refused for its limits: status 429 or 503
	Reset       Outcome = "reset"        // RST
	Closed      Outcome = "closed"       // FIN, or TLS close, before the object was complete
	Stall       Outcome = "stall"        // open, but silent for longer than the limit
	Timeout     Outcome = "timeout"      // not connected, or no answer, in time
	Refused     Outcome = "refused"      // RST to the first SYN
	Unreachable Outcome = "unreachable"  // an ICMP error
	TLS         Outcome = "tls"          // the handshake failed: certificate, version, alert
	WrongObject Outcome = "wrong object" // an answer that is not the object asked for
)

// Failed reports whether o says something against the network or the PoP.
func (o Outcome) Failed() bool { return o != OK && o != Stopped && o != Busy }

// Stage is how far a connection had come when it ended.
type Stage string

// The stages in their order.
const (
	Connecting Stage = "connect"
	Handshake  Stage = "tls"
	Asking     Stage = "request" // waiting for the answer's header
	Body       Stage = "body"
	End        Stage = "end" // the tiny download that tells the PoP at the end
)

// Download is one record of the agent. Durations are milliseconds; what is
// zero or empty was not measured. Its JSON form is what is shipped and written;
// fields are only ever added.
type Download struct {
	V       int       `json:"v"`  // 1
	ID      string    `json:"id"` // unique: whoever gets a record twice can tell
	Agent   string    `json:"agent"`
	Kind    Kind      `json:"kind"`
	Start   time.Time `json:"start"` // before connecting
	Target  Target    `json:"target"`
	Address string    `json:"address"`         // of the target, without the port
	Family  int       `json:"af"`              // 4 or 6
	Asked   Protocol  `json:"asked"`           // see Protocol
	Spoke   string    `json:"proto,omitempty"` // "http/1.1" or "h2"
	TLS     string    `json:"tls,omitempty"`   // "TLS 1.3"

	// Local is the agent's own side of the connection, cut to /24 or /48.
	Local netip.Prefix `json:"local,omitzero"`

	Outcome Outcome `json:"outcome"`
	Stage   Stage   `json:"stage,omitempty"`  // reached, where the outcome is not ok
	Errno   string  `json:"errno,omitempty"`  // "ECONNRESET"
	Error   string  `json:"error,omitempty"`  // what else there is to say, at most 200 bytes
	Status  int     `json:"status,omitempty"` // HTTP status, where it was not 200

	PoP    edge.PoPID   `json:"pop,omitempty"`     // that answered first
	PoPEnd edge.PoPID   `json:"pop_end,omitempty"` // that answered last, on the same connection
	VIP    edge.VIPID   `json:"vip,omitempty"`     // that the PoP says it was reached over
	Served []edge.PoPID `json:"served,omitempty"`  // of a look: by connection, edge.Failed where one failed
	Flips  int          `json:"flips,omitempty"`   // of a look: answers from another PoP than the answer before

	Length   float64 `json:"length,omitempty"`   // of a slow download, as planned
	Connect  float64 `json:"connect,omitempty"`  // TCP handshake; of a look: the least
	Duration float64 `json:"duration,omitempty"` // from then on: how long the connection was watched
	Bytes    int64   `json:"bytes"`              // of the object
	Gap      float64 `json:"gap,omitempty"`      // longest silence while bytes were due
	Stalls   int     `json:"stalls,omitempty"`   // silences of more than 1 s

	// Hurried says that the PoP sent the rest at once or closed the connection
	// in order, as it does when it stops: the duration is what was seen.
	Hurried bool `json:"hurried,omitempty"`
	// Lagged says that the agent itself was held up meanwhile: stalls may be
	// its own.
	Lagged bool `json:"lagged,omitempty"`

	TCP *TCPInfo `json:"tcp,omitempty"`
}

// TCPInfo is the kernel's view of the agent's side of a connection at its end
// (tcp(7), TCP_INFO).
type TCPInfo struct {
	RTT         float64 `json:"rtt"`     // smoothed, ms
	RTTVar      float64 `json:"rttvar"`  // ms
	MinRTT      float64 `json:"min_rtt"` // ms
	Retransmits uint32  `json:"retrans"` // segments that the agent sent again
	OutOfOrder  uint32  `json:"ooo"`     // segments received out of order: lost or overtaken ones before them
	MSS         uint32  `json:"mss"`     // that the agent may send, bytes
	PeerMSS     uint32  `json:"rcv_mss"` // as seen from what arrived, bytes
}

// appendJSON appends d as one line without the line feed.
func (d *Download) appendJSON(dst []byte) ([]byte, error) {
	line, err := json.Marshal(d)
	return append(dst, line...), err
}
