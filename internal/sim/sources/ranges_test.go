package sources

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseRange(t *testing.T) {
	f := func(from, to string, family int, first, last uint64) {
		t.Helper()
		gotFamily, gotFirst, gotLast, err := parseRange([]byte(from), []byte(to))
		if err != nil || gotFamily != family || gotFirst != first || gotLast != last {
			t.Errorf("%s to %s: family %d, %#x to %#x, error %v", from, to, gotFamily, gotFirst, gotLast, err)
		}
	}
	f("192.0.2.0", "192.0.2.255", v4, 0xc0000200, 0xc00002ff)
	f("3221225984", "3221226239", v4, 0xc0000200, 0xc00002ff)
	f("0.0.0.0", "255.255.255.255", v4, 0, math.MaxUint32)
	f("::ffff:192.0.2.1", "192.0.2.2", v4, 0xc0000201, 0xc0000202)
	f("2001:db8::", "2001:db8:0:ffff:ffff:ffff:ffff:ffff", v6, 0x20010db8_00000000, 0x20010db8_0000ffff)
	f("42540766411282592856903984951653826560", "42540766411282592949137705320201584640", v6, 0x20010db8_00000000, 0x20010db8_00000005)
	f("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", v6, 0, math.MaxUint64)

	bad := func(from, to, want string) {
		t.Helper()
		if _, _, _, err := parseRange([]byte(from), []byte(to)); err == nil || err.Error() != want {
			t.Errorf("%s to %s: error %v\nwant %s", from, to, err, want)
		}
	}
	bad("192.0.2.9", "192.0.2.1", `"192.0.2.9" comes after "192.0.2.1"`)
	bad("2001:db8::1", "2001:db8::", `"2001:db8::1" comes after "2001:db8::"`)
	bad("192.0.2.9", "2001:db8::", `"192.0.2.9" and "2001:db8::" are of different families`)
	for _, s := range []string{"", "192.0.2", "192.0.2.256", "192.0.02.1", "192.0.2.1.", "1.2.3.4.5", "fe80::1%eth0", "x", "-1", "340282366920938463463374607431768211456", "999999999999999999999999999999999999999999"} {
		bad(s, "192.0.2.1", quote([]byte(s))+" is not an address (want such as 192.0.2.1, 2001:db8::1 or 3221225985)")
	}
}

func TestDisjoint(t *testing.T) {
	f := func(want ranges, spans ...span) {
		t.Helper()
		if d := cmp.Diff(want, ranges(spans).disjoint(), cmp.AllowUnexported(span{})); d != "" {
			t.Errorf("%v: (-want +got)\n%s", spans, d)
		}
	}
	f(nil)
	f(ranges{{1, 5, 1}, {6, 9, 2}}, span{1, 5, 1}, span{6, 9, 2})
	f(ranges{{1, 5, 1}, {6, 9, 2}}, span{6, 9, 2}, span{1, 5, 1})
	f(ranges{{1, 2, 1}, {3, 4, 2}, {5, 9, 1}}, span{1, 9, 1}, span{3, 4, 2})
	f(ranges{{1, 3, 2}, {4, 9, 1}}, span{1, 9, 1}, span{1, 3, 2})
	f(ranges{{1, 3, 1}, {4, 9, 2}}, span{1, 5, 1}, span{4, 9, 2})
	f(ranges{{1, 5, 2}}, span{1, 5, 1}, span{1, 5, 2})
	f(ranges{{0, 1, 1}, {2, math.MaxUint64 - 1, 2}, {math.MaxUint64, math.MaxUint64, 3}},
		span{0, math.MaxUint64, 1}, span{2, math.MaxUint64, 2}, span{math.MaxUint64, math.MaxUint64, 3})
}

// TestDisjointRandom compares with painting, the last brush over the others.
func TestDisjointRandom(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		var spans ranges
		for i := range rnd.IntN(8) {
			first := rnd.Uint64N(20)
			spans = append(spans, span{first, first + rnd.Uint64N(20), uint32(i + 1)})
		}
		var want, got [64]uint32
		for at := range want {
			best := -1
			for i, s := range spans {
				if s.first > uint64(at) || s.last < uint64(at) {
					continue
				}
				if best < 0 || s.first > spans[best].first || s.first == spans[best].first && s.last <= spans[best].last {
					best = i
				}
			}
			if best >= 0 {
				want[at] = spans[best].value
			}
		}
		next := uint64(0)
		for _, s := range spans.disjoint() {
			if s.first < next || s.last < s.first {
				t.Fatalf("%v: overlap at %v", spans, s)
			}
			next = s.last + 1
			for at := s.first; at <= s.last; at++ {
				got[at] = s.value
			}
		}
		if got != want {
			t.Fatalf("%v\ngot  %v\nwant %v", spans, got, want)
		}
	}
}

func TestRangesMerge(t *testing.T) {
	var r ranges
	for _, s := range []span{{1, 2, 7}, {3, 4, 7}, {6, 6, 7}, {7, 8, 8}, {9, math.MaxUint64, 8}, {0, 0, 8}} {
		r.add(s)
	}
	want := ranges{{1, 4, 7}, {6, 6, 7}, {7, math.MaxUint64, 8}, {0, 0, 8}}
	if d := cmp.Diff(want, r, cmp.AllowUnexported(span{})); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

func TestNearest(t *testing.T) {
	n := newNearest(testCities())
	f := func(lat, lon float64, want int) {
		t.Helper()
		for range 2 { // the second time from the cache
			if got := n.metro(lat, lon); int(got) != want {
				t.Errorf("%v, %v: metro %d (want %d)", lat, lon, got, want)
			}
		}
	}
	f(47.60, 7.66, basel) // Lörrach, in another country
	f(43.04, -87.91, chicago)
	f(51.45, -2.59, london)
	f(-36.85, 174.76, chicago) // Auckland is nearer to it over the Pacific
	f(90, 0, london)
}
