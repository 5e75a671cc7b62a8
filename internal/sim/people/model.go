package people

import (
	"errors"
	"fmt"
)

// Model holds every parameter of the population. The comment of each says
// where its default comes from: measured, published, fitted (chosen so that
// something published comes out) or assumed. docs/sim-people.md has them all in
// one table, with the sources.
//
// Tables by place are asked for the country, then the continent, then "".
type Model struct {
	Seed uint64

	// HubResolver is the share of those who ask their ISP's resolver whose
	// resolver stands in the ISP's biggest metro instead of their own: 0.40,
	// fitted.
	HubResolver float64
	// Networks of fewer than SmallUsers users (50,000, assumed) let their
	// transit provider resolve for a share Outsourced of them, at the biggest
	// metro of the country: 0.3, assumed after "small ASes are worse"
	// (published).
	SmallUsers float64
	Outsourced float64

	// Public is the share of users who ask a public resolver: 0.25 (published
	// 0.08 for 2014; 0.20 to 0.30 today is an assumption). PublicECS is the
	// share of those whose resolver sends the client's network along (RFC
	// 7871): 0.6, assumed. Use 0 for what 2015 looked like.
	Public    float64
	PublicECS float64
	// PublicSites is where public resolvers stand, each in the metro nearest to
	// it: 18 interconnection hubs, assumed. Users ask at the nearest.
	PublicSites []Site

	// Abroad lists by country the users whose resolver is far away, on top of
	// all others: published for 2014. AbroadScale multiplies those shares: 0.4,
	// fitted to Brazil's geo-DNS of 2015; 1 is 2014.
	Abroad      map[string]Tail
	AbroadScale float64

	// CountryError is the share of resolvers that geolocation puts into another
	// country: 0.005 (measured: 0.0036 of addresses between two databases).
	// CityError is the share of those it puts into another city, by place: US
	// 0.20, EU 0.12, else 0.25, fitted to what was measured.
	CountryError float64
	CityError    map[string]float64

	// ClientError is how much of both errors clients have: 0.25, assumed, as
	// databases know eyeballs better than infrastructure. See docs.
	ClientError float64

	// Access are the access lines by place, assumed.
	Access map[string]Mix
	// LastMile is the median round trip of each kind of access line, ms: fiber
	// 4, cable 12, DSL 20, LTE 35, 5G 22, assumed, and LastMileSigma the sigma
	// of its log-normal spread: 0.5, assumed.
	LastMile      [Accesses]float64
	LastMileSigma float64
	// Jitter is the median over lines of how far a sample is above the line's
	// least on average, ms: 0.4, and JitterSigma spreads it so that the 90th
	// percentile is 5.6 ms: 2.06. Both measured. No line has more than
	// JitterMost, 30 ms, assumed.
	Jitter      float64
	JitterSigma float64
	JitterMost  float64

	// V6Networks is the share of networks with IPv6, V6Users the share of their
	// users' page views over it: 0.6 and 0.75, assumed, 0.45 together.
	V6Networks float64
	V6Users    float64

	// A group has one client prefix for every UsersPerPrefix users, at most
	// MaxPrefixes: 1,000 and 64, assumed. UsersPerPrefix doubles until all
	// prefixes find room in 240.0.0.0/4.
	UsersPerPrefix float64
	MaxPrefixes    int
}

// Site is a place on the map, in degrees north and east.
type Site struct{ Lat, Lon float64 }

// Tail is the share of a country's users whose resolver is at least Beyond km
// away.
type Tail struct{ Share, Beyond float64 }

// Mix says which access lines there are in a place. Mobile is the share of
// networks that are mobile; FiveG the share of their lines that are 5G. Of the
// lines of the others the share Fiber is fiber, Cable cable and the rest DSL.
type Mix struct{ Mobile, FiveG, Fiber, Cable float64 }

