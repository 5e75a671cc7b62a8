package world

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"catchment/lab/delay"
)

// World is a topology that runs.
type World struct {
	Topology *Topology
	Routers  map[string]*Router // by network
	PoPs     map[string]*Site
	Hosts    map[string]*Site
	Wires    map[string]*delay.Wire // "from-to", of networks, PoPs and hosts

	dir   string
	net   *delay.Network
	wires int
	owner map[netip.Addr]string // of the addresses of wires' ends
}

// Router is a network's.
type Router struct {
	Spec NetworkSpec
	NS   *delay.Namespace
	dir  string
	conf strings.Builder // of BIRD
	ip   strings.Builder // batch of iproute2
}

// Site is a PoP or a host.
type Site struct {
	ID         string
	NS         *delay.Namespace
	Four, Six  netip.Addr      // its own
	out4, out6 netip.Addr      // of what it begins
	Neighbors  []NeighborOfPoP // of a PoP
	Network    string          // the first
	ip         strings.Builder
}

// NeighborOfPoP is a router that a PoP is at.
type NeighborOfPoP struct {
	ASN       uint32
	Four, Six netip.Addr
}

// Start brings a topology up. Files of routers go into dir. Close must be
// called, also after an error.
func Start(t *Topology, dir string, seed uint64) (*World, error) {
	w := &World{Topology: t, dir: dir, Routers: map[string]*Router{}, PoPs: map[string]*Site{}, Hosts: map[string]*Site{}, Wires: map[string]*delay.Wire{}, owner: map[netip.Addr]string{}}
	var err error
	if w.net, err = delay.New(seed); err != nil {
		return nil, err
	}
	for i, n := range t.Networks {
		if err := w.addRouter(i, n); err != nil {
			return w, err
		}
	}
	for _, l := range t.Links {
		if err := w.link(l); err != nil {
			return w, err
		}
	}
	for i, p := range t.PoPs {
		if err := w.addPoP(i, p); err != nil {
			return w, err
		}
	}
	for i, h := range t.Hosts {
		if err := w.addHost(i, h); err != nil {
			return w, err
		}
	}
	return w, w.run()
}

// Close ends everything.
func (w *World) Close() {
	for _, r := range w.Routers {
		r.NS.Close()
	}
	for _, s := range w.sites() {
		s.NS.Close()
	}
	w.net.Close()
}

func (w *World) sites() (all []*Site) {
	for _, s := range w.PoPs {
		all = append(all, s)
	}
	for _, s := range w.Hosts {
		all = append(all, s)
	}
	return all
}

// Stats are those of the wires.
func (w *World) Stats() delay.Stats { return w.net.Stats() }

func (w *World) addRouter(i int, n NetworkSpec) error {
	ns, err := delay.NewNamespace()
	if err != nil {
		return err
	}
	r := &Router{Spec: n, NS: ns, dir: filepath.Join(w.dir, n.ID)}
	w.Routers[n.ID] = r
	if err := os.MkdirAll(r.dir, 0o755); err != nil {
		return err
	}
	four, six := lan(i)
	fmt.Fprintf(&r.ip, "addr add %v/32 dev lo\naddr add %v/128 dev lo nodad\n", first(four), first(six))
	fmt.Fprintf(&r.conf, birdBase, 10, 0, 0, i+1, n.ASN, four, six)
	return nil
}

// birdBase are the rules of a network. Preference is what we get for a route:
// customers pay, peers do not, providers cost. Graceful shutdown (RFC 8326)
// makes a route the last choice.
const birdBase = `log stderr all;
router id %d.%d.%d.%d;
define me = %d;
protocol device { scan time 30; }
protocol direct { ipv4; ipv6; interface "w*"; }
protocol static { ipv4; route %v unreachable; }
protocol static { ipv6; route %v unreachable; }
protocol kernel { ipv4 { import none; export filter { if source = RTS_BGP then accept; reject; }; }; merge paths on; }
protocol kernel { ipv6 { import none; export filter { if source = RTS_BGP then accept; reject; }; }; merge paths on; }
function ranked(int p) {
	bgp_local_pref = p;
	if (65535, 0) ~ bgp_community then bgp_local_pref = 0;
}
filter from_customer { ranked(300); bgp_large_community.add((me, 1, 300)); accept; }
filter from_peer { ranked(200); bgp_large_community.add((me, 1, 200)); accept; }
filter from_provider { ranked(100); bgp_large_community.add((me, 1, 100)); accept; }
filter to_customer { if source = RTS_DEVICE then reject; accept; }
filter to_others {
	if source = RTS_STATIC then accept;
	if source = RTS_BGP && (me, 1, 300) ~ bgp_large_community then accept;
	reject;
}
template bgp neighbor_bgp {
	local as me;
	connect delay time 1; connect retry time 1; error wait time 1, 2; error forget time 5; startup hold time 5; hold time 9;
}
`

