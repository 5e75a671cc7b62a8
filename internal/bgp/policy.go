package bgp

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/osrg/gobgp/v4/api"
	"github.com/osrg/gobgp/v4/pkg/server"
)

// denyAllButOwn sets the policies of RFC 8212, which the library lacks: in both
// directions nothing passes but what was originated here and is exactly one of
// our prefixes. The import policy sees our own routes, too, and would drop them
// without the statement.
//
// It comes before the first neighbor. What a neighbor sends is thus never used,
// and, since each session has a table of its own, could not reach another
// neighbor even if it were: the PoP cannot become anyone's transit.
func denyAllButOwn(ctx context.Context, s *server.BgpServer, own []netip.Prefix) error {
	sets := map[string][]*api.Prefix{} // a set holds one family; an empty one is not made, lest it match all
	for _, p := range own {
		name := "own4"
		if p.Addr().Is6() {
			name = "own6"
		}
		bits := uint32(p.Bits())
		sets[name] = append(sets[name], &api.Prefix{IpPrefix: p.String(), MaskLengthMin: bits, MaskLengthMax: bits})
	}
	var statements []*api.Statement
	for _, name := range []string{"own4", "own6"} {
		prefixes, ok := sets[name]
		if !ok {
			continue
		}
		set := &api.DefinedSet{DefinedType: api.DefinedType_DEFINED_TYPE_PREFIX, Name: name, Prefixes: prefixes}
		if err := s.AddDefinedSet(ctx, &api.AddDefinedSetRequest{DefinedSet: set}); err != nil {
			return fmt.Errorf("bgp: prefix set %s: %w", name, err)
		}
		statements = append(statements, &api.Statement{
			Name: name,
			Conditions: &api.Conditions{
				PrefixSet: &api.MatchSet{Type: api.MatchSet_TYPE_ANY, Name: name},
				RouteType: api.Conditions_ROUTE_TYPE_LOCAL,
			},
			Actions: &api.Actions{RouteAction: api.RouteAction_ROUTE_ACTION_ACCEPT},
		})
	}
	policy := &api.Policy{Name: "own", Statements: statements}
	if err := s.AddPolicy(ctx, &api.AddPolicyRequest{Policy: policy}); err != nil {
		return fmt.Errorf("bgp: policy: %w", err)
	}
	for _, direction := range []api.PolicyDirection{api.PolicyDirection_POLICY_DIRECTION_IMPORT, api.PolicyDirection_POLICY_DIRECTION_EXPORT} {
		err := s.SetPolicyAssignment(ctx, &api.SetPolicyAssignmentRequest{Assignment: &api.PolicyAssignment{
			Name:          "global",
			Direction:     direction,
			Policies:      []*api.Policy{{Name: "own"}},
			DefaultAction: api.RouteAction_ROUTE_ACTION_REJECT,
		}})
		if err != nil {
			return fmt.Errorf("bgp: policy assignment: %w", err)
		}
	}
	return nil
}
