package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// site is what every server is set up from.
type site struct {
	dir       string  // a directory for all of them
	places    string  // the place file
	catchment string  // the binary
	queries   []query // not packed

	leaves4, leaves6 int // of the world
}

// contender is a server in the race.
type contender struct {
	name    string
	queries []query
	start   func() (*daemon, error)
	peer    bool // Catchment's cost is told as a ratio to the best of these
	ours    bool // this is what is compared with the peers
}

// zoneText is what is not tailored, the same for every server.
const zoneText = `$ORIGIN ` + zone + `.
$TTL 3600
@ SOA ns1 hostmaster 1 3600 600 604800 60
@ NS ns1
ns1 A 192.0.2.53
`

// files writes files under a new directory of the site and returns it.
func (s *site) files(name string, texts map[string]string) (string, error) {
	dir := filepath.Join(s.dir, name)
	for file, text := range texts {
		path := filepath.Join(dir, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return "", err
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return "", err
		}
	}
	return dir, nil
}

// byContinent returns a line for each continent, of a format with the verbs
// %[1]s, its code, and %[2]v, its address.
func byContinent(format string) string {
	var b strings.Builder
	for i, c := range continents {
		fmt.Fprintf(&b, format, c.code, address(i))
	}
	return b.String()
}

// command finds a daemon, also where only root's PATH leads.
func command(name, debianPackage string) (string, error) {
	for _, path := range []string{name, "/usr/sbin/" + name} {
		if found, err := exec.LookPath(path); err == nil {
			return found, nil
		}
	}
	return "", fmt.Errorf("%s is not installed: it is in the Debian package %s", name, debianPackage)
}

// gdnsd: the geoip plugin with a map by continent, one UDP thread.
func gdnsd(s *site) *contender {
	return &contender{name: "gdnsd", peer: true, queries: pack(s.queries, false), start: func() (*daemon, error) {
		binary, err := command("gdnsd", "gdnsd")
		if err != nil {
			return nil, err
		}
		addr, err := freeAddr()
		if err != nil {
			return nil, err
		}
		var codes []string
		for _, c := range continents {
			codes = append(codes, c.code)
		}
		run := filepath.Join(s.dir, "gdnsd")
		dir, err := s.files("gdnsd", map[string]string{
			"config": fmt.Sprintf(`options => {
  listen => %v
  udp_threads => 1
  tcp_threads => 1
  run_dir => %s/run
  state_dir => %s/state
}
plugins => { geoip => {
  maps => { world => {
    geoip2_db => %s
    datacenters => [ nowhere, %s ]
    map => { default => [ nowhere ]
%s    }
  } }
  resources => { www => {
    map => world
    service_types => up
    dcmap => { nowhere => %v
%s    }
  } }
} }
`, addr, run, run, s.places, strings.Join(codes, ", "), byContinent("      %[1]s => [ %[1]s ]\n"), address(nowhere), byContinent("      %[1]s => %[2]v\n")),
			"zones/" + zone: zoneText + fmt.Sprintf("www %d DYNA geoip!www\n", ttl),
			"run/.keep":     "", "state/.keep": "",
		})
		if err != nil {
			return nil, err
		}
		return startDaemon(addr, binary, "-c", dir, "start")
	}}
}

// knot: mod-geoip by continent, one UDP worker. If signed, Knot makes the keys
// and the module signs its answers as it loads.
func knot(s *site, signed bool) *contender {
	name, signing := "Knot mod-geoip", "off"
	if signed {
		name, signing = name+", signed", "on"
	}
	return &contender{name: name, peer: !signed, queries: pack(s.queries, signed), start: func() (*daemon, error) {
		binary, err := command("knotd", "knot")
		if err != nil {
			return nil, err
		}
		addr, err := freeAddr()
		if err != nil {
			return nil, err
		}
		sub := "knot-" + signing
		dir := filepath.Join(s.dir, sub)
		_, err = s.files(sub, map[string]string{
			"knot.conf": fmt.Sprintf(`server:
  rundir: %[1]s
  listen: %[2]v@%[3]d
  udp-workers: 1
  tcp-workers: 1
  background-workers: 1
  edns-client-subnet: on
log:
  - target: stderr
    any: warning
database:
  storage: %[1]s
policy:
  - id: ecdsa
    algorithm: ecdsap256sha256
    single-type-signing: on
mod-geoip:
  - id: www
    config-file: %[1]s/geo.conf
    ttl: %[4]d
    mode: geodb
    geodb-file: %[5]s
    geodb-key: continent/code
    policy: ecdsa
zone:
  - domain: %[6]s
    storage: %[1]s
    file: zone
    zonefile-sync: -1
    dnssec-signing: %[7]s
    dnssec-policy: ecdsa
    module: mod-geoip/www
`, dir, addr.Addr(), addr.Port(), ttl, s.places, zone, signing),
			"geo.conf": service + ".:\n" + byContinent("  - geo: %[1]s\n    A: %[2]v\n"),
			"zone":     zoneText + fmt.Sprintf("www %d A %v\n", ttl, address(nowhere)),
		})
		if err != nil {
			return nil, err
		}
		config := filepath.Join(dir, "knot.conf")
		if signed {
			// The module wants keys when it loads, before Knot would make any.
			keymgr, err := command("keymgr", "knot")
			if err != nil {
				return nil, err
			}
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			out, err := exec.CommandContext(ctx, keymgr, "-c", config, zone+".", "generate", "algorithm=ecdsap256sha256", "ksk=yes", "zsk=yes").CombinedOutput()
			if err != nil {
				return nil, fmt.Errorf("keymgr: %w\n%s", err, out)
			}
		}
		return startDaemon(addr, binary, "-c", config)
	}}
}

// powerDNS: the geoip backend by continent, one receiver and one distributor
// thread, caches as they are by default.
func powerDNS(s *site) *contender {
	return &contender{name: "PowerDNS geoip", queries: pack(s.queries, false), start: func() (*daemon, error) {
		binary, err := command("pdns_server", "pdns-server")
		if err != nil {
			return nil, err
		}
		addr, err := freeAddr()
		if err != nil {
			return nil, err
		}
		dir := filepath.Join(s.dir, "powerdns")
		_, err = s.files("powerdns", map[string]string{
			"pdns.conf": fmt.Sprintf(`launch=geoip
geoip-zones-file=%[1]s/zones.yaml
geoip-database-files=mmdb:%[2]s
edns-subnet-processing=yes
local-address=%[3]v
local-port=%[4]d
socket-dir=%[1]s
receiver-threads=1
distributor-threads=1
version-string=anonymous
`, dir, s.places, addr.Addr(), addr.Port()),
			"zones.yaml": fmt.Sprintf(`domains:
- domain: %[1]s
  ttl: %[2]d
  records:
    %[1]s:
    - soa: ns1.%[1]s hostmaster.%[1]s 1 3600 600 604800 60
    - ns: ns1.%[1]s
    ns1.%[1]s:
    - a: 192.0.2.53
    unknown.continent.%[1]s:
    - a: %[3]v
%[4]s  services:
    %[5]s: '%%cn.continent.%[1]s'
`, zone, ttl, address(nowhere), strings.ToLower(byContinent("    %[1]s.continent."+zone+":\n    - a: %[2]v\n")), service),
		})
		if err != nil {
			return nil, err
		}
		return startDaemon(addr, binary, "--config-dir="+dir, "--daemon=no", "--guardian=no", "--disable-syslog")
	}}
}
