package edge

import (
	"math"
	"net/netip"
	"strconv"
	"time"
	"unicode/utf8"
)

// AppendJSON appends b to dst as one JSON object without a line feed: what
// encoding/json makes of it, at a fraction of the cost. It differs where that
// would fail or not be a beacon: numbers that JSON cannot express (NaN, ±Inf)
// are left out as not measured, the rate becoming 0, and probes are never
// null. It does not allocate while dst has room.
func (b *Beacon) AppendJSON(dst []byte) []byte {
	dst = append(dst, `{"v":`...)
	dst = strconv.AppendInt(dst, int64(b.V), 10)
	dst = append(dst, `,"id":`...)
	dst = appendString(dst, b.ID)
	dst = text(dst, `,"plan":`, b.Plan)
	if b.Time != 0 {
		dst = append(dst, `,"t":`...)
		dst = strconv.AppendInt(dst, b.Time, 10)
	}
	dst = append(dst, `,"rate":`...)
	dst = appendNumber(dst, b.Rate)
	dst = b.Page.append(dst)
	dst = append(dst, `,"probes":[`...)
	for i := range b.Probes {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = b.Probes[i].append(dst)
	}
	dst = append(dst, ']')
	if b.Net.Type != "" {
		dst = append(dst, `,"net":{"type":`...)
		dst = appendString(dst, b.Net.Type)
		dst = append(dst, '}')
	}
	dst = texts(dst, `,"flags":[`, b.Flags)
	if b.Client != (netip.Prefix{}) {
		dst = appendPrefix(append(dst, `,"client":`...), b.Client)
	}
	if !b.Received.IsZero() {
		dst = append(dst, `,"received":"`...)
		dst = b.Received.AppendFormat(dst, time.RFC3339Nano)
		dst = append(dst, '"')
	}
	dst = b.Place.append(dst)
	dst = b.Resolver.append(dst)
	return append(dst, '}')
}

func (p *Page) append(dst []byte) []byte {
	if *p == (Page{}) {
		return dst
	}
	dst = append(dst, `,"page":{`...)
	start := len(dst)
	dst = text(dst, `,"pop":`, p.PoP)
	dst = text(dst, `,"vip":`, p.VIP)
	dst = number(dst, `,"dns":`, p.DNS)
	dst = number(dst, `,"connect":`, p.Connect)
	dst = number(dst, `,"tls":`, p.TLS)
	dst = number(dst, `,"ttfb":`, p.TTFB)
	dst = number(dst, `,"load":`, p.Load)
	return closeObject(dst, start)
}

func (p *Probe) append(dst []byte) []byte {
	dst = append(dst, `{"target":`...)
	dst = appendString(dst, p.Target)
	dst = text(dst, `,"pop":`, p.PoP)
	dst = text(dst, `,"vip":`, p.VIP)
	dst = number(dst, `,"rtt":`, p.RTT)
	dst = numbers(dst, `,"warm":[`, p.Warm)
	dst = numbers(dst, `,"cold":[`, p.Cold)
	dst = number(dst, `,"srv":`, p.Srv)
	dst = number(dst, `,"mrtt":`, p.MRTT)
	dst = text(dst, `,"proto":`, p.Proto)
	if p.AF != 0 {
		dst = append(dst, `,"af":`...)
		dst = strconv.AppendInt(dst, int64(p.AF), 10)
	}
	if p.Status != 0 {
		dst = append(dst, `,"status":`...)
		dst = strconv.AppendInt(dst, int64(p.Status), 10)
	}
	dst = text(dst, `,"error":`, p.Error)
	dst = texts(dst, `,"served":[`, p.Served)
	dst = texts(dst, `,"flags":[`, p.Flags)
	return append(dst, '}')
}

func (p *Place) append(dst []byte) []byte {
	if *p == (Place{}) {
		return dst
	}
	dst = append(dst, `,"place":{`...)
	start := len(dst)
	dst = text(dst, `,"continent":`, p.Continent)
	dst = text(dst, `,"country":`, p.Country)
	dst = text(dst, `,"subdivision":`, p.Subdivision)
	dst = text(dst, `,"city":`, p.City)
	if p.ASN != 0 {
		dst = append(dst, `,"asn":`...)
		dst = strconv.AppendUint(dst, uint64(p.ASN), 10)
	}
	dst = text(dst, `,"as_name":`, p.ASName)
	dst = number(dst, `,"lat":`, p.Lat)
	dst = number(dst, `,"lon":`, p.Lon)
	return closeObject(dst, start)
}

