package route

// Model are the parameters of the data plane: how often networks do not do
// what the textbook says, and how long light takes.
type Model struct {
	Seed uint64

	// Stray is the share of (AS, metro) pairs that choose among equally good
	// neighbors without regard to distance; of the fleet's own sessions they
	// still take the nearest. Assumed.
	Stray float64

	// Anomaly is the share of ASes without customers that prefer one neighbor
	// whatever the relationship and length. Assumed; studies of measured paths
	// find more deviations (Anwar et al., IMC 2015: 14 to 35 % of decisions),
	// most of which the other parameters stand for.
	Anomaly float64

	// HopRTT is added per AS on the path, ms. Assumed.
	HopRTT float64

	// Detour is the log-normal deviation of one AS's path between two metros.
	// Fitted with the rates of rtt.go.
	Detour float64
}

// DefaultModel returns the parameters of the figures in docs/sim.md.
func DefaultModel(seed uint64) Model {
	return Model{Seed: seed, Stray: 0.10, Anomaly: 0.02, HopRTT: 0.4, Detour: 0.1}
}
