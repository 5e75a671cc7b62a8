package sources

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"catchment/internal/sim/topology"
)

// peeringDB is what is kept of https://www.peeringdb.com.
type peeringDB struct {
	count int // of records kept

	nets       map[int64]network
	facilities map[int64]spot
	exchanges  map[int64]spot
	within     map[int64][]int64 // the facilities of an exchange
	members    []member          // of exchanges
	tenants    []member          // of facilities
}

type network struct {
	asn uint32
	org int64
}

// spot is where a facility or an exchange is.
type spot struct {
	town     town
	townName string // lower case
}

// member is a network at a facility or an exchange.
type member struct {
	asn uint32 // 0: that of the network
	net int64
	at  int64
}

func newPeeringDB() peeringDB {
	return peeringDB{
		nets:       map[int64]network{},
		facilities: map[int64]spot{},
		exchanges:  map[int64]spot{},
		within:     map[int64][]int64{},
	}
}

// PeeringDB reads a dump ({"net": {"data": […]}, …}, as CAIDA archives them) or
// an answer of the API ({"data": […]}) with objects of the kinds net, netixlan,
// netfac, ix, fac and ixfac; others are skipped. The error is Problems.
func (s *Set) PeeringDB(name string, r io.Reader) error {
	f, text, err := s.open("PeeringDB", name, r)
	if err != nil {
		return err
	}
	before := s.peering.count
	err = f.records(text, func(kind, at string, v jsontext.Value) bool {
		switch kind {
		case "", "data":
			kind = "" // an answer of the API: what its records look like
		case "net", "netixlan", "netfac", "ix", "fac", "ixfac":
		default:
			return false
		}
		if s.peering.count >= maxRecords {
			f.problemAt(at, "too many records (want at most %d)", maxRecords)
			return true
		}
		if err := s.record(kind, v); err != nil {
			return f.problemAt(at, "%v", err)
		}
		return false
	})
	if err != nil {
		return err
	}
	if s.peering.count == before && len(f.problems) == 0 {
		f.problem(0, "no records (want net, netixlan, netfac, ix, fac or ixfac)")
	}
	return s.done(f)
}

// peeringRecord has what is used of all kinds, and what tells them apart.
type peeringRecord struct {
	ID          int64          `json:"id"`
	OrgID       int64          `json:"org_id"`
	NetID       int64          `json:"net_id"`
	IXID        int64          `json:"ix_id"`
	FacID       int64          `json:"fac_id"`
	ASN         jsontext.Value `json:"asn"`
	LocalASN    jsontext.Value `json:"local_asn"`
	Name        string         `json:"name"`
	City        string         `json:"city"`
	Country     string         `json:"country"`
	Latitude    *float64       `json:"latitude"`
	Longitude   *float64       `json:"longitude"`
	Status      string         `json:"status"`
	Operational *bool          `json:"operational"`
	CLLI        jsontext.Value `json:"clli"`
	Unicast     jsontext.Value `json:"proto_unicast"`
}

func (r *peeringRecord) kind() string {
	switch {
	case r.NetID != 0 && r.FacID != 0:
		return "netfac"
	case r.NetID != 0 && r.IXID != 0:
		return "netixlan"
	case r.IXID != 0 && r.FacID != 0:
		return "ixfac"
	case r.ASN != nil && r.OrgID != 0:
		return "net"
	case r.CLLI != nil || r.Latitude != nil:
		return "fac"
	case r.Unicast != nil:
		return "ix"
	}
	return "" // another kind
}

func (s *Set) record(kind string, v jsontext.Value) error {
	var r peeringRecord
	if err := json.Unmarshal(v, &r, jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true)); err != nil {
		return fmt.Errorf("%s", reason(err))
	}
	if r.Status != "" && r.Status != "ok" {
		return nil // deleted or pending
	}
	if kind == "" {
		kind = r.kind()
	}
	p := &s.peering
	switch kind {
	case "net":
		asn, err := parseASN(r.ASN)
		if err != nil {
			return fmt.Errorf("asn: %w", err)
		}
		p.nets[r.ID] = network{asn, r.OrgID}
		s.name(asn, r.Name, fromPeering)
	case "fac":
		p.facilities[r.ID] = r.spot()
	case "ix":
		p.exchanges[r.ID] = r.spot()
	case "ixfac":
		p.within[r.IXID] = append(p.within[r.IXID], r.FacID)
	case "netfac", "netixlan":
		if r.Operational != nil && !*r.Operational {
			return nil
		}
		number, list, at := r.ASN, &p.members, r.IXID
		if kind == "netfac" {
			number, list, at = r.LocalASN, &p.tenants, r.FacID
		}
		var asn uint32
		if number != nil && !bytes.Equal(number, []byte("null")) {
			var err error
			if asn, err = parseASN(number); err != nil {
				return fmt.Errorf("asn: %w", err)
			}
		}
		*list = append(*list, member{asn, r.NetID, at})
	default:
		return nil
	}
	p.count++
	return nil
}

