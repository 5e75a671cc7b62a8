package edge

import (
	"net/netip"
	"testing"
	"time"
)

func TestAskedJSON(t *testing.T) {
	f := func(a Asked, want string) {
		t.Helper()
		if got := string(a.AppendJSON(nil)); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	at := time.Unix(1790000000, 999).UTC()
	f(Asked{Nonce: "4k", Label: "unicast", At: at, Resolver: netip.MustParsePrefix("198.51.100.0/24")},
		`{"nonce":"4k","label":"unicast","t":1790000000,"resolver":"198.51.100.0/24"}`)
	f(Asked{Nonce: "4k", Label: "pop-iad", At: at, Resolver: netip.MustParsePrefix("2001:db8::/48"), Client: netip.MustParsePrefix("203.0.113.0/24")},
		`{"nonce":"4k","label":"pop-iad","t":1790000000,"resolver":"2001:db8::/48","client":"203.0.113.0/24"}`)
}
