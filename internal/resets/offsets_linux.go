package resets

import (
	"errors"
	"fmt"
	"strings"

	"github.com/cilium/ebpf/btf"
)

// layout is where this kernel keeps what the programs read, in bytes from the
// start of each struct, and how its tracepoint calls them.
type layout struct {
	skbHead, skbDev, skbNetwork, skbTransport int32  // struct sk_buff
	skState, skNet, skFamily                  int32  // struct sock
	skPort, skPeerPort                        int32  // the former in struct inet_sock, which begins with a struct sock
	skAddr4, skPeer4, skAddr6, skPeer6, skErr int32  //
	devNet                                    int32  // struct net_device
	netInode                                  int32  // struct net
	reason                                    *int32 // SK_RST_REASON_TCP_FLAGS; nil: the tracepoint does not tell reasons (before Linux 6.10)
}

var errNoBTF = errors.New("the kernel does not describe its types: no /sys/kernel/btf/vmlinux (CONFIG_DEBUG_INFO_BTF)")

// kernelLayout reads the layout from the kernel's own description of its types.
func kernelLayout() (l layout, err error) {
	spec, err := btf.LoadKernelSpec()
	if err != nil {
		return l, fmt.Errorf("%w: %w", errNoBTF, err)
	}
	for _, f := range []struct {
		to   *int32
		root string
		path string
	}{
		{&l.skbHead, "sk_buff", "head"},
		{&l.skbDev, "sk_buff", "dev"},
		{&l.skbNetwork, "sk_buff", "network_header"},
		{&l.skbTransport, "sk_buff", "transport_header"},
		{&l.skState, "sock", "__sk_common.skc_state"},
		{&l.skNet, "sock", "__sk_common.skc_net.net"},
		{&l.skFamily, "sock", "__sk_common.skc_family"},
		{&l.skPort, "inet_sock", "inet_sport"},
		{&l.skPeerPort, "sock", "__sk_common.skc_dport"},
		{&l.skAddr4, "sock", "__sk_common.skc_rcv_saddr"},
		{&l.skPeer4, "sock", "__sk_common.skc_daddr"},
		{&l.skAddr6, "sock", "__sk_common.skc_v6_rcv_saddr"},
		{&l.skPeer6, "sock", "__sk_common.skc_v6_daddr"},
		{&l.skErr, "sock", "sk_err"},
		{&l.devNet, "net_device", "nd_net.net"},
		{&l.netInode, "net", "ns.inum"},
	} {
		var root *btf.Struct
		if err := spec.TypeByName(f.root, &root); err != nil {
			return l, fmt.Errorf("struct %s: %w", f.root, err)
		}
		if *f.to, err = offset(root, f.path); err != nil {
			return l, fmt.Errorf("struct %s: %w", f.root, err)
		}
	}
	if err := wants(spec, "inet_sock_set_state", 3); err != nil {
		return l, err
	}
	if err := wants(spec, "tcp_send_reset", 3); err == nil {
		l.reason, err = tcpFlags(spec)
		return l, err
	}
	return l, wants(spec, "tcp_send_reset", 2)
}

// wants checks how many arguments a tracepoint has.
func wants(spec *btf.Spec, tracepoint string, n int) error {
	var def *btf.Typedef
	if err := spec.TypeByName("btf_trace_"+tracepoint, &def); err != nil {
		return fmt.Errorf("tracepoint %s: %w", tracepoint, err)
	}
	pointer, _ := btf.UnderlyingType(def).(*btf.Pointer)
	if pointer == nil {
		return fmt.Errorf("tracepoint %s: its type is no pointer", tracepoint)
	}
	proto, _ := btf.UnderlyingType(pointer.Target).(*btf.FuncProto)
	if proto == nil {
		return fmt.Errorf("tracepoint %s: its type is no function", tracepoint)
	}
	if got := len(proto.Params) - 1; got != n { // the first is the kernel's own
		return fmt.Errorf("tracepoint %s: %d arguments (want %d)", tracepoint, got, n)
	}
	return nil
}

// tcpFlags is the reason of a reset for flags that do not suit the socket's
// state: an ACK for a listener.
func tcpFlags(spec *btf.Spec) (*int32, error) {
	var reasons *btf.Enum
	if err := spec.TypeByName("sk_rst_reason", &reasons); err != nil {
		return nil, fmt.Errorf("enum sk_rst_reason: %w", err)
	}
	for _, v := range reasons.Values {
		if v.Name == "SK_RST_REASON_TCP_FLAGS" {
			n := int32(v.Value)
			return &n, nil
		}
	}
	return nil, errors.New("enum sk_rst_reason has no SK_RST_REASON_TCP_FLAGS")
}

// offset finds a member by its path, also inside anonymous structs and unions.
func offset(t btf.Type, path string) (int32, error) {
	at := btf.Bits(0)
	for name := range strings.SplitSeq(path, ".") {
		m, bits, ok := member(t, name)
		if !ok {
			return 0, fmt.Errorf("no member %s of %s", name, path)
		}
		at += bits
		t = btf.UnderlyingType(m.Type)
	}
	return int32(at.Bytes()), nil
}

func member(t btf.Type, name string) (m btf.Member, at btf.Bits, ok bool) {
	for _, m := range members(t) {
		if m.Name == name {
			return m, m.Offset, true
		}
		if m.Name == "" {
			if inner, at, ok := member(btf.UnderlyingType(m.Type), name); ok {
				return inner, m.Offset + at, true
			}
		}
	}
	return m, 0, false
}

func members(t btf.Type) []btf.Member {
	switch t := t.(type) {
	case *btf.Struct:
		return t.Members
	case *btf.Union:
		return t.Members
	}
	return nil
}