// DefaultModel returns the defaults, which stand for today.
func DefaultModel(seed uint64) Model {
	const miles = 1.609344 // km
	return Model{
		Seed:        seed,
		HubResolver: 0.40,
		SmallUsers:  50_000, Outsourced: 0.3,
		Public: 0.25, PublicECS: 0.6,
		PublicSites: publicSites(),
		Abroad: map[string]Tail{
			"IN": {0.25, 4500 * miles}, "BR": {0.25, 4500 * miles},
			"AU": {0.25, 4500 * miles}, "AR": {0.25, 4500 * miles},
			"TR": {0.5, 1000 * miles}, "VN": {0.5, 1000 * miles}, "MX": {0.5, 1000 * miles},
		},
		AbroadScale:  0.4,
		CountryError: 0.005,
		CityError:    map[string]float64{"US": 0.20, "EU": 0.12, "": 0.25},
		ClientError:  0.25,
		Access: map[string]Mix{
			"NA": {0.30, 0.5, 0.35, 0.50},
			"EU": {0.30, 0.4, 0.45, 0.20},
			"AS": {0.45, 0.4, 0.65, 0.10},
			"SA": {0.35, 0.2, 0.65, 0.25},
			"OC": {0.30, 0.5, 0.40, 0.30},
			"AF": {0.60, 0.1, 0.40, 0.05},
			"":   {0.40, 0.3, 0.50, 0.20},
		},
		LastMile:      [Accesses]float64{Fiber: 4, Cable: 12, DSL: 20, LTE: 35, FiveG: 22},
		LastMileSigma: 0.5,
		Jitter:        0.4, JitterSigma: 2.06, JitterMost: 30,
		V6Networks: 0.6, V6Users: 0.75,
		UsersPerPrefix: 1000, MaxPrefixes: 64,
	}
}

func publicSites() []Site {
	return []Site{
		{38.90, -77.04},  // Washington
		{41.85, -87.65},  // Chicago
		{32.78, -96.81},  // Dallas
		{34.05, -118.24}, // Los Angeles
		{47.61, -122.33}, // Seattle
		{25.77, -80.19},  // Miami
		{-23.55, -46.64}, // São Paulo
		{-33.46, -70.65}, // Santiago
		{51.51, -0.13},   // London
		{50.12, 8.68},    // Frankfurt
		{40.42, -3.70},   // Madrid
		{59.33, 18.07},   // Stockholm
		{19.07, 72.88},   // Mumbai
		{1.29, 103.85},   // Singapore
		{22.28, 114.17},  // Hong Kong
		{35.69, 139.69},  // Tokyo
		{-33.87, 151.21}, // Sydney
		{-26.20, 28.04},  // Johannesburg
	}
}

// Validate returns what is wrong with m, all of it, each error naming the
// field.
func (m *Model) Validate() error {
	var errs []error
	within := func(name string, v, low, high float64) {
		if !(v >= low && v <= high) {
			errs = append(errs, fmt.Errorf("people: %s is %v (want %v to %v)", name, v, low, high))
		}
	}
	within("HubResolver", m.HubResolver, 0, 1)
	within("SmallUsers", m.SmallUsers, 0, 1e10)
	within("Outsourced", m.Outsourced, 0, 1)
	within("Public", m.Public, 0, 1)
	within("PublicECS", m.PublicECS, 0, 1)
	within("len(PublicSites)", float64(len(m.PublicSites)), 1, 512)
	within("AbroadScale", m.AbroadScale, 0, 1)
	for country, t := range m.Abroad {
		within("Abroad["+country+"].Share", t.Share, 0, 1)
		within("Abroad["+country+"].Beyond", t.Beyond, 0, 20_000)
	}
	within("CountryError", m.CountryError, 0, 1)
	for place, share := range m.CityError {
		within("CityError["+place+"]", share, 0, 1)
	}
	within("ClientError", m.ClientError, 0, 1)
	for place, mix := range m.Access {
		within("Access["+place+"].Mobile", mix.Mobile, 0, 1)
		within("Access["+place+"].FiveG", mix.FiveG, 0, 1)
		within("Access["+place+"].Fiber", mix.Fiber, 0, 1)
		within("Access["+place+"].Cable", mix.Cable, 0, 1-mix.Fiber)
	}
	for a, ms := range m.LastMile {
		within("LastMile["+Access(a).String()+"]", ms, 0, 10_000)
	}
	within("LastMileSigma", m.LastMileSigma, 0, 3)
	within("Jitter", m.Jitter, 0, 1000)
	within("JitterSigma", m.JitterSigma, 0, 5)
	within("JitterMost", m.JitterMost, 0, 1000)
	within("V6Networks", m.V6Networks, 0, 1)
	within("V6Users", m.V6Users, 0, 1)
	within("UsersPerPrefix", m.UsersPerPrefix, 1, 1e10)
	within("MaxPrefixes", float64(m.MaxPrefixes), 1, 4096)
	return errors.Join(errs...)
}
