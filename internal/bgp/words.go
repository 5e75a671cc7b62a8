package bgp

import (
	"fmt"
	"strings"

	"github.com/osrg/gobgp/v4/pkg/packet/bgp"
)

// connectError says what a failed TCP connection means. A router drops a SYN
// with a wrong key, or one it thinks too far away, without a word, as it does
// when it is not there at all: only its own log can tell these apart.
func connectError(err string) string {
	switch {
	case strings.Contains(err, "i/o timeout"):
		return "no answer: the neighbor is not there, or drops what we send for another TCP MD5 key, for TTL security at one end only, or by a filter"
	case strings.Contains(err, "connection refused"):
		return "connection refused: nothing listens at the neighbor"
	case strings.Contains(err, "no route to host"), strings.Contains(err, "network is unreachable"):
		return "unreachable: the neighbor's address is not on a link of ours, or nobody answers for it there"
	case strings.Contains(err, "cannot assign requested address"):
		return "the local address is not on this host"
	case strings.Contains(err, "connection reset"):
		return "connection reset by the neighbor"
	}
	return "connect: " + printable(err)
}

// notification says what a NOTIFICATION (RFC 4271, section 4.5) means; ours
// tells whether we sent it.
func notification(code, subcode uint8, ours bool) string {
	by := "the neighbor"
	if ours {
		by = "we"
	}
	name := bgp.NewNotificationErrorCode(code, subcode).String()
	switch {
	case code == bgp.BGP_ERROR_OPEN_MESSAGE_ERROR && subcode == bgp.BGP_ERROR_SUB_BAD_PEER_AS && ours:
		name = "the neighbor has another AS number than configured here"
	case code == bgp.BGP_ERROR_OPEN_MESSAGE_ERROR && subcode == bgp.BGP_ERROR_SUB_BAD_PEER_AS:
		name = "the neighbor expects another AS number of us"
	case code == bgp.BGP_ERROR_OPEN_MESSAGE_ERROR && subcode == bgp.BGP_ERROR_SUB_BAD_BGP_IDENTIFIER:
		name = "both ends have the same router id, or one has none"
	case code == bgp.BGP_ERROR_OPEN_MESSAGE_ERROR && subcode == bgp.BGP_ERROR_SUB_UNACCEPTABLE_HOLD_TIME:
		name = "the hold time is too short for it"
	case code == bgp.BGP_ERROR_OPEN_MESSAGE_ERROR && subcode == 11:
		name = "the neighbor wants BGP roles (RFC 9234) in strict mode, which this speaker lacks"
	case code == bgp.BGP_ERROR_FSM_ERROR && ours:
		name = openRefused
	case code == bgp.BGP_ERROR_HOLD_TIMER_EXPIRED:
		name = silence
	case code == bgp.BGP_ERROR_CEASE && subcode == bgp.BGP_ERROR_SUB_MAXIMUM_NUMBER_OF_PREFIXES_REACHED && ours:
		name = "the neighbor sends more routes than it may: have it send none, or only a default route"
	}
	return fmt.Sprintf("%s ended the session (%d/%d): %s", by, code, subcode, name)
}

const (
	silence    = "nothing was heard for the hold time: the neighbor hangs, the path is broken, or TTL security is on at one end only"
	unanswered = "connected, but the session did not come up: the neighbor hangs, or TTL security is on at one end only"
)

// openRefused: the library does not tell what the neighbor's answer to our OPEN was.
const openRefused = "the neighbor refused our OPEN: its log says why, often that it expects another AS number of us"

// lost says why a session is gone, from the library's reason.
func lost(from State, reason string) string {
	switch reason {
	case "read-failed", "write-failed":
		if from == Established {
			return "the connection broke: the neighbor went away without a word"
		}
		return openRefused
	case "hold-timer-expired":
		return silence
	case "invalid-msg":
		return openRefused
	case "bad-peer-as":
		return "the neighbor has another AS number than configured here"
	case "admin-down":
		return "shut down here"
	}
	return reason
}
