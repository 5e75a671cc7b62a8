// Package noise gives every random choice of the simulator a name, and from
// that name its value: a keyed hash instead of a shared generator. A choice
// then depends on nothing but the seed and what it is about, so that adding a
// PoP, or asking in another order, leaves all other choices as they were.
package noise

import "math"

// Kind is what a choice is about. Values are part of every seed's result:
// never renumber, only add.
type Kind uint64

// The kinds of choices.
const (
	Tie          Kind = iota + 1 // route: which of equal neighbors
	Stray                        // route: does this AS at this metro ignore geography
	StrayPick                    // route: what it takes then
	Anomaly                      // route: does this AS ignore relationship and length
	AnomalyPick                  // route: which neighbor it prefers
	Segment                      // rtt: one AS's path between two metros
	PeerWithUs                   // world: does this AS peer with the fleet
	TransitPick                  // world: which transits a PoP buys
	Resolver                     // people: where the resolver of a group stands
	GeoCity                      // people: is the city of an address wrong
	GeoCityPick                  // people: which city it says
	GeoCountry                   // people: is the country wrong
	GeoPick                      // people: which country it says
	LastMile                     // people: kind and delay of the access line
	View                         // views: everything about one page view
	Churn                        // views: which client prefixes are there when
	RouteChange                  // views: when a network's path changes
	Balance                      // views: networks that balance by packet
	Failure                      // views: where and when probes fail
	PublicDNS                    // people: public resolvers
	PeeringMetro                 // world: metros where one peers
	Market                       // generate: the access networks of a country
	Shape                        // generate: one network's size and places
)

// At returns the 64 random bits of one choice. The keys tell apart choices of
// one kind: an AS number, a metro, a PoP's id hashed by String. Numbers that
// shift when something else is added, such as indexes, make bad keys.
func At(seed uint64, kind Kind, keys ...uint64) uint64 {
	h := mix(seed ^ uint64(kind)*0x9e3779b97f4a7c15)
	for _, k := range keys {
		h = mix(h + 0x9e3779b97f4a7c15 ^ k)
	}
	return h
}

// mix is the finalizer of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014).
func mix(h uint64) uint64 {
	h ^= h >> 30
	h *= 0xbf58476d1ce4e5b9
	h ^= h >> 27
	h *= 0x94d049bb133111eb
	return h ^ h>>31
}

// String hashes a name into a key (FNV-1a).
func String(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h
}

// Uniform turns the bits of a choice into a number in [0, 1).
func Uniform(bits uint64) float64 { return float64(bits>>11) / (1 << 53) }

// Pick turns the bits of a choice into one of n, 0 to n−1, n > 0.
func Pick(bits uint64, n int) int { return int((bits >> 32) * uint64(n) >> 32) }

// Normal turns the bits of a choice into a standard normal deviate (Box and
// Muller, 1958, from the two halves of the bits).
func Normal(bits uint64) float64 {
	u := (float64(bits>>32) + 0.5) / (1 << 32)
	v := (float64(uint32(bits)) + 0.5) / (1 << 32)
	return math.Sqrt(-2*math.Log(u)) * math.Cos(2*math.Pi*v)
}

// LogNormal turns the bits of a choice into a log-normal deviate of median 1.
func LogNormal(bits uint64, sigma float64) float64 { return Exp(sigma * Normal(bits)) }

// Exp is e to the x. On amd64 math.Exp takes a path of its own where the CPU
// has FMA, and differs in the last bit; Exp2 is the same everywhere.
func Exp(x float64) float64 { return math.Exp2(x * math.Log2E) }
