package beacon

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"catchment/internal/edge"
)

var comparePrefixes = cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })

func TestBody(t *testing.T) {
	d := Decoder{Names: NewNames(testFleet())}
	if err := d.Body([]byte(" " + typical + "\n")); err != nil {
		t.Fatal(err)
	}
	want := edge.Beacon{
		V: 1, ID: "9f86d081884c7d659a2feaa0c55ad015", Time: 1790000000123, Rate: 0.01,
		Page: edge.Page{PoP: "iad", VIP: "americas", DNS: 12.1, Connect: 18, TLS: 21.3, TTFB: 88, Load: 1432},
		Probes: []edge.Probe{
			{
				Target: "global", PoP: "iad", VIP: "global", RTT: 18.7, Warm: []float64{18.9, 18.7, 19.4},
				Cold: []float64{11, 19.1, 20.2}, Srv: 0.05, MRTT: 18.4, Proto: "http/1.1", AF: 4,
			},
			{
				Target: "pop:lax", PoP: "lax", RTT: 64, Warm: []float64{64, 64.3, 64.1},
				Cold: []float64{9.7, 64.4, 66}, Srv: 0.04, Proto: "http/1.1", AF: 4,
			},
			{Target: "regional", Error: "timeout"},
		},
		Net: edge.Net{Type: "4g"},
	}
	if diff := cmp.Diff(want, *d.Beacons()[0], comparePrefixes); diff != "" {
		t.Error(diff)
	}
}

func TestLine(t *testing.T) {
	d := Decoder{Names: NewNames(testFleet())}
	if err := d.Line([]byte(typicalRelay)); err != nil {
		t.Fatal(err)
	}
	want := edge.Beacon{
		V: 1, ID: "r1", Rate: 1, Probes: []edge.Probe{{Target: "unicast", PoP: "iad", RTT: 20, AF: 4}},
		Client:   netip.MustParsePrefix("203.0.113.7/32"),
		Received: time.Date(2026, 11, 1, 12, 0, 0, 123e6, time.UTC),
		Place: edge.Place{
			Country: "US", Subdivision: "IL", City: "São Paulo", ASN: 64496, ASName: "Example", Lat: 41.8, Lon: -87.6,
		},
		Resolver: edge.Resolver{Addr: netip.MustParsePrefix("198.51.100.53/32"), ECS: netip.MustParsePrefix("203.0.113.0/24")},
	}
	if diff := cmp.Diff(want, *d.Beacons()[0], comparePrefixes); diff != "" {
		t.Error(diff)
	}
}

// TestArray holds beacons of several bodies at once, and those of a bad body
// not at all.
func TestArray(t *testing.T) {
	d := Decoder{Names: NewNames(testFleet())}
	one := func(id string) string { return `{"v":1,"id":"` + id + `","rate":1,"probes":[]}` }
	if err := d.Body([]byte("[" + one("a") + " ,\n" + one("b") + "]")); err != nil {
		t.Fatal(err)
	}
	if err := d.Body([]byte("[" + one("c") + "," + one("bad id") + "]")); err == nil {
		t.Fatal("a bad id is accepted")
	}
	if err := d.Body([]byte(one("d"))); err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, b := range d.Beacons() {
		ids = append(ids, b.ID)
	}
	if diff := cmp.Diff([]string{"a", "b", "d"}, ids); diff != "" {
		t.Error(diff)
	}
	d.Reset()
	if n := len(d.Beacons()); n != 0 {
		t.Errorf("%d beacons after Reset", n)
	}
}

