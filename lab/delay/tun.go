package delay

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// device is what the TUN device is called in every namespace. Not "tun…":
// Chromium takes a host whose only interfaces have such names to be offline.
const device = "lab0"

// mtu of every device, bytes: what most of the Internet has.
const mtu = 1500

// openTUN makes a TUN device in ns and returns its file descriptor, which does
// not block and carries one IP packet a read or write. Checksums are whole and
// segments no larger than the MTU, since no offload is asked for.
func openTUN(ns *Namespace, device string) (fd int, err error) {
	err = ns.Do(func() error {
		fd, err = unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("delay: open /dev/net/tun: %w", err)
		}
		req, err := unix.NewIfreq(device)
		if err != nil {
			return err
		}
		req.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, req); err != nil {
			unix.Close(fd)
			return fmt.Errorf("delay: make TUN device: %w", err)
		}
		return nil
	})
	return fd, err
}
