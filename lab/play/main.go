// Command play brings up a world to play in: the routers, PoPs, name servers,
// control node and clients of a topology file, in network namespaces of this
// machine, until it is told to end. docs/lab.md is its manual.
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"catchment/lab/delay"
	"catchment/lab/world"
)

const usage = `play [-topology FILE] [-binary FILE]

Brings up a small Internet and takes commands:

  where               who is where, and which PoP the global VIP leads each network to
  in HOST COMMAND…    run a command at a host, a PoP or a network's router, such as
                      in alice curl -si http://198.51.100.1/o
  birdc NETWORK TEXT… ask a network's BIRD, such as birdc cna show route
  pops, drain, restore, shed, explain, report … what the operator's commands do
  cut A B, silent A B, mend A B
                      pull a link's plug, make it a black hole, put it right
  stop POP, go POP    hang a PoP's agent (SIGSTOP), let it go on
  kill POP, start POP end it at once, start it again
  down POP, up POP    let its service fail its checks, or not
  quit
`

func main() {
	fs := flag.NewFlagSet("play", flag.ExitOnError)
	fs.Usage = func() { fmt.Fprint(os.Stderr, usage) }
	topology := fs.String("topology", "lab/world/continents.yaml", "")
	binary := fs.String("binary", "bin/catchment", "")
	_ = fs.Parse(os.Args[1:])
	if err := run(*topology, *binary); err != nil {
		fmt.Fprintln(os.Stderr, "play:", err)
		os.Exit(1)
	}
}

// game is a world that is played in.
type game struct {
	*world.Fleet
	pops map[string]*world.Process
}

func run(topology, binary string) error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("network namespaces take root: sudo make lab")
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	t, err := world.Load(topology)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "catchment-lab-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	binary, err = filepath.Abs(binary)
	if err != nil {
		return err
	}
	w, err := world.Start(t, filepath.Join(dir, "routers"), 1)
	if w != nil {
		defer w.Close()
	}
	if err != nil {
		return err
	}
	g := &game{&world.Fleet{World: w, Binary: binary, Dir: dir, Log: logIn(dir)}, map[string]*world.Process{}}
	if err := g.start(); err != nil {
		return err
	}
	fmt.Printf("%d networks, %d PoPs and %d hosts run; logs are in %s.\n\n", len(t.Networks), len(t.PoPs), len(t.Hosts), dir)
	g.await(ctx)
	g.where()
	fmt.Print("\nTry: in alice curl -si http://198.51.100.1/o     drain iad     where     restore iad     help\n")
	return g.play(ctx)
}

// await waits until every PoP announces, for as long as patience lasts.
func (g *game) await(ctx context.Context) {
	for end := time.Now().Add(world.Patience); time.Now().Before(end) && ctx.Err() == nil; time.Sleep(200 * time.Millisecond) {
		there := 0
		for _, p := range g.Topology.PoPs {
			if got, err := g.Trace(g.Topology.Networks[0].ID, g.PoPs[p.ID].Four); err == nil && got == p.ID {
				there++
			}
		}
		if there == len(g.Topology.PoPs) {
			return
		}
	}
	fmt.Println("not every PoP announces yet: the logs say why")
}

