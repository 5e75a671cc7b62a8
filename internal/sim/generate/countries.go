package generate

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"catchment/internal/sim/topology"
)

// countryFigures are, for each country that has a metro, its Internet users in
// millions and the number of its ASes. Rounded, recalled figures of the order
// of what ITU and the World Bank (individuals using the Internet × population)
// and the regional registries (ASes that announce something) give for 2023 to
// 2025: good for the proportions of a simulated world, and for nothing else.
const countryFigures = `
AE 9.4 110, AF 8 70, AL 2.3 60, AM 2.3 80, AO 13 60, AR 41 1050, AT 8.6 600, AU 25 1650, AZ 9 90, BA 2.8 50, BD 78 1250, BE 11 350,
BF 4.6 20, BG 5.6 650, BH 1.5 30, BI 1.5 15, BJ 4.6 20, BO 9.5 60, BR 187 8900, BS 0.4 10, BW 1.9 25, BY 8.3 110, CA 36.5 1600, CD 30 50,
CF 0.6 6, CG 2.2 15, CH 8.5 850, CI 13 25, CL 18 330, CM 13 35, CN 1090 900, CO 39 600, CR 4.4 120, CU 8 5, CV 0.4 5, CY 1.1 100,
CZ 9.5 800, DE 78 2800, DJ 0.75 5, DK 5.8 330, DO 9.7 100, DZ 33 20, EC 13 220, EE 1.25 140, EG 84 70, EH 0.2 1, ER 0.3 2, ES 46 1050,
ET 25 5, FI 5.3 280, FR 59 1450, GA 1.8 12, GB 66 2600, GE 3.1 90, GH 24 80, GM 1.4 10, GN 5 15, GP 0.35 8, GQ 1.1 8, GR 9 200,
GT 10.5 80, GW 0.7 5, GY 0.6 8, HK 7.1 950, HN 6 100, HR 3.2 150, HT 4.6 15, HU 8.8 260, ID 215 2600, IE 5.1 260, IL 9 300, IN 880 3600,
IQ 36 190, IR 72 650, IS 0.37 60, IT 51 1200, JM 2.3 20, JO 10 40, JP 105 850, KE 19 130, KG 5.3 60, KH 10.5 130, KM 0.25 3, KP 0.02 1,
KR 50 1000, KW 4.4 60, KZ 18 170, LA 4.8 30, LB 5 150, LK 12 30, LR 1.8 15, LS 1.1 8, LT 2.5 180, LU 0.66 80, LV 1.7 260, LY 6 20,
MA 34 30, MD 2.1 150, ME 0.55 25, MG 6 15, MK 1.7 60, ML 8 12, MM 24 120, MN 2.8 60, MO 0.65 8, MQ 0.3 5, MR 1.9 10, MT 0.5 40,
MU 0.95 30, MW 3.5 20, MX 107 550, MY 33 300, MZ 7 35, NA 1.6 20, NE 4.5 10, NG 85 250, NI 4.2 60, NL 17.4 1250, NO 5.4 300, NP 16 130,
NZ 5 500, OM 4.4 20, PA 3.3 120, PE 27 180, PG 2.6 20, PH 86 450, PK 70 300, PL 34 2300, PR 2.8 80, PS 4.6 60, PT 8.8 160, PY 5.4 90, QA 2.7 20,
RE 0.7 12, RO 17 1250, RS 6 220, RU 131 5000, RW 4.5 20, SA 36 150, SD 14 10, SE 10.2 650, SG 5.8 650, SI 1.95 300, SK 4.8 220, SL 2.6 12,
SN 10.8 20, SO 4.5 20, SR 0.5 10, SS 1.3 8, SV 4.2 40, SY 8 5, SZ 0.7 10, TD 2.2 10, TG 3.4 10, TH 65 500, TJ 3.5 15, TL 0.55 8,
TM 2.5 3, TN 9.8 25, TR 74 550, TT 1.2 20, TW 21.5 350, TZ 20 90, UA 30 1850, UG 13 50, US 312 18700, UY 3.1 50, UZ 30 80, VE 21 130,
VN 78 600, XK 1.7 60, YE 9 5, ZA 45 700, ZM 6.5 30, ZW 5 40
`

// country is one country of the generated world.
type country struct {
	code      string
	continent int              // index into continentNames
	users     float64          // people
	ases      float64          // real number of ASes, the weight of its share
	metros    []topology.Metro // the most populous first
	number    int              // how many networks are generated for it
}

// readCountries returns the countries of the metros, those with the most users
// first.
func readCountries(cities []topology.City) ([]country, error) {
	byCode := map[string]*country{}
	for field := range strings.SplitSeq(countryFigures, ",") {
		words := strings.Fields(field)
		users, err := strconv.ParseFloat(words[1], 64)
		if err != nil {
			return nil, fmt.Errorf("generate: figures of %s: %w", words[0], err)
		}
		ases, err := strconv.ParseFloat(words[2], 64)
		if err != nil {
			return nil, fmt.Errorf("generate: figures of %s: %w", words[0], err)
		}
		byCode[words[0]] = &country{code: words[0], users: 1e6 * users, ases: ases}
	}
	for m, c := range cities {
		in := byCode[c.Place.Country]
		if in == nil {
			return nil, fmt.Errorf("generate: no figures of %s, where %s is", c.Place.Country, c.Name)
		}
		in.continent = slices.Index(continentNames[:], c.Place.Continent)
		in.metros = append(in.metros, topology.Metro(m))
	}
	var all []country
	for _, c := range byCode {
		if len(c.metros) > 0 {
			all = append(all, *c)
		}
	}
	slices.SortFunc(all, func(a, b country) int {
		return cmp.Or(cmp.Compare(b.users, a.users), cmp.Compare(a.code, b.code))
	})
	return all, nil
}

// apportion divides n networks among the countries by their weights, at least
// one each; what rounding leaves goes to those with the most users.
func apportion(countries []country, n int) {
	var sum float64
	for i := range countries {
		countries[i].number = 1
		sum += countries[i].ases
		n--
	}
	given := 0
	for i := range countries {
		c := &countries[i]
		more := int(float64(n) * c.ases / sum)
		c.number += more
		given += more
	}
	for i := 0; given < n; i, given = i+1, given+1 {
		countries[i%len(countries)].number++
	}
}
