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
	sets, policy := ownPolicy(own)
	for _, set := range sets {
		if err := s.AddDefinedSet(ctx, &api.AddDefinedSetRequest{DefinedSet: set}); err != nil {
			return fmt.Errorf("bgp: prefix set %s: %w", set.Name, err)
		}
	}
	if err := s.AddPolicy(ctx, &api.AddPolicyRequest{Policy: policy}); err != nil {
		return fmt.Errorf("bgp: policy: %w", err)
	}
	for _, direction := range []api.PolicyDirection{api.PolicyDirection_POLICY_DIRECTION_IMPORT, api.PolicyDirection_POLICY_DIRECTION_EXPORT} {
		err := s.SetPolicyAssignment(ctx, &api.SetPolicyAssignmentRequest{Assignment: &api.PolicyAssignment{
			Name:          "global",
			Direction:     direction,
			Policies:      []*api.Policy{{Name: policy.Name}},
			DefaultAction: api.RouteAction_ROUTE_ACTION_REJECT,
		}})
		if err != nil {
			return fmt.Errorf("bgp: policy assignment: %w", err)
		}
	}
	return nil
}

// allowOwn replaces the prefixes of denyAllButOwn in a speaker that runs, whose
// sessions stay as they are. Routes that it has stay until they are deleted.
func allowOwn(ctx context.Context, s *server.BgpServer, own []netip.Prefix) error {
	sets, policy := ownPolicy(own)
	if err := s.SetPolicies(ctx, &api.SetPoliciesRequest{DefinedSets: sets, Policies: []*api.Policy{policy}}); err != nil {
		return fmt.Errorf("bgp: policy: %w", err)
	}
	return nil
}

func ownPolicy(own []netip.Prefix) ([]*api.DefinedSet, *api.Policy) {
	var sets []*api.DefinedSet // a set holds one family; an empty one is not made, lest it match all
	policy := &api.Policy{Name: "own"}
	for _, family := range []struct {
		name string
		has  func(netip.Addr) bool
	}{{"own4", netip.Addr.Is4}, {"own6", netip.Addr.Is6}} {
		set := &api.DefinedSet{DefinedType: api.DefinedType_DEFINED_TYPE_PREFIX, Name: family.name}
		for _, p := range own {
			if bits := uint32(p.Bits()); family.has(p.Addr()) {
				set.Prefixes = append(set.Prefixes, &api.Prefix{IpPrefix: p.String(), MaskLengthMin: bits, MaskLengthMax: bits})
			}
		}
		if len(set.Prefixes) == 0 {
			continue
		}
		sets = append(sets, set)
		policy.Statements = append(policy.Statements, &api.Statement{
			Name: family.name,
			Conditions: &api.Conditions{
				PrefixSet: &api.MatchSet{Type: api.MatchSet_TYPE_ANY, Name: family.name},
				RouteType: api.Conditions_ROUTE_TYPE_LOCAL,
			},
			Actions: &api.Actions{RouteAction: api.RouteAction_ROUTE_ACTION_ACCEPT},
		})
	}
	return sets, policy
}