func (r *Resolver) append(dst []byte) []byte {
	if *r == (Resolver{}) {
		return dst
	}
	dst = append(dst, `,"resolver":{`...)
	start := len(dst)
	if r.Addr != (netip.Prefix{}) {
		dst = appendPrefix(append(dst, `,"addr":`...), r.Addr)
	}
	if r.ECS != (netip.Prefix{}) {
		dst = appendPrefix(append(dst, `,"ecs":`...), r.ECS)
	}
	return closeObject(dst, start)
}

// closeObject ends an object whose fields, each with a comma before it, begin
// at start: the first comma goes.
func closeObject(dst []byte, start int) []byte {
	if len(dst) > start {
		copy(dst[start:], dst[start+1:])
		dst = dst[:len(dst)-1]
	}
	return append(dst, '}')
}

func text[S ~string](dst []byte, key string, s S) []byte {
	if s == "" {
		return dst
	}
	return appendString(append(dst, key...), s)
}

func texts[S ~string](dst []byte, key string, list []S) []byte {
	if len(list) == 0 {
		return dst
	}
	dst = append(dst, key...)
	for i, s := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(dst, s)
	}
	return append(dst, ']')
}

func number(dst []byte, key string, f float64) []byte {
	if f == 0 || f-f != 0 { // NaN and ±Inf
		return dst
	}
	return appendNumber(append(dst, key...), f)
}

func numbers(dst []byte, key string, list []float64) []byte {
	if len(list) == 0 {
		return dst
	}
	dst = append(dst, key...)
	for i, f := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendNumber(dst, f)
	}
	return append(dst, ']')
}

// appendNumber appends the shortest decimal that is read as f again. Most
// durations have one digit after the point and coordinates up to five: those
// need no search. A quotient of two integers that are exact is the float
// nearest to that decimal, and of at most 15 digits no two decimals share one.
func appendNumber(dst []byte, f float64) []byte {
	const simple = 1e9 // so that 1e5 times it has 15 digits at most
	size := math.Abs(f)
	if !(size < simple) {
		if f-f != 0 { // NaN and ±Inf
			return append(dst, '0')
		}
		return strconv.AppendFloat(dst, f, 'e', -1, 64)
	}
	if f < 0 {
		dst = append(dst, '-')
	}
	fine := int64(size*1e5 + 0.5)
	if float64(fine)/1e5 != size {
		return strconv.AppendFloat(dst, size, 'f', -1, 64)
	}
	whole, r := uint32(fine/1e5), uint32(fine%1e5)
	dst = appendUint(dst, whole)
	if r == 0 {
		return dst
	}
	if r%10000 == 0 {
		return append(dst, '.', byte('0'+r/10000))
	}
	dst = append(dst, '.', byte('0'+r/10000), byte('0'+r/1000%10), byte('0'+r/100%10), byte('0'+r/10%10), byte('0'+r%10))
	for dst[len(dst)-1] == '0' {
		dst = dst[:len(dst)-1]
	}
	return dst
}

// appendUint is strconv.AppendUint, quicker for up to three digits.
func appendUint(dst []byte, n uint32) []byte {
	if n >= uint32(len(upTo999)) {
		return strconv.AppendUint(dst, uint64(n), 10)
	}
	d := &upTo999[n]
	return append(dst, d[0], d[1], d[2])[:len(dst)+int(d[3])]
}

// upTo999 are the digits of numbers, and how many they are.
var upTo999 = func() (t [1000][4]byte) {
	for n := range t {
		t[n][3] = byte(copy(t[n][:3], strconv.Itoa(n)))
	}
	return t
}()

func appendPrefix(dst []byte, p netip.Prefix) []byte {
	return append(p.AppendTo(append(dst, '"')), '"')
}

// appendString appends s in quotes. Invalid UTF-8 becomes U+FFFD.
func appendString[S ~string](dst []byte, s S) []byte {
	for i := range len(s) {
		if !asItIs[s[i]] {
			return appendEscaped(dst, string(s))
		}
	}
	return append(append(append(dst, '"'), s...), '"')
}

// asItIs are the bytes that stand for themselves in a JSON string.
var asItIs = func() (t [256]bool) {
	for c := ' '; c < utf8.RuneSelf; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

// appendEscaped is appendString for what needs a closer look.
func appendEscaped(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for i, r := range s {
		switch {
		case r >= utf8.RuneSelf:
			dst = utf8.AppendRune(dst, r) // U+FFFD for what is no UTF-8
		case r == '"' || r == '\\':
			dst = append(dst, '\\', s[i])
		case r < ' ':
			dst = append(dst, '\\', 'u', '0', '0', hex[r>>4], hex[r&15])
		default:
			dst = append(dst, s[i])
		}
	}
	return append(dst, '"')
}