// session adds BGP sessions over a wire, one an address family.
func (r *Router) session(i int, four, six [2]netip.Addr, end int, asn uint32, is string) {
	export := "to_others"
	switch is {
	case "customer":
		export = "to_customer"
	case "pop":
		is, export = "customer", ""
	}
	for _, s := range []struct {
		family string
		a      [2]netip.Addr
	}{{"ipv4", four}, {"ipv6", six}} {
		out := "export none"
		if export != "" {
			out = "export filter " + export
		}
		fmt.Fprintf(&r.conf, "protocol bgp b%d_%s from neighbor_bgp { source address %v; neighbor %v as %d; %s { import filter from_%s; %s; next hop self; }; }\n",
			i, s.family, s.a[end], s.a[1-end], asn, s.family, is, out)
	}
}

// join makes a wire between two namespaces and gives both ends addresses.
func (w *World) join(name string, a, b *delay.Namespace, ips [2]*strings.Builder, rtt time.Duration) (i int, four, six [2]netip.Addr, err error) {
	i = w.wires
	w.wires++
	dev := fmt.Sprintf("w%d", i)
	made, err := w.net.AddWire(a, b, [2]string{dev, dev}, delay.Link{RTT: rtt})
	if err != nil {
		return 0, four, six, fmt.Errorf("world: %s: %w", name, err)
	}
	w.Wires[name] = made
	four, six = wire(i)
	a0, b0, _ := strings.Cut(name, "-")
	for end, id := range []string{a0, b0} {
		w.owner[four[end]], w.owner[six[end]] = id, id
	}
	for end, ip := range ips {
		fmt.Fprintf(ip, "addr add %v/31 dev %s\naddr add %v/64 dev %s nodad\n", four[end], dev, six[end], dev)
	}
	return i, four, six, nil
}

func (w *World) link(l LinkSpec) error {
	a, b := w.Routers[l.From], w.Routers[l.To]
	i, four, six, err := w.join(l.From+"-"+l.To, a.NS, b.NS, [2]*strings.Builder{&a.ip, &b.ip}, l.RTT)
	if err != nil {
		return err
	}
	toA, toB := "provider", "customer" // what the other end is
	if l.Peer {
		toA, toB = "peer", "peer"
	}
	a.session(i, four, six, 0, b.Spec.ASN, toA)
	b.session(i, four, six, 1, a.Spec.ASN, toB)
	return nil
}

func (w *World) addSite(id, network string) (*Site, error) {
	ns, err := delay.NewNamespace()
	if err != nil {
		return nil, err
	}
	return &Site{ID: id, NS: ns, Network: network}, nil
}

func (w *World) addPoP(i int, p PoPSpec) error {
	s, err := w.addSite(p.ID, p.At[0])
	if err != nil {
		return err
	}
	w.PoPs[p.ID] = s
	four, six := unicast(i)
	s.Four, s.Six = first(four), first(six)
	s.out4, s.out6 = host(w.index(p.At[0]), managed+i)
	fmt.Fprintf(&s.ip, "addr add %v/32 dev lo\naddr add %v/128 dev lo nodad\naddr add %v/32 dev lo\naddr add %v/128 dev lo nodad\n", s.Four, s.Six, s.out4, s.out6)
	for k, at := range p.At {
		r := w.Routers[at]
		n, four, six, err := w.join(p.ID+"-"+at, s.NS, r.NS, [2]*strings.Builder{&s.ip, &r.ip}, p.RTT)
		if err != nil {
			return err
		}
		r.session(n, four, six, 1, OurASN, "pop")
		s.Neighbors = append(s.Neighbors, NeighborOfPoP{r.Spec.ASN, four[1], six[1]})
		if k == 0 {
			s.leave(r, n, four, six)
		}
	}
	return nil
}

// managed is the first host number of PoPs: by those addresses they reach the
// control node before they announce anything.
const managed = 100

func (w *World) index(network string) int {
	return slices.IndexFunc(w.Topology.Networks, func(n NetworkSpec) bool { return n.ID == network })
}

// OurASN is the AS of all PoPs.
const OurASN = 64500

// leave makes a router the way out, and leads it to the site.
func (s *Site) leave(r *Router, i int, four, six [2]netip.Addr) {
	fmt.Fprintf(&s.ip, "route add default via %v src %v\nroute add default via %v src %v\n", four[1], s.out4, six[1], s.out6)
	fmt.Fprintf(&r.ip, "route add %v/32 via %v dev w%d\nroute add %v/128 via %v dev w%d\n", s.out4, four[0], i, s.out6, six[0], i)
}