// refusedBodies are what a public endpoint has to expect, with the reason and
// field that it names.
func refusedBodies() map[string]struct {
	body   string
	reason Reason
	field  string
} {
	type refused = struct {
		body   string
		reason Reason
		field  string
	}
	with := func(fields string) string { return `{"v":1,"id":"x","rate":1,"probes":[],` + fields + `}` }
	probe := func(fields string) string {
		return `{"v":1,"id":"x","rate":1,"probes":[{"target":"unicast","pop":"iad"},{"target":"global","pop":"iad",` + fields + `}]}`
	}
	repeat := func(s string, n int) string { return strings.TrimSuffix(strings.Repeat(s+",", n), ",") }
	return map[string]refused{
		"empty":              {"", ReasonSyntax, ""},
		"null":               {"null", ReasonType, ""},
		"a number":           {"1", ReasonType, ""},
		"a string":           {`"beacon"`, ReasonType, ""},
		"a form":             {"v=1&id=x", ReasonSyntax, ""},
		"empty array":        {"[]", ReasonMissing, ""},
		"array of null":      {"[null]", ReasonType, "[0]"},
		"17 beacons":         {"[" + repeat(`{"v":1,"id":"x","rate":1,"probes":[]}`, 17) + "]", ReasonCount, ""},
		"trailing":           {with(`"t":1`) + "x", ReasonSyntax, ""},
		"two beacons":        {with(`"t":1`) + with(`"t":1`), ReasonSyntax, ""},
		"cut off":            {typical[:200], ReasonSyntax, "probes[0]"},
		"no comma":           {`{"v":1 "id":"x"}`, ReasonSyntax, ""},
		"comma at the end":   {`{"v":1,}`, ReasonSyntax, ""},
		"key without quotes": {`{v:1}`, ReasonSyntax, ""},
		"comment":            {`/* */{"v":1}`, ReasonSyntax, ""},
		"deep arrays":        {strings.Repeat("[", 8000), ReasonType, "[0]"},
		"deep objects":       {strings.Repeat(`{"page":`, 1900), ReasonUnknown, "page.page"},
		"deep in warm":       {probe(`"warm":` + strings.Repeat("[", 8000)), ReasonType, "probes[1].warm[0]"},
		"unknown field":      {with(`"cookie":1`), ReasonUnknown, "cookie"},
		"unknown in probe":   {probe(`"Rtt":1`), ReasonUnknown, "probes[1].Rtt"},
		"unknown in page":    {with(`"page":{"url":"/"}`), ReasonUnknown, "page.url"},
		"unknown in net":     {with(`"net":{"rtt":1}`), ReasonUnknown, "net.rtt"},
		"markup in a key":    {with(`"<b>\u0000é":1`), ReasonUnknown, `<b>\\u0000\u00e9`},
		"duplicate field":    {with(`"v":1`), ReasonDuplicate, "v"},
		"duplicate, escaped": {with(`"\u0076":1`), ReasonDuplicate, `\\u0076`},
		"duplicate in probe": {probe(`"pop":"iad"`), ReasonDuplicate, "probes[1].pop"},
		"no v":               {`{"id":"x","rate":1,"probes":[]}`, ReasonMissing, "v"},
		"no id":              {`[{"v":1,"id":"x","rate":1,"probes":[]},{"v":1,"rate":1,"probes":[]}]`, ReasonMissing, "[1].id"},
		"no rate":            {`{"v":1,"id":"x","probes":[]}`, ReasonMissing, "rate"},
		"no probes":          {`{"v":1,"id":"x","rate":1}`, ReasonMissing, "probes"},
		"no target":          {`{"v":1,"id":"x","rate":1,"probes":[{"pop":"iad"}]}`, ReasonMissing, "probes[0].target"},
		"no pop, no error":   {`{"v":1,"id":"x","rate":1,"probes":[{"target":"global","rtt":1}]}`, ReasonMissing, "probes[0].pop"},
		"version 2":          {`{"v":2}`, ReasonValue, "v"},
		"version 1.0":        {`{"v":1.0}`, ReasonType, "v"},
		"version as text":    {`{"v":"1"}`, ReasonType, "v"},
		"version -1":         {`{"v":-1}`, ReasonRange, "v"},
		"version 01":         {`{"v":01}`, ReasonType, "v"},
		"empty id":           {`{"id":""}`, ReasonValue, "id"},
		"long id":            {`{"id":"` + strings.Repeat("a", 65) + `"}`, ReasonValue, "id"},
		"id with a space":    {`{"id":"a b"}`, ReasonValue, "id"},
		"id not ASCII":       {`{"id":"é"}`, ReasonValue, "id"},
		"id is a number":     {`{"id":1}`, ReasonType, "id"},
		"id is null":         {`{"id":null}`, ReasonType, "id"},
		"not UTF-8":          {"{\"id\":\"\xff\"}", ReasonUTF8, "id"},
		"UTF-8 overlong":     {"{\"id\":\"\xc0\x80\"}", ReasonUTF8, "id"},
		"UTF-8 surrogate":    {"{\"id\":\"\xed\xa0\x80\"}", ReasonUTF8, "id"},
		"half a surrogate":   {`{"id":"\ud83d"}`, ReasonUTF8, "id"},
		"wrong surrogate":    {`{"id":"\ud83d\ud83d"}`, ReasonUTF8, "id"},
		"bad escape":         {`{"id":"\x41"}`, ReasonSyntax, "id"},
		"short escape":       {`{"id":"\u00"}`, ReasonSyntax, "id"},
		"control character":  {"{\"id\":\"a\nb\"}", ReasonSyntax, "id"},
		"NUL":                {"{\"id\":\"a\x00b\"}", ReasonSyntax, "id"},
		"NaN":                {probe(`"rtt":NaN`), ReasonSyntax, "probes[1].rtt"},
		"Infinity":           {probe(`"rtt":Infinity`), ReasonSyntax, "probes[1].rtt"},
		"-Infinity":          {probe(`"rtt":-Infinity`), ReasonSyntax, "probes[1].rtt"},
		"1e999":              {probe(`"rtt":1e999`), ReasonRange, "probes[1].rtt"},
		"1e309 as rate":      {`{"rate":1e309}`, ReasonRange, "rate"},
		"many digits":        {probe(`"rtt":0.` + strings.Repeat("1", 4000)), ReasonRange, "probes[1].rtt"},
		"hexadecimal":        {probe(`"rtt":1x0`), ReasonSyntax, "probes[1]"},
		"leading zero":       {probe(`"rtt":018`), ReasonSyntax, "probes[1].rtt"},
		"leading plus":       {probe(`"rtt":+1`), ReasonSyntax, "probes[1].rtt"},
		"no fraction":        {probe(`"rtt":1.`), ReasonSyntax, "probes[1].rtt"},
		"no exponent":        {probe(`"rtt":1e`), ReasonSyntax, "probes[1].rtt"},
		"only a minus":       {probe(`"rtt":-`), ReasonSyntax, "probes[1].rtt"},
		"rtt 0":              {probe(`"rtt":0`), ReasonRange, "probes[1].rtt"},
		"rtt -0":             {probe(`"rtt":-0.0`), ReasonRange, "probes[1].rtt"},
		"rtt negative":       {probe(`"rtt":-1`), ReasonRange, "probes[1].rtt"},
		"rtt over 60 s":      {probe(`"rtt":60000.1`), ReasonRange, "probes[1].rtt"},
		"rtt as text":        {probe(`"rtt":"18"`), ReasonType, "probes[1].rtt"},
		"rtt as array":       {probe(`"rtt":[18]`), ReasonType, "probes[1].rtt"},
		"warm as number":     {probe(`"warm":18`), ReasonType, "probes[1].warm"},
		"warm negative":      {probe(`"warm":[1,-1]`), ReasonRange, "probes[1].warm[1]"},
		"warm null":          {probe(`"warm":[1,null]`), ReasonType, "probes[1].warm[1]"},
		"warm, 9":            {probe(`"warm":[` + repeat("1", 9) + `]`), ReasonCount, "probes[1].warm"},
		"cold, 4":            {probe(`"cold":[1,1,1,1]`), ReasonCount, "probes[1].cold"},
		"srv over warm":      {probe(`"warm":[20,18],"srv":19.1`), ReasonRange, "probes[1].srv"},
		"af 5":               {probe(`"af":5`), ReasonValue, "probes[1].af"},
		"af 46":              {probe(`"af":46`), ReasonRange, "probes[1].af"},
		"status 99":          {probe(`"status":99`), ReasonRange, "probes[1].status"},
		"status 600":         {probe(`"status":600`), ReasonRange, "probes[1].status"},
		"unknown error":      {probe(`"error":"dns"`), ReasonValue, "probes[1].error"},
		"unknown pop":        {probe(`"served":["iad","ams"]`), ReasonValue, "probes[1].served[1]"},
		"unknown vip":        {probe(`"vip":"europe"`), ReasonValue, "probes[1].vip"},
		"proto with a space": {probe(`"proto":"h 2"`), ReasonValue, "probes[1].proto"},
		"unknown target":     {`{"v":1,"id":"x","rate":1,"probes":[{"target":"pop:ams"}]}`, ReasonValue, "probes[0].target"},
		"target twice": {
			`{"v":1,"id":"x","rate":1,"probes":[` + repeat(`{"target":"global","pop":"iad"}`, 2) + `]}`, ReasonDuplicate, "probes[1]",
		},

		"unknown flag":   {with(`"flags":["evil"]`), ReasonValue, "flags[0]"},
		"flag twice":     {with(`"flags":["hidden","hidden"]`), ReasonDuplicate, "flags[1]"},
		"probe flag":     {probe(`"flags":["hidden"]`), ReasonValue, "probes[1].flags[0]"},
		"rate 0":         {`{"rate":0}`, ReasonRange, "rate"},
		"rate over 1":    {`{"rate":1.0001}`, ReasonRange, "rate"},
		"rate negative":  {`{"rate":-0.5}`, ReasonRange, "rate"},
		"time too large": {with(`"t":8640000000000001`), ReasonRange, "t"},
		"time fraction":  {with(`"t":1.5`), ReasonType, "t"},
		"page load":      {with(`"page":{"load":60001}`), ReasonRange, "page.load"},
		"net type":       {with(`"net":{"type":"6g"}`), ReasonValue, "net.type"},
		"client":         {with(`"client":"203.0.113.7"`), ReasonForbidden, "client"},
		"received":       {with(`"received":"2026-11-01T12:00:00Z"`), ReasonForbidden, "received"},
		"place":          {with(`"place":{"country":"US"}`), ReasonForbidden, "place"},
		"resolver":       {with(`"resolver":{}`), ReasonForbidden, "resolver"},
	}
}

