// Package world brings up a small Internet from a topology file: networks,
// each a BIRD router that does as networks do (Gao and Rexford: customers'
// routes are preferred and passed on to everybody, peers' and providers' to
// customers only), links with real delays between them, sites of PoPs, and
// hosts. It needs root, /dev/net/tun, iproute2 and bird2.
package world

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"go.yaml.in/yaml/v4"
)

// Topology is what a file says.
type Topology struct {
	Networks []NetworkSpec `yaml:"networks"`
	Links    []LinkSpec    `yaml:"links"`
	PoPs     []PoPSpec     `yaml:"pops"`
	Regions  []RegionSpec  `yaml:"regions"`
	Hosts    []HostSpec    `yaml:"hosts"`
}

// NetworkSpec is an AS with one router.
type NetworkSpec struct {
	ID        string  `yaml:"id"`
	ASN       uint32  `yaml:"asn"`
	Country   string  `yaml:"country"`   // of its hosts
	Continent string  `yaml:"continent"` // AF AN AS EU NA OC SA
	Lat       float64 `yaml:"lat"`
	Lon       float64 `yaml:"lon"`
}

// LinkSpec joins two networks. From is To's customer, or its peer.
type LinkSpec struct {
	From string        `yaml:"from"`
	To   string        `yaml:"to"`
	Peer bool          `yaml:"peer"`
	RTT  time.Duration `yaml:"rtt"`
}

// PoPSpec is a site of ours at one network or several; the first has the
// traffic that leaves.
type PoPSpec struct {
	ID      string        `yaml:"id"`
	At      []string      `yaml:"at"`
	Country string        `yaml:"country"`
	Lat     float64       `yaml:"lat"`
	Lon     float64       `yaml:"lon"`
	RTT     time.Duration `yaml:"rtt"`
}

// RegionSpec is a region with a VIP of its own.
type RegionSpec struct {
	ID         string   `yaml:"id"`
	Continents []string `yaml:"continents"`
	PoPs       []string `yaml:"pops"`
}

// HostSpec is a machine at a network: a client, a resolver, a name server, the
// control node.
type HostSpec struct {
	ID  string        `yaml:"id"`
	At  string        `yaml:"at"`
	RTT time.Duration `yaml:"rtt"`
}

// Most is how many there may be of anything: addresses are made from indices.
const Most = 15

// Load reads a topology file.
func Load(path string) (*Topology, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("world: %w", err)
	}
	t, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("world: %s: %w", path, err)
	}
	return t, nil
}

// Parse reads a topology. All that is wrong is said at once.
func Parse(data []byte) (*Topology, error) {
	d := yaml.NewDecoder(bytes.NewReader(data))
	d.KnownFields(true)
	var t Topology
	if err := d.Decode(&t); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return &t, t.check()
}

func (t *Topology) check() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	ids := map[string]string{}
	take := func(what, id string) {
		switch {
		case id == "" || len(id) > 8:
			fail("%s %q: want an id of 1 to 8 bytes", what, id)
		case ids[id] != "":
			fail("%s %q: the id is %s's already", what, id, ids[id])
		}
		ids[id] = what
	}
	known := func(of, id string) {
		if !slices.ContainsFunc(t.Networks, func(n NetworkSpec) bool { return n.ID == id }) {
			fail("%s: there is no network %q", of, id)
		}
	}
	asns := map[uint32]bool{64500: true} // ours
	for _, n := range t.Networks {
		take("network", n.ID)
		if n.ASN == 0 || asns[n.ASN] {
			fail("network %s: AS %d is none, or taken", n.ID, n.ASN)
		}
		asns[n.ASN] = true
	}
	for _, l := range t.Links {
		known("link from "+l.From, l.From)
		known("link to "+l.To, l.To)
		if l.From == l.To {
			fail("link: %s leads to itself", l.From)
		}
	}
	for _, p := range t.PoPs {
		take("pop", p.ID)
		if len(p.At) == 0 {
			fail("pop %s: is at no network", p.ID)
		}
		for _, at := range p.At {
			known("pop "+p.ID, at)
		}
	}
	for _, h := range t.Hosts {
		take("host", h.ID)
		known("host "+h.ID, h.At)
	}
	for _, r := range t.Regions {
		for _, p := range r.PoPs {
			if ids[p] != "pop" {
				fail("region %s: there is no pop %q", r.ID, p)
			}
		}
	}
	for what, n := range map[string]int{"networks": len(t.Networks), "links": len(t.Links), "pops": len(t.PoPs), "hosts": len(t.Hosts), "regions": len(t.Regions)} {
		if n > Most {
			fail("%d %s are more than %d", n, what, Most)
		}
	}
	return errors.Join(errs...)
}
