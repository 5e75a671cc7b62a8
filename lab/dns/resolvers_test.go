package dns_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
)

// keep is how much of a client's address the resolvers tell, bits by family.
func keep(is4 bool) int {
	if is4 {
		return 24
	}
	return 56
}

// startUnbound starts Unbound at the resolver's address. Modules are as
// module-config wants them; anchor is a file, or empty.
func (s *site) startUnbound(modules, anchor string) *process {
	s.t.Helper()
	conf := fmt.Sprintf(`server:
  directory: %q
  chroot: ""
  username: ""
  pidfile: ""
  use-syslog: no
  do-daemonize: no
  num-threads: 1
  interface: %[2]s
  outgoing-interface: %[2]s
  access-control: 0.0.0.0/0 allow
  module-config: %[3]q
  send-client-subnet: %[4]s
  client-subnet-always-forward: yes
  max-client-subnet-ipv4: 24
  max-client-subnet-ipv6: 56
  max-ecs-tree-size-ipv4: 100000
  max-ecs-tree-size-ipv6: 100000
  qname-minimisation: no
`, s.dir, resolver, modules, server4)
	if anchor != "" {
		conf += fmt.Sprintf("  trust-anchor-file: %q\n", anchor)
	}
	conf += fmt.Sprintf("stub-zone:\n  name: %q\n  stub-addr: %s\n", zoneName, server4)
	p := s.launch("unbound", "-d", "-c", s.write("unbound.conf", []byte(conf)))
	s.accepts(resolver, p)
	return p
}

// startRecursor starts PowerDNS Recursor at the resolver's address.
func (s *site) startRecursor() *process {
	s.t.Helper()
	p := s.launch("pdns_recursor", "--config-dir="+s.dir, "--socket-dir="+s.dir, "--daemon=no", "--write-pid=no",
		"--local-address="+resolver, "--query-local-address="+resolver, "--allow-from=0.0.0.0/0", "--threads=1",
		"--forward-zones="+zoneName+"="+server4, "--dont-query=", "--security-poll-suffix=", "--dnssec=off",
		"--use-incoming-edns-subnet=yes", "--edns-subnet-allow-list="+zoneName,
		"--ecs-add-for=0.0.0.0/0", "--ecs-ipv4-bits=24", "--ecs-ipv6-bits=56", "--disable-packetcache=yes")
	p.bySignal = true
	s.accepts(resolver, p)
	return p
}

// accepts waits for a server to accept connections at port 53.
func (s *site) accepts(addr string, p *process) {
	s.t.Helper()
	s.until(p.name()+" answers", func() error {
		c, err := s.Dial(&net.Dialer{}, "tcp", addr+":53")
		if err == nil {
			err = c.Close()
		}
		return err
	}, p)
}

// keys makes a key for the zone and returns its directory, and a file with the
// trust anchor for it.
func (s *site) keys() (dir, anchor string) {
	s.t.Helper()
	dir = filepath.Join(s.dir, "keys")
	s.tool(catchment(s.t), "keygen", "--zone", zoneName, "--dir", dir)
	found, err := filepath.Glob(filepath.Join(dir, "*.key"))
	if err != nil || len(found) != 1 {
		s.t.Fatal(found, err)
	}
	return dir, found[0]
}

// delvAnchor writes the trust anchor as BIND's tools want it.
func (s *site) delvAnchor(keyFile string) string {
	s.t.Helper()
	text, err := os.ReadFile(keyFile)
	if err != nil {
		s.t.Fatal(err)
	}
	_, key, ok := strings.Cut(string(text), "DNSKEY")
	words := strings.Fields(key)
	if !ok || len(words) < 4 {
		s.t.Fatalf("no key in %s", text)
	}
	return s.write("anchor", fmt.Appendf(nil, "trust-anchors { %q static-key %s %s %s %q; };\n", zoneName+".", words[0], words[1], words[2], strings.Join(words[3:], "")))
}