// TestMostProbes is apart since the test fleet has not as many targets.
func TestMostProbes(t *testing.T) {
	fleet := testFleet()
	for i := range MaxProbes {
		fleet.PoPs = append(fleet.PoPs, edge.PoP{ID: edge.PoPID(fmt.Sprintf("p%d", i))})
	}
	d := Decoder{Names: NewNames(fleet)}
	var body strings.Builder
	body.WriteString(`{"v":1,"id":"x","rate":1,"probes":[{"target":"pop:p0","error":"net"}`)
	for i := 1; i < MaxProbes; i++ {
		body.WriteString(fmt.Sprintf(`,{"target":"pop:p%d","error":"net"}`, i))
	}
	if err := d.Body([]byte(body.String() + "]}")); err != nil {
		t.Error(err)
	}
	err := d.Body([]byte(body.String() + `,{"target":"unicast","error":"net"}]}`))
	var e *Error
	if !errors.As(err, &e) || e.Reason != ReasonCount || e.Field != "probes" {
		t.Errorf("%v, want probes refused by count", err)
	}
}

func TestRefusedBodies(t *testing.T) {
	d := Decoder{Names: NewNames(testFleet())}
	for name, c := range refusedBodies() {
		err := d.Body([]byte(c.body))
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("%s: %v is not refused", name, err)
			continue
		}
		if e.Reason != c.reason || e.Field != c.field || e.Detail == "" {
			t.Errorf("%s: %s at %q (%s), want %s at %q", name, e.Reason, e.Field, e.Detail, c.reason, c.field)
		}
	}
	if n := len(d.Beacons()); n != 0 {
		t.Errorf("%d beacons are left of refused bodies", n)
	}
}

