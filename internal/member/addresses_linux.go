package member

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"catchment/internal/sockets"
)

// Interface holds VIPs' addresses, in the network namespace of the thread that
// opened it. Addresses that others put there are left alone.
type Interface struct {
	link netlink.Link
	nl   *netlink.Handle
	file string       // keeps own, for the life after a crash; empty: nothing does
	boot string       // the machine's life
	own  []netip.Addr // that we put there
}

// OpenInterface finds the interface, mostly lo. The file, in a directory that
// is the agent's, tells a later life which addresses were put there by this
// one; it may be empty.
func OpenInterface(name, file string) (*Interface, error) {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("member: %w", err)
	}
	link, err := h.LinkByName(name)
	if err != nil {
		return nil, fmt.Errorf("member: interface %s: %w", name, err)
	}
	i := &Interface{link: link, nl: h, file: file}
	text, err := os.ReadFile(file)
	if err != nil && file != "" && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("member: %w", err)
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return nil, fmt.Errorf("member: %w", err)
	}
	i.boot = strings.TrimSpace(string(boot))
	words := strings.Fields(string(text))
	if len(words) == 0 || words[0] != i.boot {
		return i, nil // what is there was put there since the machine started, by others
	}
	for _, word := range words[1:] {
		if a, err := netip.ParseAddr(word); err == nil {
			i.own = append(i.own, a)
		}
	}
	return i, nil
}

// Set makes want the addresses that are there by us. One that is there already,
// by whomever, is left to whoever put it there.
func (i *Interface) Set(want []netip.Addr) error {
	there, err := i.list()
	if err != nil {
		return err
	}
	var add []netip.Addr
	for _, a := range want {
		if !there[a] {
			add = append(add, a)
		}
	}
	i.own = slices.DeleteFunc(i.own, func(a netip.Addr) bool { return !there[a] })
	if err := i.keep(append(slices.Clone(i.own), add...)); err != nil {
		return err
	}
	var errs []error
	for _, a := range add {
		if err := i.nl.AddrAdd(i.link, address(a)); err != nil && !errors.Is(err, unix.EEXIST) {
			errs = append(errs, i.explain("add", a, err))
			continue
		}
		i.own = append(i.own, a)
	}
	for _, a := range slices.Clone(i.own) {
		if slices.Contains(want, a) {
			continue
		}
		if err := i.nl.AddrDel(i.link, address(a)); err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) {
			errs = append(errs, i.explain("remove", a, err))
			continue
		}
		i.own = slices.DeleteFunc(i.own, func(b netip.Addr) bool { return a == b })
	}
	return errors.Join(append(errs, i.keep(i.own))...)
}

// Run waits until ctx is done and takes away what was put there. It is to end
// after whoever serves on the addresses.
func (i *Interface) Run(ctx context.Context) error {
	<-ctx.Done()
	return i.Set(nil)
}

// keep writes down which addresses are ours, before they are added and after
// they were removed.
func (i *Interface) keep(own []netip.Addr) error {
	if i.file == "" {
		return nil
	}
	var b strings.Builder
	fmt.Fprintln(&b, i.boot)
	for _, a := range own {
		fmt.Fprintln(&b, a)
	}
	if err := errors.Join(os.WriteFile(i.file+".new", []byte(b.String()), 0o600), os.Rename(i.file+".new", i.file)); err != nil {
		return fmt.Errorf("member: %w", err)
	}
	return nil
}

// list returns the addresses that are there.
func (i *Interface) list() (map[netip.Addr]bool, error) {
	list, err := i.nl.AddrList(i.link, netlink.FAMILY_ALL)
	if err != nil {
		return nil, fmt.Errorf("member: interface %s: %w", i.link.Attrs().Name, err)
	}
	there := map[netip.Addr]bool{}
	for _, x := range list {
		if a, ok := netip.AddrFromSlice(x.IP); ok {
			there[a.Unmap()] = true
		}
	}
	return there, nil
}

// address is a host address. An IPv6 one is usable at once: nobody else on
// this link has it, so there is nothing to detect (RFC 4862, section 5.4).
func address(a netip.Addr) *netlink.Addr {
	x := &netlink.Addr{IPNet: &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(a.BitLen(), a.BitLen())}}
	if a.Is6() {
		x.Flags = unix.IFA_F_NODAD
	}
	return x
}

func (i *Interface) explain(what string, a netip.Addr, err error) error {
	if errors.Is(err, os.ErrPermission) {
		return fmt.Errorf("member: %s %v on %s: %w: give the agent CAP_NET_ADMIN, or put the addresses there yourself and say --vip-interface \"\"", what, a, i.link.Attrs().Name, err)
	}
	return fmt.Errorf("member: %s %v on %s: %w", what, a, i.link.Attrs().Name, err)
}

// Connections counts connections at this machine, to addresses for which over
// says yes, on which it may have something to send; -1 where that cannot be
// told.
func Connections(over func(netip.Addr) bool) int {
	s, err := sockets.New()
	if err != nil {
		return -1
	}
	defer s.Close()
	n := 0
	if s.List(sockets.Unfinished, func(x sockets.Socket) {
		if over(x.Local.Addr()) {
			n++
		}
	}) != nil {
		return -1
	}
	return n
}
