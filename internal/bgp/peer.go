package bgp

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"time"

	"github.com/osrg/gobgp/v4/api"
	"github.com/osrg/gobgp/v4/pkg/apiutil"
	"github.com/osrg/gobgp/v4/pkg/server"
)

// prepare makes the speaker, with its policies, without the neighbor. All are
// prepared, one after the other, before the first is used: the library keeps
// some of their options in common.
func (s *session) prepare(ctx context.Context) error {
	level := new(slog.LevelVar)
	level.Set(slog.LevelDebug)
	s.server = server.NewBgpServer(server.LoggerOption(slog.New(trace{s}), level))
	go s.server.Serve()
	global := &api.Global{Asn: s.cfg.ASN, RouterId: s.cfg.RouterID.String(), ListenPort: -1}
	// With tables for all the families that the library knows, a session took
	// 9 MB; with these two it takes 1. The numbers are the library's own: IPv4
	// and IPv6 unicast.
	global.Families = []uint32{0, 1}
	if s.n.Passive {
		global.ListenPort, global.ListenAddresses = int32(s.cfg.ListenPort), []string{s.n.LocalAddress.String()}
	}
	if err := s.server.StartBgp(ctx, &api.StartBgpRequest{Global: global}); err != nil {
		return fmt.Errorf("bgp: neighbor %v: %w", s.n.Address, err)
	}
	return denyAllButOwn(ctx, s.server, s.cfg.Prefixes)
}

func (s *session) start(ctx context.Context) error {
	s.started = time.Now()
	if err := s.server.AddPeer(ctx, &api.AddPeerRequest{Peer: s.peer()}); err != nil {
		return fmt.Errorf("bgp: neighbor %v: %w", s.n.Address, err)
	}
	s.peered = true
	return nil
}

func (s *session) startAgain(ctx context.Context) error {
	if s.peered {
		if err := s.server.DeletePeer(ctx, &api.DeletePeerRequest{Address: s.n.Address.String()}); err != nil {
			return fmt.Errorf("bgp: neighbor %v: %w", s.n.Address, err)
		}
		s.peered = false
	}
	return s.start(ctx)
}

func (s *session) peer() *api.Peer {
	p := &api.Peer{
		Conf: &api.PeerConf{NeighborAddress: s.n.Address.String(), PeerAsn: s.n.ASN, LocalAsn: s.cfg.ASN, AuthPassword: s.key},
		Timers: &api.Timers{Config: &api.TimersConfig{
			ConnectRetry: 1, IdleHoldTimeAfterReset: 1, // the library's defaults make the first route wait for minutes
			HoldTime: uint64(s.cfg.Hold / time.Second), KeepaliveInterval: uint64(s.cfg.Keepalive / time.Second),
		}},
		Transport: &api.Transport{PassiveMode: s.n.Passive, RemotePort: uint32(s.n.Port)},
		// Never GracefulRestart: with it a PoP that died keeps its users for the
		// whole restart time, by the default settings of BIRD and FRR.
	}
	if s.n.LocalAddress.IsValid() {
		p.Transport.LocalAddress = s.n.LocalAddress.String()
	}
	if s.n.TTLSecurity {
		p.TtlSecurity = &api.TtlSecurity{Enabled: true, TtlMin: 255}
	}
	if s.n.Multihop > 0 {
		p.EbgpMultihop = &api.EbgpMultihop{Enabled: true, MultihopTtl: uint32(s.n.Multihop)}
	}
	for _, f := range s.families() {
		af := &api.AfiSafi{Config: &api.AfiSafiConfig{Family: f, Enabled: true}}
		if s.n.MaxReceived > 0 {
			af.PrefixLimits = &api.PrefixLimit{Family: f, MaxPrefixes: uint32(s.n.MaxReceived)}
		}
		p.AfiSafis = append(p.AfiSafis, af)
	}
	return p
}

func (s *session) families() []*api.Family {
	var f []*api.Family
	if s.n.carries(netip.PrefixFrom(netip.IPv4Unspecified(), 0)) {
		f = append(f, &api.Family{Afi: api.Family_AFI_IP, Safi: api.Family_SAFI_UNICAST})
	}
	if s.n.carries(netip.PrefixFrom(netip.IPv6Unspecified(), 0)) {
		f = append(f, &api.Family{Afi: api.Family_AFI_IP6, Safi: api.Family_SAFI_UNICAST})
	}
	return f
}

func (s *session) install(wanted map[netip.Prefix]Announcement) error {
	var add, remove []*apiutil.Path
	for prefix, a := range wanted {
		if old, ok := s.installed[prefix]; ok && old.equal(a) {
			continue
		}
		p, err := a.path(s.cfg.ASN)
		if err != nil {
			return err
		}
		add = append(add, p)
	}
	for prefix, a := range s.installed {
		if _, ok := wanted[prefix]; !ok {
			p, err := a.path(s.cfg.ASN)
			if err != nil {
				return err
			}
			remove = append(remove, p)
		}
	}
	if len(add) > 0 {
		if _, err := s.server.AddPath(apiutil.AddPathRequest{Paths: add}); err != nil {
			return fmt.Errorf("bgp: neighbor %v: announce: %w", s.n.Address, err)
		}
	}
	if len(remove) > 0 {
		if err := s.server.DeletePath(apiutil.DeletePathRequest{Paths: remove}); err != nil {
			return fmt.Errorf("bgp: neighbor %v: withdraw: %w", s.n.Address, err)
		}
	}
	s.installed = maps.Clone(wanted)
	return nil
}