func TestRefusedLines(t *testing.T) {
	d := Decoder{Names: NewNames(testFleet())}
	f := func(from, to string, reason Reason, field string) {
		t.Helper()
		line := strings.Replace(typicalRelay, from, to, 1)
		if line == typicalRelay {
			t.Fatalf("%s is not in the line", from)
		}
		var e *Error
		if err := d.Line([]byte(line)); !errors.As(err, &e) {
			t.Errorf("%s: not refused", to)
		} else if e.Reason != reason || e.Field != field {
			t.Errorf("%s: %s at %s (%s), want %s at %s", to, e.Reason, e.Field, e.Detail, reason, field)
		}
	}
	f(`"client":"203.0.113.7",`, ``, ReasonMissing, "client")
	f(`"received":"2026-11-01T12:00:00.123Z",`, ``, ReasonMissing, "received")
	f(`"203.0.113.7"`, `"203.0.113"`, ReasonValue, "client")
	f(`"203.0.113.7"`, `"203.0.113.7:80"`, ReasonValue, "client")
	f(`"203.0.113.7"`, `"fe80::1%eth0"`, ReasonValue, "client")
	f(`"203.0.113.7"`, `"::ffff:203.0.113.0/120"`, ReasonValue, "client")
	f(`"203.0.113.7"`, `"203.0.113.0/33"`, ReasonValue, "client")
	f(`"203.0.113.7"`, `""`, ReasonValue, "client")
	f(`"203.0.113.7"`, `"`+strings.Repeat("1", 5000)+`"`, ReasonValue, "client")
	f(`2026-11-01T12:00:00.123Z`, `2026-11-01 12:00:00`, ReasonValue, "received")
	f(`2026-11-01T12:00:00.123Z`, `9999-11-01T12:00:00Z`, ReasonRange, "received")
	f(`"2026-11-01T12:00:00.123Z"`, `1790000000`, ReasonType, "received")
	f(`"US"`, `"us"`, ReasonValue, "place.country")
	f(`"US"`, `"USA"`, ReasonValue, "place.country")
	f(`"Example"`, `"Exam\u0007ple"`, ReasonValue, "place.as_name")
	f(`64496`, `4294967296`, ReasonRange, "place.asn")
	f(`41.8`, `91`, ReasonRange, "place.lat")
	f(`-87.6`, `-180.5`, ReasonRange, "place.lon")
	f(`"asn"`, `"AS"`, ReasonUnknown, "place.AS")
	f(`"addr"`, `"address"`, ReasonUnknown, "resolver.address")
	f(`"203.0.113.0/24"`, `"203.0.113.0/"`, ReasonValue, "resolver.ecs")
	f(typicalRelay, "["+typicalRelay+"]", ReasonType, "")
}

