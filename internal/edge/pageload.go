package edge

import "time"

// PageLoad is how one page view's page itself came, beside what its probes of
// the schemes found: what ramps are judged by.
type PageLoad struct {
	Cell               // where the beacon puts the client
	At       time.Time // received
	Client   uint64    // PrefixKey
	Weight   float64   // page loads that it stands for, itself included: 1/Rate
	Served   [len(Schemes)]PoPID
	RTT      [len(Schemes)]float64 // ms, as View.RTT
	Resolver Resolver
	PoP      PoPID   // that served the page; empty: it did not say
	VIP      VIPID   // by which it was reached; empty: by the PoP's own address
	Connect  float64 // TCP connect of the page's own connection, ms; 0: not measured
	Coarse   bool    // the browser's clock is too coarse to measure with
}
