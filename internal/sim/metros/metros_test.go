package metros

import (
	"testing"

	"catchment/internal/edge"
	"catchment/internal/geo"
	"catchment/internal/sim/topology"
)

func TestTable(t *testing.T) {
	cities := Cities()
	if n := len(cities); n < 490 || n > topology.MaxMetros {
		t.Errorf("%d metros", n)
	}
	if len(table) > 40_000 {
		t.Errorf("the table has %d bytes", len(table))
	}
	last := cities[0].Population
	seen := map[edge.Place]bool{}
	for _, c := range cities {
		p := c.Place
		if continent, ok := geo.ContinentOf(p.Country); !ok || continent != p.Continent {
			t.Errorf("%s: %s is not in %s", c.Name, p.Country, p.Continent)
		}
		if !p.HasCoord() || p.Lat < -90 || p.Lat > 90 || p.Lon < -180 || p.Lon > 180 {
			t.Errorf("%s: coordinates %v, %v", c.Name, p.Lat, p.Lon)
		}
		if c.Population <= 0 || c.Population > last {
			t.Errorf("%s: %d people after %d", c.Name, c.Population, last)
		}
		last = c.Population
		key := edge.Place{Country: p.Country, Subdivision: p.Subdivision, City: p.City}
		if c.Name == "" || p.City != c.Name || seen[key] {
			t.Errorf("%q: empty or twice", c.Name)
		}
		seen[key] = true
	}
}

// The cities where operators have PoPs, and each state of the United States.
func TestCoverage(t *testing.T) {
	cities := Cities()
	f := func(country string, names ...string) {
		t.Helper()
		for _, name := range names {
			if _, ok := Find(cities, name, country, ""); !ok {
				t.Errorf("no %s in %s", name, country)
			}
		}
	}
	f("US", "Washington", "Los Angeles", "Chicago", "Dallas", "Miami", "Atlanta", "Seattle", "New York", "San Jose", "San Francisco",
		"Denver", "Phoenix", "Boston", "Houston", "Minneapolis", "Salt Lake City", "Portland", "Kansas City", "Honolulu", "Anchorage")
	f("CA", "Toronto", "Montréal", "Vancouver")
	f("BR", "São Paulo", "Rio de Janeiro", "Fortaleza", "Porto Alegre")
	f("CO", "Bogotá")
	f("AR", "Buenos Aires")
	f("CL", "Santiago")
	f("MX", "Mexico City")
	f("GB", "London", "Manchester")
	f("NL", "Amsterdam")
	f("DE", "Frankfurt", "Berlin", "Hamburg", "Munich", "Düsseldorf")
	f("FR", "Paris", "Marseille")
	f("ES", "Madrid")
	f("SE", "Stockholm")
	f("IT", "Milan")
	f("PL", "Warsaw")
	f("ZA", "Johannesburg", "Cape Town")
	f("AE", "Dubai")
	f("IN", "Mumbai", "Delhi", "Chennai", "Bengaluru", "Hyderabad")
	f("SG", "Singapore")
	f("HK", "Hong Kong")
	f("JP", "Tokyo", "Osaka")
	f("KR", "Seoul")
	f("AU", "Sydney", "Melbourne", "Perth")
	f("NZ", "Auckland")

	states, countries := map[string]bool{}, map[string]int{}
	for _, c := range cities {
		countries[c.Place.Country]++
		if c.Place.Country == "US" {
			states[c.Place.Subdivision] = true
		}
	}
	if len(states) != 51 || states[""] {
		t.Errorf("%d states with D.C. (want 51)", len(states))
	}
	if len(countries) < 150 {
		t.Errorf("%d countries (want over 150)", len(countries))
	}
	for _, country := range []string{"BR", "IN", "CN"} {
		if countries[country] < 20 {
			t.Errorf("%s has %d metros (want 20)", country, countries[country])
		}
	}
}

func TestNearest(t *testing.T) {
	cities := Cities()
	f := func(lat, lon float64, want, subdivision string) {
		t.Helper()
		m, km := Nearest(cities, edge.Place{Lat: lat, Lon: lon})
		if c := cities[m]; c.Name != want || c.Place.Subdivision != subdivision || km > 60 {
			t.Errorf("%v, %v: %s %s, %.0f km", lat, lon, c.Name, c.Place.Subdivision, km)
		}
	}
	f(38.95, -77.45, "Washington", "DC") // Dulles
	f(41.98, -87.90, "Chicago", "IL")    // O'Hare
	f(-23.43, -46.47, "São Paulo", "SP") // Guarulhos
	f(50.03, 8.57, "Frankfurt", "HE")
	f(1.36, 103.99, "Singapore", "")
	if m, _ := Nearest(cities, edge.Place{}); m != topology.None {
		t.Errorf("a place without coordinates is in metro %d", m)
	}
	if m, ok := Find(cities, "Portland", "US", "ME"); !ok || cities[m].Place.Lon < -75 {
		t.Errorf("Portland, ME: %d, %v", m, ok)
	}
	if _, ok := Find(cities, "Atlantis", "US", ""); ok {
		t.Error("Atlantis exists")
	}
}
