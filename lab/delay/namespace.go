package delay

import (
	"bytes"
	"fmt"
	"net"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Namespace is a network namespace with nothing in it but a loopback
// interface. It has no name in /run/netns: it is gone with the last process
// and socket in it, so that not even a killed test leaves anything behind.
//
// One locked OS thread lives in the namespace; whatever that thread opens or
// starts belongs there.
type Namespace struct {
	work  chan func()
	close sync.Once
}

// NewNamespace makes a namespace. It needs CAP_SYS_ADMIN; the error wraps
// unix.EPERM where that is missing.
func NewNamespace() (*Namespace, error) {
	ns := &Namespace{work: make(chan func())}
	made := make(chan error)
	go func() {
		// Never unlocked: the thread ends with this goroutine instead of
		// running somebody else's in the wrong namespace.
		runtime.LockOSThread()
		err := unix.Unshare(unix.CLONE_NEWNET)
		made <- err
		if err != nil {
			return
		}
		for f := range ns.work {
			f()
		}
	}()
	if err := <-made; err != nil {
		return nil, fmt.Errorf("delay: new network namespace: %w", err)
	}
	if err := ns.ip("link set lo up"); err != nil {
		ns.Close()
		return nil, err
	}
	return ns, nil
}

// Do runs f on the thread that lives in the namespace, one f at a time. What f
// starts as goroutines runs outside.
func (ns *Namespace) Do(f func() error) error {
	done := make(chan error)
	ns.work <- func() { done <- f() }
	return <-done
}

// Start starts cmd in the namespace, to be killed when the calling process
// dies or the namespace is closed.
func (ns *Namespace) Start(cmd *exec.Cmd) error {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL // sent when the parent *thread* ends, which is ours
	return ns.Do(cmd.Start)
}

// Listen listens in the namespace. The host in address must be empty or a
// literal address.
func (ns *Namespace) Listen(network, address string) (l net.Listener, err error) {
	err = ns.Do(func() error {
		l, err = net.Listen(network, address)
		return err
	})
	return l, err
}

// Dial connects from within the namespace. The host in address must be a
// literal address: names are looked up by other threads, in other namespaces.
func (ns *Namespace) Dial(d *net.Dialer, network, address string) (c net.Conn, err error) {
	err = ns.Do(func() error {
		c, err = d.Dial(network, address)
		return err
	})
	return c, err
}

// Close ends the namespace's thread and, by Pdeathsig, the processes that
// Start started. Nothing but Close may be called afterwards.
func (ns *Namespace) Close() { ns.close.Do(func() { close(ns.work) }) }

// ip runs iproute2 in the namespace, a command a line.
func (ns *Namespace) ip(batch string) error {
	var out bytes.Buffer
	cmd := exec.Command("ip", "-batch", "-")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(batch), &out, &out
	err := ns.Start(cmd)
	if err == nil {
		err = cmd.Wait()
	}
	if err != nil {
		return fmt.Errorf("delay: ip -batch: %w: %s in\n%s", err, out.String(), batch)
	}
	return nil
}
