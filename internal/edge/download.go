package edge

import (
	"net/netip"
	"strings"
	"time"
)

// DownloadTarget is what a synthetic download was meant to reach:
// "vip:americas", or, as the control, one PoP's own address, "pop:iad".
type DownloadTarget string

// DownloadOfVIP names a VIP as a target.
func DownloadOfVIP(id VIPID) DownloadTarget { return DownloadTarget("vip:" + id) }

// DownloadOfPoP names a PoP's own addresses as a target.
func DownloadOfPoP(id PoPID) DownloadTarget { return DownloadTarget("pop:" + id) }

// VIP returns the VIP that t is; ok is false for the control.
func (t DownloadTarget) VIP() (id VIPID, ok bool) {
	s, ok := strings.CutPrefix(string(t), "vip:")
	return VIPID(s), ok
}

// PoP returns the PoP whose own address t is; ok is false for a VIP.
func (t DownloadTarget) PoP() (id PoPID, ok bool) {
	s, ok := strings.CutPrefix(string(t), "pop:")
	return PoPID(s), ok
}

// Anycast reports whether t is a VIP.
func (t DownloadTarget) Anycast() bool {
	_, ok := t.VIP()
	return ok
}

// DownloadProtocol is how a download is asked for.
type DownloadProtocol string

// The protocols. OverHTTP2 offers HTTP/1.1, too: what was spoken is
// Download.Spoke.
const (
	OverHTTP  DownloadProtocol = "http"  // HTTP/1.1 in the clear
	OverHTTPS DownloadProtocol = "https" // HTTP/1.1 over TLS, under a probe name
	OverHTTP2 DownloadProtocol = "h2"    // HTTP/2 over TLS, under a service's name
)

// DownloadProtocols lists them.
var DownloadProtocols = []DownloadProtocol{OverHTTP, OverHTTPS, OverHTTP2}

// DownloadKind is what a record is about.
type DownloadKind string

// The kinds of records.
const (
	SlowDownload DownloadKind = "slow" // one long download over one connection
	LookDownload DownloadKind = "look" // tiny downloads, each over a connection of its own
	BigDownload  DownloadKind = "big"  // a burst of full-size packets after a tiny download
)

// DownloadKinds lists them.
var DownloadKinds = []DownloadKind{SlowDownload, LookDownload, BigDownload}

// DownloadOutcome is how a download ended. DownloadOK, DownloadStopped and
// DownloadBusy are no failures of the network.
type DownloadOutcome string

// The outcomes.
const (
	DownloadOK          DownloadOutcome = "ok"
	DownloadStopped     DownloadOutcome = "stopped"      // the agent was asked to stop: the connection had lived so far
	DownloadBusy        DownloadOutcome = "busy"         // the PoP refused for its limits: status 429 or 503
	DownloadReset       DownloadOutcome = "reset"        // RST
	DownloadClosed      DownloadOutcome = "closed"       // FIN, or TLS close, before the object was complete
	DownloadStall       DownloadOutcome = "stall"        // open, but silent for longer than the limit
	DownloadTimeout     DownloadOutcome = "timeout"      // not connected, or no answer, in time
	DownloadRefused     DownloadOutcome = "refused"      // RST to the first SYN
	DownloadUnreachable DownloadOutcome = "unreachable"  // an ICMP error
	DownloadTLS         DownloadOutcome = "tls"          // the handshake failed: certificate, version, alert
	DownloadWrong       DownloadOutcome = "wrong object" // an answer that is not the object asked for
)

// DownloadOutcomes lists them.
var DownloadOutcomes = []DownloadOutcome{
	DownloadOK, DownloadStopped, DownloadBusy, DownloadReset, DownloadClosed, DownloadStall,
	DownloadTimeout, DownloadRefused, DownloadUnreachable, DownloadTLS, DownloadWrong,
}

// Failed reports whether o says something against the network or the PoP.
func (o DownloadOutcome) Failed() bool {
	return o != DownloadOK && o != DownloadStopped && o != DownloadBusy
}

// DownloadStage is how far a connection had come when it ended.
type DownloadStage string

// The stages in their order.
const (
	DownloadConnecting DownloadStage = "connect"
	DownloadHandshake  DownloadStage = "tls"
	DownloadAsking     DownloadStage = "request" // waiting for the answer's header
	DownloadBody       DownloadStage = "body"
	DownloadEnd        DownloadStage = "end" // the tiny download that tells the PoP at the end
)

// DownloadStages lists them.
var DownloadStages = []DownloadStage{DownloadConnecting, DownloadHandshake, DownloadAsking, DownloadBody, DownloadEnd}

// MaxDownloads is how many records may be handed in at a time.
const MaxDownloads = 256

// Download is one record of a synthetic agent. Durations are milliseconds; what
// is zero or empty was not measured. Its JSON form is what is shipped and
// written; fields are only ever added.
type Download struct {
	V       int              `json:"v"`  // 1
	ID      string           `json:"id"` // unique: whoever gets a record twice can tell
	Agent   string           `json:"agent"`
	Kind    DownloadKind     `json:"kind"`
	Start   time.Time        `json:"start"` // before connecting
	Target  DownloadTarget   `json:"target"`
	Address string           `json:"address"`         // of the target, without the port
	Family  int              `json:"af"`              // 4 or 6
	Asked   DownloadProtocol `json:"asked"`           // see DownloadProtocol
	Spoke   string           `json:"proto,omitempty"` // "http/1.1" or "h2"
	TLS     string           `json:"tls,omitempty"`   // "TLS 1.3"

	// Local is the agent's own side of the connection, cut to /24 or /48.
	Local netip.Prefix `json:"local,omitzero"`

	Outcome DownloadOutcome `json:"outcome"`
	Stage   DownloadStage   `json:"stage,omitempty"`  // reached, where the outcome is not ok
	Errno   string          `json:"errno,omitempty"`  // "ECONNRESET"
	Error   string          `json:"error,omitempty"`  // what else there is to say, at most 200 bytes
	Status  int             `json:"status,omitempty"` // HTTP status, where it was not 200

	PoP    PoPID   `json:"pop,omitempty"`     // that answered first
	PoPEnd PoPID   `json:"pop_end,omitempty"` // that answered last, on the same connection
	VIP    VIPID   `json:"vip,omitempty"`     // that the PoP says it was reached over
	Served []PoPID `json:"served,omitempty"`  // of a look: by connection, Failed where one failed
	Flips  int     `json:"flips,omitempty"`   // of a look: answers from another PoP than the answer before

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

	TCP *DownloadTCP `json:"tcp,omitempty"`
}

// DownloadTCP is the kernel's view of the agent's side of a connection at its
// end (tcp(7), TCP_INFO).
type DownloadTCP struct {
	RTT         float64 `json:"rtt"`     // smoothed, ms
	RTTVar      float64 `json:"rttvar"`  // ms
	MinRTT      float64 `json:"min_rtt"` // ms
	Retransmits uint32  `json:"retrans"` // segments that the agent sent again
	OutOfOrder  uint32  `json:"ooo"`     // segments received out of order: lost or overtaken ones before them
	MSS         uint32  `json:"mss"`     // that the agent may send, bytes
	PeerMSS     uint32  `json:"rcv_mss"` // as seen from what arrived, bytes
}

// DownloadRecord is what the control node keeps of a download: with where the
// agent is, by the address that it hands in from.
type DownloadRecord struct {
	Received time.Time    `json:"received"`
	Client   netip.Prefix `json:"client,omitzero"` // a /24 or /48
	Place    Place        `json:"place,omitzero"`
	Download *Download    `json:"download"`
}
