package edge

import "testing"

func TestParseCommunity(t *testing.T) {
	good := func(s string, want Community) {
		t.Helper()
		c, err := ParseCommunity(s)
		if err != nil || c != want || c.String() != s {
			t.Errorf("ParseCommunity(%q) = %+v (%s), %v; want %+v", s, c, c, err, want)
		}
	}
	good("64496:100", StandardCommunity(64496, 100))
	good("65535:0", GracefulShutdown)
	good("0:65535", StandardCommunity(0, 65535))
	good("65536:1:4294967295", Community{Large: true, Parts: [3]uint32{65536, 1, 4294967295}})

	for _, s := range []string{"", ":", "1", "1:", "a:1", "65536:1", "1:65536", "-1:2", "01:2", "1:2:3:4", "4294967296:1:2", "1: 2", "no-export"} {
		if c, err := ParseCommunity(s); err == nil {
			t.Errorf("ParseCommunity(%q) = %v, want an error", s, c)
		}
	}
	if v := StandardCommunity(65535, 666).Value(); v != 0xffff029a {
		t.Errorf("Value of 65535:666 = %#x", v)
	}
	order := []Community{StandardCommunity(1, 9), StandardCommunity(2, 0), {Large: true}, {Large: true, Parts: [3]uint32{0, 0, 1}}}
	for i, a := range order {
		for j, b := range order {
			if got := a.Compare(b); got < 0 != (i < j) || got > 0 != (i > j) {
				t.Errorf("%v compared with %v: %d", a, b, got)
			}
		}
	}
}
