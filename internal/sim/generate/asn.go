package generate

import "fmt"

// Kind is what a network is.
type Kind int

// The kinds of networks, by what they buy and sell.
const (
	TierOne       Kind = iota // carriers that buy from nobody
	International             // carriers in many countries
	National                  // the large access networks of a country
	Arm                       // an ASN more of such a network: its mobile or regional part
	Carrier                   // carriers of one country, without users
	Regional                  // access networks in several metros
	Local                     // access networks in a metro or two
	Content                   // who sends much
	Enterprise                // everyone else
	kinds
)

func (k Kind) String() string {
	if k < 0 || k >= kinds {
		return fmt.Sprintf("Kind(%d)", int(k))
	}
	return [...]string{"tier-1", "international", "national", "arm", "carrier", "regional", "local", "content", "enterprise"}[k]
}

// AS numbers are from the private-use range (RFC 6996: 4200000000 to
// 4294967294), so that none is a real network's. A number says what a network
// is; those of tier-1s, national networks and their arms stand for the same
// network, with the same name and places, whatever the seed and the size:
//
//	4200000001 …      tier-1s, by rank
//	4200001001 …      international carriers, by rank
//	4201CCCNNN to     networks of a country: 4201000000 + 100000 × its number
//	4268599999        (AA is 0, AB 1, BA 26, ZZ 675), plus
//	    +     1 …     national ones, by rank
//	    + 10000 …     carriers
//	    + 20000 …     regional
//	    + 30000 …     local
//	    + 90000 …     arms: 90000 + 10 × rank of their network + 0, 1, 2, …
//	4269000001 …      content networks, by rank
//	4270000001 …      enterprises
const (
	firstTierOne       = 4200000001
	firstInternational = 4200001001
	firstOfCountries   = 4201000000
	perCountry         = 100_000
	firstContent       = 4269000001
	firstEnterprise    = 4270000001
)

// Within a country's numbers.
const (
	carriersAt  = 10_000
	regionalsAt = 20_000
	localsAt    = 30_000
	armsAt      = 90_000
	armsEach    = 10
)

// countryASN returns the first number of a country's networks, less one.
func countryASN(country string) uint32 {
	return firstOfCountries + perCountry*(26*uint32(country[0]-'A')+uint32(country[1]-'A'))
}

// NationalASN returns the number of the national access network of a rank (1
// is the largest) in a country (ISO 3166-1 alpha-2, capitals).
func NationalASN(country string, rank int) uint32 { return countryASN(country) + uint32(rank) }

// TierOneASN returns the number of the tier-1 of a rank, 1 to 15.
func TierOneASN(rank int) uint32 { return firstTierOne + uint32(rank) - 1 }

// KindOf returns the kind of network that a generated AS number stands for, or
// false for any other number.
func KindOf(asn uint32) (Kind, bool) {
	switch {
	case asn >= firstTierOne && asn < firstTierOne+uint32(len(tierOnes)):
		return TierOne, true
	case asn >= firstInternational && asn < firstOfCountries:
		return International, true
	case asn >= firstContent && asn < firstEnterprise:
		return Content, true
	case asn >= firstEnterprise && asn <= 4294967294:
		return Enterprise, true
	case asn < firstOfCountries || asn >= firstOfCountries+26*26*perCountry:
		return 0, false
	}
	switch n := (asn - firstOfCountries) % perCountry; {
	case n == 0:
		return 0, false
	case n < carriersAt:
		return National, true
	case n < regionalsAt:
		return Carrier, true
	case n < localsAt:
		return Regional, true
	case n < armsAt:
		return Local, true
	default:
		return Arm, true
	}
}