func (w *World) addHost(h int, spec HostSpec) error {
	s, err := w.addSite(spec.ID, spec.At)
	if err != nil {
		return err
	}
	w.Hosts[spec.ID] = s
	s.Four, s.Six = host(w.index(spec.At), h)
	s.out4, s.out6 = s.Four, s.Six
	r := w.Routers[spec.At]
	i, four, six, err := w.join(spec.ID+"-"+spec.At, s.NS, r.NS, [2]*strings.Builder{&s.ip, &r.ip}, spec.RTT)
	if err != nil {
		return err
	}
	fmt.Fprintf(&s.ip, "addr add %v/32 dev lo\naddr add %v/128 dev lo nodad\n", s.Four, s.Six)
	s.leave(r, i, four, six)
	return nil
}

// run configures all namespaces and starts the routers.
func (w *World) run() error {
	forward := "for f in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 > $f; done; " +
		"echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding; " +
		"echo 1 > /proc/sys/net/ipv4/fib_multipath_hash_policy; echo 1 > /proc/sys/net/ipv6/fib_multipath_hash_policy"
	var wait sync.WaitGroup
	var mu sync.Mutex
	var errs []error
	slots := make(chan struct{}, 4)
	each := func(f func() error) {
		wait.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			if err := f(); err != nil {
				mu.Lock()
				errs = append(errs, err)
				mu.Unlock()
			}
		})
	}
	for _, r := range w.Routers {
		each(func() error {
			if _, err := Run(r.NS, "", "sh", "-c", forward); err != nil {
				return err
			}
			if _, err := Run(r.NS, r.ip.String(), "ip", "-batch", "-"); err != nil {
				return fmt.Errorf("world: %s: %w", r.Spec.ID, err)
			}
			return r.startBIRD()
		})
	}
	for _, s := range w.sites() {
		each(func() error {
			if _, err := Run(s.NS, s.ip.String(), "ip", "-batch", "-"); err != nil {
				return fmt.Errorf("world: %s: %w", s.ID, err)
			}
			return nil
		})
	}
	wait.Wait()
	return errors.Join(errs...)
}

func (r *Router) startBIRD() error {
	conf := filepath.Join(r.dir, "bird.conf")
	if err := os.WriteFile(conf, []byte(r.conf.String()), 0o644); err != nil {
		return err
	}
	if out, err := exec.Command("bird", "-p", "-c", conf).CombinedOutput(); err != nil {
		return fmt.Errorf("world: %s: bird: %w: %s", r.Spec.ID, err, out)
	}
	log, err := os.Create(filepath.Join(r.dir, "bird.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command("bird", "-f", "-c", conf, "-s", filepath.Join(r.dir, "ctl"))
	cmd.Stderr = log
	if err := r.NS.Start(cmd); err != nil {
		return fmt.Errorf("world: bird: %w", err)
	}
	go func() { _ = cmd.Wait() }()
	return nil
}

// Show asks the router's BIRD, such as "show route".
func (r *Router) Show(command string) (string, error) {
	return Run(r.NS, "", "birdc", "-s", filepath.Join(r.dir, "ctl"), command)
}

// Trace follows the routers' kernels from a network and returns which PoP an
// address leads to; empty: none.
func (w *World) Trace(network string, a netip.Addr) (string, error) {
	for range 16 {
		r := w.Routers[network]
		if r == nil {
			return network, nil // a PoP, or a host
		}
		out, err := Run(r.NS, "", "ip", "route", "get", a.String())
		if err != nil {
			if strings.Contains(out, "nreachable") {
				return "", nil
			}
			return "", err
		}
		_, rest, ok := strings.Cut(out, " via ")
		words := strings.Fields(rest)
		if !ok || len(words) == 0 {
			return "", nil
		}
		via, err := netip.ParseAddr(words[0])
		if err != nil {
			return "", fmt.Errorf("world: %s: %q", network, out)
		}
		network = w.owner[via]
	}
	return "", fmt.Errorf("world: %v goes around in circles", a)
}

// Patience bounds what Run waits for.
const Patience = 30 * time.Second

// Run runs a program in a namespace to its end and returns what it printed.
func Run(ns *delay.Namespace, stdin, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	var out bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &out
	if err := ns.Start(cmd); err != nil {
		return "", fmt.Errorf("world: %s: %w", name, err)
	}
	defer context.AfterFunc(ctx, func() { _ = cmd.Process.Signal(syscall.SIGKILL) })()
	if err := cmd.Wait(); err != nil {
		return out.String(), fmt.Errorf("world: %s %q: %w: %s", name, args, err, out.String())
	}
	return out.String(), nil
}
