package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The processors: the server has one, everything of the bench the other.
const (
	serverCPU = 0
	loadCPU   = 1
)

// daemon is a name server in a process of its own, pinned to serverCPU.
type daemon struct {
	addr   netip.AddrPort
	cmd    *exec.Cmd
	out    bytes.Buffer
	exited chan struct{}
}

// freeAddr returns a loopback address of which neither the UDP nor the TCP port
// was in use a moment ago.
func freeAddr() (netip.AddrPort, error) {
	for range 20 {
		t, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return netip.AddrPort{}, err
		}
		addr := netip.MustParseAddrPort(t.Addr().String())
		u, err := net.ListenPacket("udp", addr.String())
		t.Close()
		if err == nil {
			u.Close()
			return addr, nil
		}
	}
	return netip.AddrPort{}, errors.New("no port is free for both UDP and TCP")
}

// startDaemon runs a command that is to serve DNS on addr.
func startDaemon(addr netip.AddrPort, command ...string) (*daemon, error) {
	d := &daemon{addr: addr, exited: make(chan struct{})}
	d.cmd = exec.Command("taskset", append([]string{"-c", strconv.Itoa(serverCPU)}, command...)...)
	d.cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	d.cmd.Stdout, d.cmd.Stderr = &d.out, &d.out
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := d.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { _ = d.cmd.Wait(); close(d.exited) }()
	return d, nil
}

// waitFor asks q until it is answered, for up to two minutes: places take some
// servers a while to read.
func (d *daemon) waitFor(q query) error {
	conn, err := net.Dial("udp", d.addr.String())
	if err != nil {
		return err
	}
	defer conn.Close()
	reply := make([]byte, maxPacket)
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); {
		// Refused while there is no socket yet: another try is all there is to do.
		_, _ = conn.Write(q.packet)
		_ = conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		n, err := conn.Read(reply)
		if err == nil && check(reply[:n], &q) != wrong {
			return nil
		}
		select {
		case <-d.exited:
			return fmt.Errorf("has ended: %s\n%s", d.cmd.ProcessState, &d.out)
		case <-time.After(50 * time.Millisecond):
		}
	}
	d.stop()
	return fmt.Errorf("gives no right answer\n%s", &d.out)
}

// cpu returns the processor time that all of the process's threads have used:
// to the nanosecond where the kernel has scheduler statistics, else in steps of
// 10 ms.
func (d *daemon) cpu() (time.Duration, error) {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", d.cmd.Process.Pid))
	if err != nil || len(tasks) == 0 {
		return d.cpuByTicks()
	}
	var sum time.Duration
	for _, task := range tasks {
		text, err := os.ReadFile(task)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) {
			continue // a thread that has ended
		}
		if err != nil {
			return 0, err
		}
		first, _, _ := strings.Cut(string(text), " ")
		ns, err := strconv.ParseInt(first, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", task, err)
		}
		sum += time.Duration(ns)
	}
	if sum == 0 {
		return d.cpuByTicks()
	}
	return sum, nil
}

// cpuByTicks reads user and system time (proc(5), stat, fields 14 and 15, at
// USER_HZ 100).
func (d *daemon) cpuByTicks() (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", d.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	// The second field is the command in parentheses, which may hold spaces.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 13 {
		return 0, errors.New("/proc/PID/stat is too short")
	}
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * 10 * time.Millisecond, nil
}

// rss returns the resident memory in bytes, that of mapped files included.
func (d *daemon) rss() (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if kib, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(kib), " kB"), 10, 64)
			return n << 10, err
		}
	}
	return 0, errors.New("/proc/PID/status has no VmRSS")
}

// stop ends the process.
func (d *daemon) stop() {
	_ = d.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-d.exited:
	case <-time.After(10 * time.Second):
		_ = d.cmd.Process.Kill()
		<-d.exited
	}
}

// pinSelf keeps every thread of this process, and those to come, on loadCPU.
func pinSelf() error {
	var set unix.CPUSet
	set.Set(loadCPU)
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, task := range tasks {
		id, err := strconv.Atoi(task.Name())
		if err != nil {
			return err
		}
		if err := unix.SchedSetaffinity(id, &set); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("pin to processor %d: %w", loadCPU, err)
		}
	}
	return nil
}
