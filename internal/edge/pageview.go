package edge

// PageView is one page view with who asked for it: what reports that look at
// views one by one are made of.
type PageView struct {
	Cell             // where the beacon puts the client
	Place    Place   // the same with city and coordinates, without the name of the network
	Prefix   uint64  // PrefixKey of the client
	Weight   float64 // 1/rate
	Served   [len(Schemes)]PoPID
	Resolver Resolver
	Seen     []Seen // what its probes measured, in any order
}

// Seen is one measured probe.
type Seen struct {
	PoP PoPID   // that answered
	RTT float64 // ms, more than 0
}
