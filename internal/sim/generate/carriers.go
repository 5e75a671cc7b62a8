package generate

import (
	"math"
	"slices"

	"catchment/internal/sim/noise"
)

func (w *world) countryIndex(code string) int32 {
	return int32(slices.IndexFunc(w.countries, func(c country) bool { return c.code == code }))
}

func (w *world) addTierOne(i int) {
	t := &tierOnes[i]
	n := network{asn: TierOneASN(i + 1), kind: TierOne, country: w.countryIndex(t.country), name: t.name, org: -1}
	for k, number := range t.metros {
		for _, m := range w.byHub[k] {
			if number == 0 {
				break
			}
			// One in six of the hubs it would be in has another in its place.
			if w.hub[m] < 4 && noise.Uniform(noise.At(marketSeed, noise.Market, uint64(n.asn), uint64(m))) < 1./6 {
				continue
			}
			n.metros = append(n.metros, m)
			number--
		}
	}
	w.add(n)
}

// addInternational makes a carrier at home on one continent, in its hubs and a
// few of another. The first two are everywhere, and peer with whoever wants.
func (w *world) addInternational(i int) {
	n := network{asn: firstInternational + uint32(i), kind: International, org: -1}
	// Their homes are divided like the transit business, not like people.
	home := pick(w.draw(n.asn, drawHome, 0), []float64{1, 5, 9, 7, 1, 2})
	size := 6 + int(40*math.Pow(w.draw(n.asn, drawSize, 0), 2))
	reach := [len(continentNames)]int{}
	reach[home] = size
	if other := int(6 * w.draw(n.asn, drawReach, 0)); other != home {
		reach[other] = size / 4
	}
	if home != 2 { // everyone meets in Europe
		reach[2] = max(reach[2], 2)
	}
	n.appetite = 30 * pareto(w.draw(n.asn, drawAppetite, 0), 40)
	if i < 2 {
		reach = [...]int{6, 18, 40, 45, 5, 10}
		n.appetite = w.giant(2500)
	}
	for k, number := range append(reach[home:], reach[:home]...) {
		k = (k + home) % len(continentNames)
		for j, m := range w.byHub[k] {
			if number > 0 && (w.hub[m] >= 4 || w.draw(n.asn, drawMetro, uint64(m)) < 0.7 || j+number >= len(w.byHub[k])) {
				n.metros = append(n.metros, m)
				number--
			}
		}
	}
	n.country = w.countryIndex(w.cities[n.metros[0]].Place.Country)
	w.add(n)
}

func (w *world) addCarrier(ci, rank int) {
	c := &w.countries[ci]
	n := network{asn: countryASN(c.code) + carriersAt + uint32(rank), kind: Carrier, country: int32(ci), org: -1}
	home := w.homeIn(c, n.asn)
	n.metros = w.near(c, home, 3+int(12*w.draw(n.asn, drawSize, 0)), 2500)
	n.appetite = 6 * pareto(w.draw(n.asn, drawAppetite, 0), 30)
	w.add(n)
}
