package edge

import (
	"fmt"
	"strconv"
	"strings"
)

// Community is a BGP community, a mark on a route that a neighbor's policy acts
// on: a standard one (RFC 1997), written 64496:100, or a large one (RFC 8092),
// written 64496:1:2.
type Community struct {
	Large bool
	Parts [3]uint32 // a standard one has two, of 16 bits each
}

var (
	// GracefulShutdown asks a neighbor to prefer any other route (RFC 8326).
	GracefulShutdown = StandardCommunity(65535, 0)
	// Blackhole asks it to drop all that is sent there (RFC 7999).
	Blackhole = StandardCommunity(65535, 666)
)

// StandardCommunity is the community written high:low.
func StandardCommunity(high, low uint16) Community {
	return Community{Parts: [3]uint32{uint32(high), uint32(low)}}
}

// ParseCommunity reads 64496:100 or 64496:1:2.
func ParseCommunity(s string) (Community, error) {
	parts := strings.Split(s, ":")
	if len(parts) != 2 && len(parts) != 3 {
		return Community{}, fmt.Errorf("edge: %q is not a BGP community (want one such as 64496:100 or 64496:1:2)", s)
	}
	c, bits := Community{Large: len(parts) == 3}, 16
	if c.Large {
		bits = 32
	}
	for i, p := range parts {
		n, err := strconv.ParseUint(p, 10, bits)
		if err != nil || strconv.FormatUint(n, 10) != p {
			return Community{}, fmt.Errorf("edge: %q is not a BGP community: %q is not a number of %d bits", s, p, bits)
		}
		c.Parts[i] = uint32(n)
	}
	return c, nil
}

func (c Community) String() string {
	if c.Large {
		return fmt.Sprintf("%d:%d:%d", c.Parts[0], c.Parts[1], c.Parts[2])
	}
	return fmt.Sprintf("%d:%d", c.Parts[0], c.Parts[1])
}

// Value is a standard community's 32 bits.
func (c Community) Value() uint32 { return c.Parts[0]<<16 | c.Parts[1]&0xffff }

// Compare orders communities: standard ones first, then by number.
func (c Community) Compare(d Community) int {
	if c.Large != d.Large {
		if d.Large {
			return -1
		}
		return 1
	}
	for i := range c.Parts {
		if c.Parts[i] != d.Parts[i] {
			if c.Parts[i] < d.Parts[i] {
				return -1
			}
			return 1
		}
	}
	return 0
}