func (r *peeringRecord) spot() spot {
	c, _ := parseCountry([]byte(r.Country))
	s := spot{town: town{country: c}, townName: strings.ToLower(tidy(r.City))}
	if r.Latitude != nil && r.Longitude != nil && onGlobe(*r.Latitude, *r.Longitude) {
		s.town.named, s.town.lat, s.town.lon = true, *r.Latitude, *r.Longitude
	}
	return s
}

// townKey names a town.
type townKey struct {
	country country
	name    string
}

// meetings returns where networks meet others: at facilities and exchanges,
// without users. Facilities are where their coordinates are, else in the town
// of their name; exchanges in the town of theirs, else where most of their
// facilities are. Towns are known by the names of metros and of facilities
// with coordinates. Unplaced counts those that are left out.
func (s *Set) meetings() (out []topology.Presence, unplaced int) {
	p := &s.peering
	towns := map[townKey]topology.Metro{}
	note := func(k townKey, m topology.Metro) {
		if _, known := towns[k]; !known && k.name != "" {
			towns[k] = m
		}
	}
	for m := range s.cities {
		c := &s.cities[m]
		cc, _ := parseCountry([]byte(c.Place.Country))
		note(townKey{cc, strings.ToLower(c.Name)}, topology.Metro(m))
		note(townKey{cc, strings.ToLower(c.Place.City)}, topology.Metro(m))
	}
	facilities, exchanges := map[int64]topology.Metro{}, map[int64]topology.Metro{}
	for _, id := range slices.Sorted(maps.Keys(p.facilities)) {
		if f := p.facilities[id]; f.town.named {
			facilities[id] = s.nearest.metro(f.town.lat, f.town.lon)
			note(townKey{f.town.country, f.townName}, facilities[id])
		}
	}
	for id, f := range p.facilities {
		if m, known := towns[townKey{f.town.country, f.townName}]; known && !f.town.named {
			facilities[id] = m
		}
	}
	for id, x := range p.exchanges {
		if m, known := towns[townKey{x.town.country, x.townName}]; known {
			exchanges[id] = m
		} else if m, ok := most(p.within[id], facilities); ok {
			exchanges[id] = m
		}
	}
	lost := map[[2]int64]bool{}
	place := func(kind int64, all []member, at map[int64]topology.Metro) {
		for _, m := range all {
			if m.asn == 0 {
				m.asn = p.nets[m.net].asn
			}
			if metro, ok := at[m.at]; !ok {
				lost[[2]int64{kind, m.at}] = true
			} else if m.asn != 0 {
				out = append(out, topology.Presence{ASN: m.asn, Metro: metro})
			}
		}
	}
	place(0, p.tenants, facilities)
	place(1, p.members, exchanges)
	return out, len(lost)
}

// most returns the metro where most of the facilities are, of equals the first.
func most(ids []int64, at map[int64]topology.Metro) (topology.Metro, bool) {
	count := map[topology.Metro]int{}
	for _, id := range ids {
		if m, ok := at[id]; ok {
			count[m]++
		}
	}
	best, ok := topology.Metro(topology.None), false
	for m, n := range count {
		if !ok || n > count[best] || n == count[best] && m < best {
			best, ok = m, true
		}
	}
	return best, ok
}

// siblings returns the ASes of each organization that has several.
func (s *Set) siblings() [][]uint32 {
	byOrg := map[int64][]uint32{}
	for _, n := range s.peering.nets {
		if n.org != 0 {
			byOrg[n.org] = append(byOrg[n.org], n.asn)
		}
	}
	var all [][]uint32
	for _, asns := range byOrg {
		slices.Sort(asns)
		if asns = slices.Compact(asns); len(asns) > 1 {
			all = append(all, asns)
		}
	}
	slices.SortFunc(all, slices.Compare)
	return all
}
