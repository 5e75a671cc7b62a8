package synth

import (
	"encoding/json"

	"catchment/internal/edge"
)

// What the agent records is edge.Download: the control node keeps it, and
// reports read it. Here its parts have short names.
type (
	Download = edge.Download
	Target   = edge.DownloadTarget
	Protocol = edge.DownloadProtocol
	Kind     = edge.DownloadKind
	Outcome  = edge.DownloadOutcome
	Stage    = edge.DownloadStage
	TCPInfo  = edge.DownloadTCP
)

// The values of edge.Download's fields.
const (
	HTTP  = edge.OverHTTP
	HTTPS = edge.OverHTTPS
	HTTP2 = edge.OverHTTP2

	Slow = edge.SlowDownload
	Look = edge.LookDownload
	Big  = edge.BigDownload

	OK          = edge.DownloadOK
	Stopped     = edge.DownloadStopped
	Busy        = edge.DownloadBusy
	Reset       = edge.DownloadReset
	Closed      = edge.DownloadClosed
	Stall       = edge.DownloadStall
	Timeout     = edge.DownloadTimeout
	Refused     = edge.DownloadRefused
	Unreachable = edge.DownloadUnreachable
	TLS         = edge.DownloadTLS
	WrongObject = edge.DownloadWrong

	Connecting = edge.DownloadConnecting
	Handshake  = edge.DownloadHandshake
	Asking     = edge.DownloadAsking
	Body       = edge.DownloadBody
	End        = edge.DownloadEnd
)

// VIPTarget names a VIP as a target.
func VIPTarget(id edge.VIPID) Target { return edge.DownloadOfVIP(id) }

// PoPTarget names a PoP's own addresses as a target.
func PoPTarget(id edge.PoPID) Target { return edge.DownloadOfPoP(id) }

// appendJSON appends d as one line without the line feed.
func appendJSON(dst []byte, d *Download) ([]byte, error) {
	line, err := json.Marshal(d)
	return append(dst, line...), err
}