// logIn returns where processes log: a file each.
func logIn(dir string) func(string) io.Writer {
	return func(name string) io.Writer {
		f, err := os.OpenFile(filepath.Join(dir, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return io.Discard
		}
		return f
	}
}

func (g *game) start() error {
	health := fmt.Sprintf(`[{name: service, exec: [/bin/sh, -c, "! test -e %s/$POP.down"], rise: 2, fall: 3, every: 1s}]`, g.Dir)
	fleet := g.World.Fleet(world.FleetOptions{
		Health: health, Capacity: 1000,
		Announce: "{hold_down: 10s, jitter: 2s, drain: {ttl: 5s, grace: 30s, verify: 10s, settle: 5s, quiet: 5s}}",
	})
	if err := g.Prepare(fleet); err != nil {
		return err
	}
	if _, err := g.StartControl(); err != nil {
		return err
	}
	for _, id := range []string{"ns1", "ns2"} {
		if _, err := g.StartDNS(id); err != nil {
			return err
		}
	}
	for _, p := range g.Topology.PoPs {
		if err := g.startPoP(p.ID); err != nil {
			return err
		}
	}
	return nil
}

func (g *game) startPoP(id string) (err error) {
	// The check finds out by $POP whose it is: the fleet file is the same for all.
	if err := os.Setenv("POP", id); err != nil {
		return err
	}
	g.pops[id], err = g.StartPoP(id)
	return err
}

func (g *game) play(ctx context.Context) error {
	lines := make(chan string)
	go func() {
		defer close(lines)
		for in := bufio.NewScanner(os.Stdin); in.Scan(); {
			lines <- in.Text()
		}
	}()
	for {
		fmt.Print("> ")
		select {
		case <-ctx.Done():
			fmt.Println()
			return nil
		case line, ok := <-lines:
			words := strings.Fields(line)
			switch {
			case !ok || len(words) > 0 && (words[0] == "quit" || words[0] == "exit"):
				return nil
			case len(words) == 0:
				continue
			}
			if err := g.do(words[0], words[1:]); err != nil {
				fmt.Println(err)
			}
		}
	}
}

func (g *game) do(verb string, args []string) error {
	switch verb {
	case "help":
		fmt.Print(usage)
	case "where":
		g.where()
	case "in":
		if len(args) < 2 || g.namespace(args[0]) == nil {
			return fmt.Errorf("want: in HOST COMMAND…")
		}
		return show(g.namespace(args[0]), "sh", "-c", strings.Join(args[1:], " "))
	case "birdc":
		if len(args) < 2 || g.Routers[args[0]] == nil {
			return fmt.Errorf("want: birdc NETWORK COMMAND…")
		}
		out, err := g.Routers[args[0]].Show(strings.Join(args[1:], " "))
		fmt.Print(out)
		return err
	case "cut", "silent", "mend":
		return g.wire(verb, args)
	case "stop", "go", "kill", "start", "down", "up":
		if len(args) != 1 || g.pops[args[0]] == nil {
			return fmt.Errorf("want: %s POP", verb)
		}
		return g.pop(verb, args[0])
	case "pops", "drain", "restore", "shed", "explain", "ramp":
		flags := []string{"--control", "http://127.0.0.1:9100", "--token-file", g.Path("operator.token")}
		return show(g.Hosts["control"].NS, g.Binary, append(append([]string{verb}, args...), flags...)...)
	default:
		return fmt.Errorf("%q is no command; help lists them", verb)
	}
	return nil
}

func (g *game) namespace(id string) *delay.Namespace {
	switch {
	case g.Hosts[id] != nil:
		return g.Hosts[id].NS
	case g.PoPs[id] != nil:
		return g.PoPs[id].NS
	case g.Routers[id] != nil:
		return g.Routers[id].NS
	}
	return nil
}

func (g *game) wire(verb string, args []string) error {
	var w *delay.Wire
	if len(args) == 2 {
		if w = g.Wires[args[0]+"-"+args[1]]; w == nil {
			w = g.Wires[args[1]+"-"+args[0]]
		}
	}
	if w == nil {
		var names []string
		for name := range g.Wires {
			names = append(names, name)
		}
		slices.Sort(names)
		return fmt.Errorf("want: %s A B, of the links %s", verb, strings.Join(names, " "))
	}
	switch verb {
	case "cut":
		return w.SetCarrier(false)
	case "silent":
		w.SetLink(delay.Link{Down: true})
		return nil
	}
	w.SetLink(delay.Link{RTT: w.RTT()})
	return w.SetCarrier(true)
}

func (g *game) pop(verb, id string) error {
	switch verb {
	case "stop":
		g.pops[id].Signal(syscall.SIGSTOP)
	case "go":
		g.pops[id].Signal(syscall.SIGCONT)
	case "kill":
		g.pops[id].Kill()
	case "start":
		if !g.pops[id].Ended() {
			return fmt.Errorf("%s runs", id)
		}
		return g.startPoP(id)
	case "down":
		return g.Write(id+".down", "")
	case "up":
		return os.Remove(g.Path(id + ".down"))
	}
	return nil
}

func (g *game) where() {
	four, _ := world.GlobalVIP()
	fmt.Printf("%-9s %-10s %-5s %s\n", "network", "AS", "", "the global VIP, "+four.String()+", leads to")
	for _, n := range g.Topology.Networks {
		pop, err := g.Trace(n.ID, four)
		switch {
		case err != nil:
			pop = err.Error()
		case pop == "":
			pop = "nowhere"
		}
		fmt.Printf("%-9s %-10d %-5s %s\n", n.ID, n.ASN, n.Continent, pop)
	}
	for _, h := range g.Topology.Hosts {
		fmt.Printf("%-9s at %-7s %v %v\n", h.ID, h.At, g.Hosts[h.ID].Four, g.Hosts[h.ID].Six)
	}
	for _, p := range g.Topology.PoPs {
		fmt.Printf("%-9s at %-7s %v %v\n", p.ID, strings.Join(p.At, ","), g.PoPs[p.ID].Four, g.PoPs[p.ID].Six)
	}
}

// show runs a command in a namespace with this terminal.
func show(ns *delay.Namespace, name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := ns.Start(cmd); err != nil {
		return err
	}
	return cmd.Wait()
}
