package edge

import "time"

// Announce is when PoPs announce their VIPs, the same at all of them. Zero
// values stand for the defaults, which package announce has; a duration that
// is written as 0 is Never.
type Announce struct {
	HoldDown     time.Duration // healthy for that long before a VIP comes back
	Jitter       time.Duration // and up to that much longer
	MinAnnounce  time.Duration // a VIP stays announced at least
	FlapsPerHour int           // withdrawals by automation
	Resume       time.Duration // a restart up to which what was announced is announced at once
	Degraded     *Degraded     // nil: graceful shutdown, and the path three longer
	Guard        Guard
	Drain        Draining
}

// NoTime stands for a duration of 0 where 0 stands for the default.
const NoTime time.Duration = -1

// Degraded is how a route asks for any other to be preferred.
type Degraded struct {
	GracefulShutdown bool // 65535:0 (RFC 8326)
	Prepend          int  // in addition to the neighbor's
	Communities      []Community
}

// Guard is how many of a VIP's PoPs automation may take out.
type Guard struct {
	Share       float64 // of the VIP's PoPs, above 0 to 1
	Count       int     // upper bound beside it; 0: none
	Keep        *int    // healthy PoPs that must be left; nil: 1
	Window      time.Duration
	Wait        time.Duration // for the control node's answer
	Unreachable Fallback
}

// Fallback is what a PoP does that wants to withdraw and cannot ask.
type Fallback string

// The fallbacks. FailStatic keeps announcing, degraded. FailOpenWithdraw
// withdraws; nothing then keeps all PoPs from doing so at once.
const (
	FailStatic       Fallback = "fail-static"
	FailOpenWithdraw Fallback = "fail-open-withdraw"
)

// Draining is how long the phases of a drain take.
type Draining struct {
	TTL    time.Duration
	Grace  time.Duration
	Verify time.Duration
	Settle time.Duration
	Quiet  time.Duration
}

// Announcement is an operator's exception to what a PoP announces: VIPs that
// it does not, and neighbors that see longer paths.
type Announcement struct {
	PoP      PoPID          `json:"pop"`
	Withdraw []VIPID        `json:"withdraw,omitempty"`
	Prepend  map[string]int `json:"prepend,omitempty"` // by the neighbor's address: in addition, 1 to 10
	By       string         `json:"by,omitempty"`
	Why      string         `json:"why,omitempty"`
}
