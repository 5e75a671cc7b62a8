package edge

import (
	"net/netip"
	"strconv"
	"time"
)

// Asked is one query for a probe name, as a name server saw it: who asked for
// which page view. Addresses are truncated before it is made, to a /24 or /48
// or shorter. Its JSON form is
//
//	{"nonce":"4k…","label":"unicast","t":1790000000,"resolver":"198.51.100.0/24","client":"203.0.113.0/24"}
type Asked struct {
	Nonce    string       // what makes the name unique: the leftmost label without Label and the hyphen
	Label    string       // what the probe asks for: "unicast", "pop-iad"
	At       time.Time    // whole seconds in JSON
	Resolver netip.Prefix // who asked
	Client   netip.Prefix // whom it asked for (ECS, RFC 7871); zero: it did not say
}

// AppendJSON appends the JSON form of a to dst, without a line feed.
func (a *Asked) AppendJSON(dst []byte) []byte {
	dst = appendString(append(dst, `{"nonce":`...), a.Nonce)
	dst = appendString(append(dst, `,"label":`...), a.Label)
	dst = strconv.AppendInt(append(dst, `,"t":`...), a.At.Unix(), 10)
	dst = appendPrefix(append(dst, `,"resolver":`...), a.Resolver)
	if a.Client.IsValid() {
		dst = appendPrefix(append(dst, `,"client":`...), a.Client)
	}
	return append(dst, '}')
}
