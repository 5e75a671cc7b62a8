package geo_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"catchment/internal/edge"
	"catchment/internal/geo"
	"catchment/internal/geo/geotest"
)

func TestReload(t *testing.T) {
	dir := t.TempDir()
	city, places := dir+"/city.mmdb", dir+"/places.csv"
	at := func(country string) edge.Place {
		continent, _ := geo.ContinentOf(country)
		return edge.Place{Continent: continent, Country: country}
	}
	geotest.City(t, city, map[string]edge.Place{"192.0.2.0/24": at("US")})
	write(t, places, "prefix,country\n198.51.100.0/24,US\n")
	synctest.Test(t, func(t *testing.T) {
		var logged buffer
		reg := prometheus.NewRegistry()
		db := open(t, geo.Config{
			Files: []string{city}, Places: places,
			Log: slog.New(slog.NewTextHandler(&logged, nil)), Metrics: reg,
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- db.Run(ctx) }()
		wait := func() {
			time.Sleep(geo.DefaultPoll)
			synctest.Wait()
		}
		metrics := func(want string) {
			t.Helper()
			if err := testutil.GatherAndCompare(reg, strings.NewReader(want),
				"catchment_geo_last_reload_successful", "catchment_geo_reloads_total", "catchment_geo_override_prefixes",
				"catchment_geo_database_build_timestamp_seconds"); err != nil {
				t.Error(err)
			}
		}

		version := db.Version()
		wait()
		if said := logged.take(); said != "" || db.Version() != version {
			t.Errorf("reloaded although nothing changed: %s", said)
		}

		geotest.City(t, city, map[string]edge.Place{"192.0.2.0/24": at("FR")})
		wait()
		expect(t, db, "192.0.2.1", at("FR"))
		expect(t, db, "198.51.100.1", at("US"))
		if db.Version() == version {
			t.Error("the version stayed")
		}
		version = db.Version()

		// One good and one broken file: neither is taken.
		logged.take()
		geotest.City(t, city, map[string]edge.Place{"192.0.2.0/24": at("DE")})
		write(t, places, "prefix,country\n198.51.100.0/24,BR\n198.51.100.0/25,??\n")
		wait()
		expect(t, db, "192.0.2.1", at("FR"))
		expect(t, db, "198.51.100.1", at("US"))
		if db.Version() != version {
			t.Error("the version changed without the tables")
		}
		if said := logged.take(); !strings.Contains(said, "level=ERROR") || !strings.Contains(said, "places.csv:3") {
			t.Errorf("logged: %s", said)
		}
		metrics(`
# HELP catchment_geo_database_build_timestamp_seconds When the vendor made the MaxMind-format file in use.
# TYPE catchment_geo_database_build_timestamp_seconds gauge
catchment_geo_database_build_timestamp_seconds{file="` + city + `"} 1.7934912e+09
# HELP catchment_geo_last_reload_successful 1 if the files were usable when they were last read, 0 if not and older tables are in use.
# TYPE catchment_geo_last_reload_successful gauge
catchment_geo_last_reload_successful 0
# HELP catchment_geo_override_prefixes Prefixes of the places file in use.
# TYPE catchment_geo_override_prefixes gauge
catchment_geo_override_prefixes 1
# HELP catchment_geo_reloads_total Attempts to read the files, by result: ok or failed.
# TYPE catchment_geo_reloads_total counter
catchment_geo_reloads_total{result="failed"} 1
catchment_geo_reloads_total{result="ok"} 2
`)

		// A broken file is tried once, not every ten seconds.
		wait()
		if said := logged.take(); said != "" {
			t.Errorf("tried again: %s", said)
		}

		// A missing file is broken, too.
		if err := os.Remove(city); err != nil {
			t.Fatal(err)
		}
		wait()
		expect(t, db, "192.0.2.1", at("FR"))

		write(t, places, "prefix,country\n198.51.100.0/24,BR\n")
		geotest.City(t, city, map[string]edge.Place{"192.0.2.0/24": at("DE")})
		wait()
		expect(t, db, "192.0.2.1", at("DE"))
		expect(t, db, "198.51.100.1", at("BR"))
		if n := testutil.ToFloat64(gauge(t, reg, "catchment_geo_last_reload_successful")); n != 1 {
			t.Errorf("last_reload_successful is %v", n)
		}

		// Reload says why it did not.
		write(t, places, "prefix\nx\n")
		if err := db.Reload(); err == nil || !strings.Contains(err.Error(), `places.csv:2: prefix: "x" is not a prefix`) {
			t.Errorf("Reload: %v", err)
		}
		expect(t, db, "198.51.100.1", at("BR"))

		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

// buffer is a bytes.Buffer for several goroutines.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

// take empties b and returns what was in it.
func (b *buffer) take() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	defer b.b.Reset()
	return b.b.String()
}

// gauge returns the value of one metric as a collector.
func gauge(t *testing.T, reg *prometheus.Registry, name string) prometheus.Collector {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	g := prometheus.NewGauge(prometheus.GaugeOpts{Name: "found"})
	for _, f := range families {
		if f.GetName() == name {
			g.Set(f.GetMetric()[0].GetGauge().GetValue())
			return g
		}
	}
	t.Fatalf("no metric %s", name)
	return nil
}

// TestConcurrentReload looks up while the tables are replaced; the race
// detector is the judge.
func TestConcurrentReload(t *testing.T) {
	city := t.TempDir() + "/city.mmdb"
	geotest.City(t, city, map[string]edge.Place{"192.0.2.0/24": ashburn})
	db := open(t, geo.Config{Files: []string{city}})
	var readers sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if p := db.Lookup(netip.MustParseAddr("192.0.2.1")); p != ashburn {
					t.Errorf("at %v", p)
					return
				}
			}
		})
	}
	for range 10 {
		geotest.City(t, city, map[string]edge.Place{"192.0.2.0/24": ashburn})
		if err := db.Reload(); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	readers.Wait()
}
