package main

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"
)

// server is a child process pinned to core 0.
type server struct {
	addr string
	cmd  *exec.Cmd
	out  bytes.Buffer
}

// freeAddr returns a loopback address that was free a moment ago.
func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// start runs a binary that serves HTTP on addr, and waits until it does.
func start(addr, binary string, args ...string) (*server, error) {
	s := &server{addr: addr, cmd: exec.Command("taskset", append([]string{"-c", "0", binary}, args...)...)}
	s.cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	s.cmd.Stdout, s.cmd.Stderr = &s.out, &s.out
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	if err := waitFor("http://" + addr + "/"); err != nil {
		s.stop()
		return nil, fmt.Errorf("%s: %w\n%s", binary, err, s.out.String())
	}
	return s, nil
}

func startOtel(binary, config, output string) (*server, error) {
	const text = `receivers: {otlp: {protocols: {http: {endpoint: %s}}}}
exporters: {file: {path: %s}}
service:
  telemetry: {metrics: {level: none}, logs: {level: error}}
  pipelines: {logs: {receivers: [otlp], exporters: [file]}}
`
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(config, fmt.Appendf(nil, text, addr, output), 0o600); err != nil {
		return nil, err
	}
	return start(addr, binary, "--config", "file:"+config)
}

// cpu returns the user and system time that the process has used, in steps of
// 10 ms (proc(5), stat, fields 14 and 15, at USER_HZ 100).
func (s *server) cpu() time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	// The second field is the command in parentheses, which may hold spaces.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * 10 * time.Millisecond
}

// stop ends the server and returns the CPU time that it used in all.
func (s *server) stop() time.Duration {
	if s.cmd.ProcessState != nil {
		return 0
	}
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	done := make(chan struct{})
	go func() { _ = s.cmd.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		_ = s.cmd.Process.Kill()
		<-done
	}
	return s.cmd.ProcessState.UserTime() + s.cmd.ProcessState.SystemTime()
}

const fleetFile = `zone: edge.example
probe: probe.edge.example
pops:
  - {id: iad, place: {country: US, lat: 39.04, lon: -77.49}, unicast: [192.0.2.10]}
  - {id: lax, place: {country: US, lat: 34.05, lon: -118.24}, unicast: [192.0.2.20]}
  - {id: gru, place: {country: BR, lat: -23.55, lon: -46.63}, unicast: [192.0.2.30]}
  - {id: sin, place: {country: SG, lat: 1.35, lon: 103.82}, unicast: [192.0.2.40]}
vips:
  - {id: global, addresses: [198.51.100.1], prefixes: [198.51.100.0/24]}
  - {id: americas, addresses: [203.0.113.1], prefixes: [203.0.113.0/24]}
regions:
  - {id: americas, vip: americas, continents: [NA, SA], pops: [iad, lax, gru]}
services:
  - {name: www.edge.example, scheme: unicast, ttl: 30s}
`

// beacon is one as rum.js sends it for a plan of four targets.
func beacon(plan string) []byte {
	return fmt.Appendf(nil, `{"v":1,"id":"%s","plan":"%s","t":1790000000123,"rate":0.01,`+
		`"page":{"pop":"iad","dns":12.1,"connect":18,"tls":21.3,"ttfb":88,"load":1432},"probes":[`+
		`{"target":"global","pop":"iad","vip":"global","rtt":18.65,"warm":[18.9,18.7,19.4],"cold":[11,19.1,20.2],"srv":0.05,"mrtt":18.4,"proto":"http/1.1","af":4},`+
		`{"target":"pop:lax","pop":"lax","rtt":63.95,"warm":[64,64.3,64.1],"cold":[9.2,64.4,70.1],"srv":0.05,"mrtt":63.8,"proto":"http/1.1","af":4},`+
		`{"target":"unicast","pop":"iad","rtt":18.7,"warm":[18.8,18.9,18.75],"cold":[8.8,19,22.6],"srv":0.05,"mrtt":18.5,"proto":"http/1.1","af":4},`+
		`{"target":"regional","error":"timeout"}],"net":{"type":"4g"}}`, idDigits, plan)
}

// writeCity writes a City file of 65,536 networks over 100.0.0.0/8 to
// 199.0.0.0/8, so that no look-up hits the same record twice in a row.
func writeCity(path string) error {
	w, err := mmdbwriter.New(mmdbwriter.Options{DatabaseType: "GeoLite2-City", RecordSize: 28, IncludeReservedNetworks: true})
	if err != nil {
		return err
	}
	countries := []string{"US", "BR", "DE", "JP", "ZA", "AU"}
	continents := []string{"NA", "SA", "EU", "AS", "AF", "OC"}
	for i := range 65536 {
		a := netip.AddrFrom4([4]byte{byte(100 + i%100), byte(i / 100 % 256), byte(i / 25600 * 64), 0})
		_, network, err := net.ParseCIDR(netip.PrefixFrom(a, 18).Masked().String())
		if err != nil {
			return err
		}
		c := i % len(countries)
		record := mmdbtype.Map{
			"continent": mmdbtype.Map{"code": mmdbtype.String(continents[c])},
			"country":   mmdbtype.Map{"iso_code": mmdbtype.String(countries[c])},
			"city":      mmdbtype.Map{"names": mmdbtype.Map{"en": mmdbtype.String(fmt.Sprintf("City %d", i%5000))}},
			"location":  mmdbtype.Map{"latitude": mmdbtype.Float64(i % 90), "longitude": mmdbtype.Float64(i % 180)},
			"subdivisions": mmdbtype.Slice{
				mmdbtype.Map{"iso_code": mmdbtype.String(fmt.Sprintf("S%d", i%50))},
			},
		}
		if err := w.Insert(network, record); err != nil {
			return err
		}
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := w.WriteTo(f); err != nil {
		return err
	}
	return f.Close()
}
