// Package metros is the embedded table of the world's metro areas: where the
// networks of a simulated Internet meet, and where its users live.
//
// Places and populations are from GeoNames (https://www.geonames.org/), under
// the Creative Commons Attribution 4.0 license. The program tools/metros
// selects and merges: towns within 50 km of each other are one metro, at the
// place and under the name of the largest; its population is that of all towns
// of the country for which it is the nearest metro, so that every town counts
// once. Every country of more than about 300,000 townspeople has a metro,
// every state of the United States has one, and countries with many Internet
// users have more.
package metros

import (
	_ "embed" // for the table
	"encoding/csv"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"catchment/internal/edge"
	"catchment/internal/sim/topology"
)

//go:embed metros.csv
var table string

// Cities returns the metros, the most populous first. The order is part of the
// results of a seed: it changes only with the table. The slice is the
// caller's.
func Cities() []topology.City {
	r := csv.NewReader(strings.NewReader(table))
	r.Comment = '#'
	rows, err := r.ReadAll()
	if err != nil {
		panic(err) // the table is embedded, and read by a test
	}
	cities := make([]topology.City, len(rows)-1)
	for i, row := range rows[1:] {
		if cities[i], err = parse(row); err != nil {
			panic(err)
		}
	}
	return cities
}

// parse reads name, continent, country, subdivision, lat, lon, population.
func parse(row []string) (topology.City, error) {
	lat, err := strconv.ParseFloat(row[4], 64)
	if err != nil {
		return topology.City{}, fmt.Errorf("metros: %s: %w", row[0], err)
	}
	lon, err := strconv.ParseFloat(row[5], 64)
	if err != nil {
		return topology.City{}, fmt.Errorf("metros: %s: %w", row[0], err)
	}
	population, err := strconv.Atoi(row[6])
	if err != nil {
		return topology.City{}, fmt.Errorf("metros: %s: %w", row[0], err)
	}
	return topology.City{
		Name:       row[0],
		Place:      edge.Place{Continent: row[1], Country: row[2], Subdivision: row[3], City: row[0], Lat: lat, Lon: lon},
		Population: population,
	}, nil
}

// Find returns the metro of a name in a country (ISO 3166-1 alpha-2), or that
// of a subdivision too where the country has several of one name: Find(cities,
// "Portland", "US", "ME"). An empty subdivision is any.
func Find(cities []topology.City, name, country, subdivision string) (topology.Metro, bool) {
	i := slices.IndexFunc(cities, func(c topology.City) bool {
		return c.Name == name && c.Place.Country == country && (subdivision == "" || c.Place.Subdivision == subdivision)
	})
	return topology.Metro(i), i >= 0
}

// Nearest returns the metro nearest to a place with coordinates, and its
// distance in km; or topology.None and +Inf without coordinates.
func Nearest(cities []topology.City, place edge.Place) (topology.Metro, float64) {
	best, km := topology.Metro(topology.None), math.Inf(1)
	for i := range cities {
		if d := edge.DistanceKm(cities[i].Place, place); d < km {
			best, km = topology.Metro(i), d
		}
	}
	return best, km
}