// TestDecodeAllocations holds the decoder to its promise.
func TestDecodeAllocations(t *testing.T) {
	d := Decoder{Names: NewNames(testFleet())}
	body := []byte(typical)
	n := testing.AllocsPerRun(100, func() {
		d.Reset()
		if err := d.Body(body); err != nil {
			t.Fatal(err)
		}
	})
	if n > 1 { // the id; this one has no plan
		t.Errorf("%v allocations for a beacon, want 1", n)
	}
}

func TestDerive(t *testing.T) {
	f := func(p edge.Probe, rtt float64, flags ...string) {
		t.Helper()
		b := edge.Beacon{Probes: []edge.Probe{p}}
		Derive(&b)
		if got := b.Probes[0]; got.RTT != rtt || !cmp.Equal(got.Flags, flags) {
			t.Errorf("rtt %v flags %v, want %v %v", got.RTT, got.Flags, rtt, flags)
		}
	}
	type probe = edge.Probe
	ms := func(v ...float64) []float64 { return v }
	f(probe{RTT: 18.7}, 18.7)
	f(probe{RTT: 1, Warm: ms(18.9, 18.7, 19.4), Srv: 0.05}, 18.65)
	f(probe{RTT: 1, Warm: ms(18.9, 18.7), Cold: ms(11, 18.1, 20), Srv: 0.05}, 18.1)
	f(probe{RTT: 1, Cold: ms(11, 18.1, 20)}, 18.1)
	f(probe{RTT: 1, Cold: ms(11)}, 1)
	f(probe{RTT: 7, Warm: ms(30), Cold: ms(11, 0, 0)}, 30)                                             // no connect: reused
	f(probe{RTT: 7, Warm: ms(30), Cold: ms(0, 14.9, 0)}, 30, "split")                                  // under half and 10 ms
	f(probe{RTT: 7, Warm: ms(30), Cold: ms(0, 15, 0)}, 15)                                             // exactly half
	f(probe{RTT: 7, Warm: ms(15), Cold: ms(0, 5, 0)}, 5)                                               // exactly 10 ms
	f(probe{RTT: 7, Warm: ms(15), Cold: ms(0, 4.9, 0)}, 15, "split")                                   //
	f(probe{RTT: 7, Warm: ms(30), Cold: ms(0, 1, 0), Flags: []string{"split"}}, 30, "split")           // said already
	f(probe{RTT: 7, Warm: ms(82), Cold: ms(0, 7.6, 0), MRTT: 5.1, Flags: []string{"split"}}, 7.6)      // the kernel agrees: a busy browser
	f(probe{RTT: 7, Warm: ms(82), Cold: ms(0, 7.6, 0), MRTT: 70}, 82, "split")                         // it does not: a proxy on the way
	f(probe{RTT: 7, Warm: ms(0, 1), Srv: 0.4}, 0.01)                                                   // a coarse clock saw nothing
	f(probe{RTT: 7, Warm: ms(2), Srv: 2, Cold: ms(0, 2, 0)}, 0.01)                                     //
	f(probe{RTT: 7, Warm: ms(40.1, 40.3), Srv: 0.3, Cold: ms(0, 39.7, 0)}, 39.7)                       //
	f(probe{RTT: 7, Warm: ms(40.1), Srv: 20, Cold: ms(0, 12, 0), Flags: []string{"flip"}}, 12, "flip") // server time is not distance
}
