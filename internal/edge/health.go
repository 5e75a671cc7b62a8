package edge

// HealthReport is what a PoP says of itself, every few seconds.
type HealthReport struct {
	State HealthState `json:"state"`           // up or down
	Share float64     `json:"share,omitempty"` // as in Health
	Load  *float64    `json:"load,omitempty"`  // requests/s; nil: not known
	Why   string      `json:"why,omitempty"`   // at most 200 bytes
}

// Reachable is what a name server finds when it connects to a PoP's own
// address.
type Reachable struct {
	PoP     PoPID  `json:"pop"`
	Address string `json:"address"` // that was tried: "192.0.2.10:443", or a URL
	OK      bool   `json:"ok"`
	Why     string `json:"why,omitempty"` // it is not; at most 200 bytes
}
