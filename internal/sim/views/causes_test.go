package views

import (
	"log/slog"
	"net/netip"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"catchment/internal/analysis"
	"catchment/internal/edge"
	"catchment/internal/sim/people"
	"catchment/internal/store"
	"catchment/internal/store/duckdb"
)

// located is where a world's databases put its resolvers.
type located map[netip.Addr]edge.Place

func (l located) Lookup(a netip.Addr) edge.Place { return l[a] }

// resolversOf returns the resolvers of the world's people.
func resolversOf(w *handWorld) located {
	at := located{}
	for g := range w.topo.Groups {
		for _, a := range w.people.Askers(g) {
			if !a.ECS {
				at[a.Resolver.Addr.Addr()] = a.Located
			}
		}
	}
	return at
}

// causesOf reports on page views of a world by network: weights of causes by
// scheme, of the judged weight.
func causesOf(t *testing.T, pm people.Model, m Model) map[uint32]map[edge.Scheme]analysis.CauseRow {
	t.Helper()
	w := newHandWorld(t, pm)
	for i := range w.fleet.PoPs { // which the other tests have no use for
		w.fleet.PoPs[i].Place.Continent = []string{"NA", "NA", "SA", "EU"}[i]
	}
	g := newGenerator(t, w, m)
	dir := t.TempDir()
	to, err := store.Open(store.Config{Dir: dir}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	f := g.Filler()
	batch := make([]edge.Beacon, 1000)
	refs := make([]*edge.Beacon, len(batch))
	for i := 0; i < m.Views; i += len(batch) {
		for k := range batch {
			f.Fill(&batch[k], i+k)
			refs[k] = &batch[k]
		}
		if _, err := to.Append(t.Context(), refs...); err != nil {
			t.Fatal(err)
		}
	}
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
	engine, err := duckdb.Open(dir, duckdb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	r := analysis.NewCauses([]analysis.Key{analysis.ByASN})
	s := analysis.Setting{Fleet: w.fleet, Places: resolversOf(w), FarKm: analysis.DefaultFarKm}
	err = analysis.JudgeViews(analysis.DefaultCriteria(), s, func(yield func(analysis.ViewWindow) bool) {
		q := store.Query{Since: m.From.Time(), Until: (m.From + edge.Day(m.Days)).Time()}
		yield(analysis.ViewWindow{Latencies: engine.Latencies(t.Context(), q), Views: engine.PageViews(t.Context(), q)})
	}, r)
	if err != nil {
		t.Fatal(err)
	}
	rows := map[uint32]map[edge.Scheme]analysis.CauseRow{}
	for _, row := range r.Rows() {
		asn := row.Group[0].Number
		if rows[asn] == nil {
			rows[asn] = map[edge.Scheme]analysis.CauseRow{}
		}
		rows[asn][row.Scheme] = row
	}
	return rows
}

// share is how much of a row's judged views missed for a reason.
func share(r analysis.CauseRow, c analysis.Cause) float64 {
	for i := range analysis.CauseOrder {
		if analysis.CauseOrder[i] == c {
			return r.Causes[i].Share
		}
	}
	return 0
}

// TestKnownCauses: the world says why its users go astray, and the report finds
// it out from their beacons.
func TestKnownCauses(t *testing.T) {
	const astray = 64498 // whose routes to anycast lead to Frankfurt
	m := plain(DefaultModel(5))
	m.Views, m.Days = 12_000, 1

	t.Run("resolvers", func(t *testing.T) {
		pm := people.DefaultModel(5)
		pm.CountryError, pm.CityError, pm.PublicECS = 0, nil, 0
		for asn, row := range causesOf(t, pm, m) {
			u, g := row[edge.Unicast], row[edge.Global]
			// Unicast errs only where the resolver is elsewhere.
			if u.Missed.Share < 0.02 || share(u, analysis.CauseResolver) < 0.99*u.Missed.Share {
				t.Errorf("AS%d unicast: %.4f missed, %.4f by the resolver", asn, u.Missed.Share, share(u, analysis.CauseResolver))
			}
			// Anycast errs only in one network, and leads it off its continent; over
			// IPv6 there is nothing better in South America.
			off, routes := share(g, analysis.CauseContinent), share(g, analysis.CauseBGP)
			if (asn == astray) != (g.Missed.Share > 0.5) || off+routes < 0.99*g.Missed.Share || off < 4*routes {
				t.Errorf("AS%d global: %.4f missed, %.4f off the continent", asn, g.Missed.Share, off)
			}
			if r := row[edge.Regional]; share(r, analysis.CauseResolver) < 0.99*r.Missed.Share {
				t.Errorf("AS%d regional: %.4f missed, %.4f by the resolver", asn, r.Missed.Share, share(r, analysis.CauseResolver))
			}
		}
	})

	t.Run("client subnet", func(t *testing.T) {
		pm := people.DefaultModel(5)
		pm.CountryError, pm.CityError, pm.AbroadScale, pm.Public, pm.PublicECS = 0, nil, 0, 1, 1
		for asn, row := range causesOf(t, pm, m) {
			if u := row[edge.Unicast]; u.Missed.Share > 0.001 || u.KnownResolvers.Share != 1 {
				t.Errorf("AS%d unicast: %.4f missed", asn, u.Missed.Share)
			}
		}
	})

	// Databases put half of the blocks of American clients into another city.
	t.Run("places", func(t *testing.T) {
		pm := people.DefaultModel(5)
		pm.CountryError, pm.CityError, pm.ClientError = 0, map[string]float64{"US": 0.5}, 1
		pm.AbroadScale, pm.Public, pm.PublicECS = 0, 1, 1
		found := 0.0
		for asn, row := range causesOf(t, pm, m) {
			g := row[edge.Global]
			if asn == astray {
				continue
			}
			found += share(g, analysis.CausePlace)
			// Not every view measured an optimal PoP of the cell that it was put into.
			if share(g, analysis.CausePlace) < 0.8*g.Missed.Share {
				t.Errorf("AS%d global: %.4f missed, %.4f by the place", asn, g.Missed.Share, share(g, analysis.CausePlace))
			}
		}
		if found < 0.1 {
			t.Errorf("%.4f are misplaced in all", found)
		}
	})
}
