package store

import "catchment/internal/edge"

// SchemaVersion is written into the key-value metadata of every Parquet file
// under SchemaKey. Readers migrate older versions as they read; a newer one is
// an error that names the file.
const (
	SchemaVersion = 1
	SchemaKey     = "catchment.schema"
)

// BeaconRow is one beacon in a segment's beacons file, in order of receipt.
// Durations are milliseconds; 0 is not measured. Text columns are empty where
// nothing is known.
type BeaconRow struct {
	Received    int64   `parquet:"received,timestamp(microsecond),delta"` // UTC
	ID          string  `parquet:"id"`
	Plan        string  `parquet:"plan"`
	Time        int64   `parquet:"t"` // the browser's clock, ms since 1970
	Rate        float64 `parquet:"rate,dict"`
	Client      string  `parquet:"client,dict"` // truncated prefix: 203.0.113.0/24
	Continent   string  `parquet:"continent,dict"`
	Country     string  `parquet:"country,dict"`
	Subdivision string  `parquet:"subdivision,dict"`
	City        string  `parquet:"city,dict"`
	ASN         uint32  `parquet:"asn,dict"`
	ASName      string  `parquet:"as_name,dict"`
	Lat         float64 `parquet:"lat,dict"`
	Lon         float64 `parquet:"lon,dict"`
	Resolver    string  `parquet:"resolver,dict"`
	ResolverECS string  `parquet:"resolver_ecs,dict"`

	// The view, derived from the probes (edge.Beacon.View).
	Family      uint32  `parquet:"family,dict"`
	Unicast     string  `parquet:"unicast,dict"`
	Global      string  `parquet:"global,dict"`
	Regional    string  `parquet:"regional,dict"`
	UnicastRTT  float32 `parquet:"unicast_rtt"`
	GlobalRTT   float32 `parquet:"global_rtt"`
	RegionalRTT float32 `parquet:"regional_rtt"`
	BestPoP     string  `parquet:"best_pop,dict"` // least RTT among this view's probes of PoPs by their own names
	BestRTT     float32 `parquet:"best_rtt"`

	PagePoP     string  `parquet:"page_pop,dict"`
	PageVIP     string  `parquet:"page_vip,dict"`
	PageDNS     float32 `parquet:"page_dns"`
	PageConnect float32 `parquet:"page_connect"`
	PageTLS     float32 `parquet:"page_tls"`
	PageTTFB    float32 `parquet:"page_ttfb"`
	PageLoad    float32 `parquet:"page_load"`
	NetType     string  `parquet:"net_type,dict"`

	Flags  []string   `parquet:"flags,list"`
	Probes []ProbeRow `parquet:"probes,list"`
}

// ProbeRow is one probe of a beacon, as edge.Probe.
type ProbeRow struct {
	Target string    `parquet:"target,dict"`
	PoP    string    `parquet:"pop,dict"`
	VIP    string    `parquet:"vip,dict"`
	RTT    float32   `parquet:"rtt"`
	Warm   []float32 `parquet:"warm,list"`
	Cold   []float32 `parquet:"cold,list"`
	Srv    float32   `parquet:"srv"`
	MRTT   float32   `parquet:"mrtt"`
	Proto  string    `parquet:"proto,dict"`
	AF     uint32    `parquet:"af,dict"`
	Status uint32    `parquet:"status,dict"`
	Error  string    `parquet:"error,dict"`
	Served []string  `parquet:"served,list"`
	Flags  []string  `parquet:"flags,list"`
}

// AssignmentRow is edge.Assignments in a segment's assignments file.
type AssignmentRow struct {
	Day         int32     `parquet:"day,date"`
	Continent   string    `parquet:"continent,dict"`
	Country     string    `parquet:"country,dict"`
	Subdivision string    `parquet:"subdivision,dict"`
	ASN         uint32    `parquet:"asn,dict"`
	ASName      string    `parquet:"as_name,dict"`
	Family      uint32    `parquet:"family,dict"`
	Unicast     string    `parquet:"unicast,dict"`
	Global      string    `parquet:"global,dict"`
	Regional    string    `parquet:"regional,dict"`
	Prefixes    []uint64  `parquet:"prefixes,list"`
	Views       []uint32  `parquet:"views,list"`
	Weights     []float64 `parquet:"weights,list"`
	Weights2    []float64 `parquet:"weights2,list"`
}

// LatencyRow is edge.Latencies in a segment's latencies file.
type LatencyRow struct {
	Day         int32    `parquet:"day,date"`
	Continent   string   `parquet:"continent,dict"`
	Country     string   `parquet:"country,dict"`
	Subdivision string   `parquet:"subdivision,dict"`
	ASN         uint32   `parquet:"asn,dict"`
	Family      uint32   `parquet:"family,dict"`
	PoP         string   `parquet:"pop,dict"`
	Scheme      string   `parquet:"scheme,dict"` // empty: by the PoP's own name
	Samples     []uint32 `parquet:"samples,list"`
	Counts      []uint32 `parquet:"counts,list"`
}

// Segment names one immutable set of Parquet files with the beacons of one UTC
// day:
//
//	DATA/segments/day=2026-11-01/000000000007-000000000007.beacons.parquet
//	                            /000000000007-000000000007.assignments.parquet
//	                            /000000000007-000000000007.latencies.parquet
//
// First and Last are the indexes of the first and the last entry of the
// write-ahead log that it was made from; an entry is one commit, of one beacon
// or many. A compacted segment spans several; it replaces every segment of
// its day whose range lies within its own, and those are ignored from the
// moment it appears and deleted a while later, so that running queries in
// other processes never miss or double a row. The beacons file is renamed into
// place last: a segment exists when it does.
type Segment struct {
	Dir         string // DATA
	Day         edge.Day
	First, Last uint64
}
