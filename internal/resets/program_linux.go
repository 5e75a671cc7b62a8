package resets

import (
	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"
)

// A record as the programs write it, first to their stack, then to the ring.
// Its first 36 bytes are the key of the connection: IPv4 addresses are 4-in-6.
const (
	recClient     = 0  // 16 bytes
	recVIP        = 16 // 16 bytes
	recClientPort = 32 // big-endian, like all that follow from a packet
	recPort       = 34
	recFlags      = 36 // of the client's segment
	recWhat       = 37
	recRecent     = 38
	recSeq        = 40
	recAck        = 44
	recSize       = 48
	keySize       = 36

	// Places on the stack, from the frame pointer.
	record  = -recSize    // the record
	scratch = record - 8  // what was just read
	now     = scratch - 8 // ktime, ns
	zeroKey = now - 8     // index 0 of the array
	recent  = 120e9       // ns: how long segments of a closed connection may wander, and its client may insist
	flagSYN = 0x02        // RFC 9293, section 3.1
	flagRST = 0x04        //
	flagACK = 0x10        //
	listen  = 10          // enum in net/tcp_states.h, part of the user interface
	closed  = 7           //
	noWake  = 1           // BPF_RB_NO_WAKEUP: the ring is looked at every so often
	ctx     = asm.R6      // where registers stay across calls
	sk      = asm.R7      //
	skb     = asm.R8      //
	at      = asm.R9      //
	fp      = asm.RFP     //
	done    = "done"      // where all ways lead
)

// kernelMaps are what the programs share with us.
type kernelMaps struct {
	ring   *ebpf.Map // records
	vips   *ebpf.Map // addresses that matter
	closed *ebpf.Map // when connections over VIPs were closed, the latest of them
	lost   *ebpf.Map // records for which the ring had no room
}

// read loads size bytes at base+off of kernel memory to the stack at to.
func read(to int32, size int32, base asm.Register, off int32) asm.Instructions {
	return asm.Instructions{
		asm.Mov.Reg(asm.R1, fp),
		asm.Add.Imm(asm.R1, to),
		asm.Mov.Imm(asm.R2, size),
		asm.Mov.Reg(asm.R3, base),
		asm.Add.Imm(asm.R3, off),
		asm.FnProbeReadKernel.Call(),
	}
}

// readInto loads a value of kernel memory into a register.
func readInto(dst asm.Register, size asm.Size, base asm.Register, off int32) asm.Instructions {
	return append(read(scratch, int32(size.Sizeof()), base, off), asm.LoadMem(dst, fp, scratch, size))
}

// clear4in6 zeroes the record, and marks its addresses as 4-in-6.
func clear4in6() asm.Instructions {
	p := asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.StoreMem(fp, scratch, asm.R0, asm.DWord)}
	for i := int16(0); i < recSize; i += 8 {
		p = append(p, asm.StoreMem(fp, record+i, asm.R0, asm.DWord))
	}
	return append(p,
		asm.StoreImm(fp, record+recClient+10, 0xffff, asm.Half),
		asm.StoreImm(fp, record+recVIP+10, 0xffff, asm.Half))
}

// only goes on where the network namespace that base+off points to is ours.
func only(inode uint32, l *layout, base asm.Register, off int32) asm.Instructions {
	p := readInto(at, asm.DWord, base, off)
	p = append(p, asm.JEq.Imm(at, 0, done))
	p = append(p, readInto(asm.R1, asm.Word, at, l.netInode)...)
	return append(p, asm.JNE.Imm32(asm.R1, int32(inode), done))
}

// onlyVIPs goes on where the record's address is one of ours.
func onlyVIPs(m *kernelMaps) asm.Instructions {
	return asm.Instructions{
		asm.LoadMapPtr(asm.R1, m.vips.FD()),
		asm.Mov.Reg(asm.R2, fp),
		asm.Add.Imm(asm.R2, record+recVIP),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, done),
	}
}

// hand writes the record to the ring, or counts that it could not; the program
// ends.
func hand(m *kernelMaps) asm.Instructions {
	return asm.Instructions{
		asm.LoadMapPtr(asm.R1, m.ring.FD()).WithSymbol("hand"),
		asm.Mov.Reg(asm.R2, fp),
		asm.Add.Imm(asm.R2, record),
		asm.Mov.Imm(asm.R3, recSize),
		asm.Mov.Imm(asm.R4, noWake),
		asm.FnRingbufOutput.Call(),
		asm.JEq.Imm(asm.R0, 0, done),
		asm.StoreImm(fp, zeroKey, 0, asm.Word),
		asm.LoadMapPtr(asm.R1, m.lost.FD()),
		asm.Mov.Reg(asm.R2, fp),
		asm.Add.Imm(asm.R2, zeroKey),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, done),
		asm.Mov.Imm(asm.R1, 1),
		asm.StoreXAdd(asm.R0, asm.R1, asm.DWord),
		asm.Mov.Imm(asm.R0, 0).WithSymbol(done),
		asm.Return(),
	}
}

// resetProgram is for tcp_send_reset(sk, skb[, reason]): it hands over the
// segments that met a listener, or nobody, and were reset for that. Everything
// is read from the packet: what the formatted tracepoint prints of the client
// is 0.0.0.0:0 in exactly this case.
func resetProgram(l *layout, m *kernelMaps, inode uint32) asm.Instructions {
	p := clear4in6()
	p = append(p,
		asm.Mov.Reg(ctx, asm.R1),
		asm.LoadMem(sk, ctx, 0, asm.DWord),
		asm.LoadMem(skb, ctx, 8, asm.DWord),
		asm.JEq.Imm(skb, 0, done),
		asm.JEq.Imm(sk, 0, "nobody"),
	)
	// A listener.
	p = append(p, readInto(asm.R1, asm.Byte, sk, l.skState)...)
	p = append(p, asm.JNE.Imm(asm.R1, listen, done))
	if l.reason != nil {
		p = append(p, asm.LoadMem(asm.R1, ctx, 16, asm.DWord), asm.JNE.Imm32(asm.R1, *l.reason, done))
	}
	p = append(p, only(inode, l, sk, l.skNet)...)
	p = append(p, asm.StoreImm(fp, record+recWhat, int64(midFlow), asm.Byte), asm.Ja.Label("packet"))
	// Nobody: only told since Linux 6.10, as the reasons are.
	nobody := readInto(at, asm.DWord, skb, l.skbDev)
	nobody[0] = nobody[0].WithSymbol("nobody")
	p = append(p, nobody...)
	p = append(p, asm.JEq.Imm(at, 0, done))
	p = append(p, only(inode, l, at, l.devNet)...)
	p = append(p, asm.StoreImm(fp, record+recWhat, int64(closedPort), asm.Byte))

	p = append(p, parse(l)...)
	p = append(p,
		asm.LoadMem(asm.R1, fp, record+recFlags, asm.Byte),
		asm.JSet.Imm(asm.R1, flagRST, done),
		asm.LoadMem(asm.R2, fp, record+recWhat, asm.Byte),
		asm.JNE.Imm(asm.R2, int32(midFlow), "wanted"),
		asm.JSet.Imm(asm.R1, flagSYN, done),
		asm.JSet.Imm(asm.R1, flagACK, "wanted"),
		asm.Ja.Label(done),
	)
	vips := onlyVIPs(m)
	vips[0] = vips[0].WithSymbol("wanted")
	p = append(p, vips...)
	p = append(p, wasClosed(m)...)
	return append(p, hand(m)...)
}

// parse fills the record from the packet's headers.
func parse(l *layout) asm.Instructions {
	p := readInto(at, asm.DWord, skb, l.skbHead)
	p[0] = p[0].WithSymbol("packet")
	p = append(p, readInto(asm.R1, asm.Half, skb, l.skbTransport)...)
	p = append(p, asm.Mov.Reg(sk, at), asm.Add.Reg(sk, asm.R1)) // sk is not needed any more: the TCP header
	p = append(p, readInto(asm.R1, asm.Half, skb, l.skbNetwork)...)
	p = append(p, asm.Add.Reg(at, asm.R1)) // the IP header
	p = append(p, readInto(asm.R1, asm.Byte, at, 0)...)
	p = append(p, asm.RSh.Imm(asm.R1, 4), asm.JEq.Imm(asm.R1, 6, "ipv6"), asm.JNE.Imm(asm.R1, 4, done))
	p = append(p, read(record+recClient+12, 4, at, 12)...)
	p = append(p, read(record+recVIP+12, 4, at, 16)...)
	p = append(p, asm.Ja.Label("tcp"))
	six := read(record+recClient, 32, at, 8) // both addresses
	six[0] = six[0].WithSymbol("ipv6")
	p = append(p, six...)
	tcp := read(record+recClientPort, 4, sk, 0) // both ports
	tcp[0] = tcp[0].WithSymbol("tcp")
	p = append(p, tcp...)
	p = append(p, read(record+recSeq, 8, sk, 4)...) // both numbers
	return append(p, read(record+recFlags, 1, sk, 13)...)
}

// wasClosed marks the record where its connection was closed here of late.
func wasClosed(m *kernelMaps) asm.Instructions {
	return asm.Instructions{
		asm.LoadMapPtr(asm.R1, m.closed.FD()),
		asm.Mov.Reg(asm.R2, fp),
		asm.Add.Imm(asm.R2, record),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "hand"),
		asm.LoadMem(at, asm.R0, 0, asm.DWord),
		asm.FnKtimeGetNs.Call(),
		asm.Sub.Reg(asm.R0, at),
		asm.LoadImm(asm.R1, recent, asm.DWord),
		asm.JGT.Reg(asm.R0, asm.R1, "hand"),
		asm.StoreImm(fp, record+recRecent, 1, asm.Byte),
	}
}

// closeProgram is for inet_sock_set_state(sk, from, to): it notes which
// connections end, and hands over those that time out.
func closeProgram(l *layout, m *kernelMaps, inode uint32) asm.Instructions {
	p := clear4in6()
	p = append(p,
		asm.LoadMem(sk, asm.R1, 0, asm.DWord),
		asm.LoadMem(asm.R2, asm.R1, 8, asm.DWord),
		asm.LoadMem(asm.R3, asm.R1, 16, asm.DWord),
		asm.JNE.Imm32(asm.R3, closed, done),
		asm.JEq.Imm32(asm.R2, listen, done),
	)
	p = append(p, only(inode, l, sk, l.skNet)...)
	p = append(p, readInto(asm.R1, asm.Half, sk, l.skFamily)...)
	p = append(p, asm.JEq.Imm(asm.R1, unix.AF_INET6, "ipv6"), asm.JNE.Imm(asm.R1, unix.AF_INET, done))
	p = append(p, read(record+recClient+12, 4, sk, l.skPeer4)...)
	p = append(p, read(record+recVIP+12, 4, sk, l.skAddr4)...)
	p = append(p, asm.Ja.Label("ports"))
	six := read(record+recClient, 16, sk, l.skPeer6)
	six[0] = six[0].WithSymbol("ipv6")
	p = append(p, six...)
	p = append(p, read(record+recVIP, 16, sk, l.skAddr6)...)
	ports := read(record+recClientPort, 2, sk, l.skPeerPort)
	ports[0] = ports[0].WithSymbol("ports")
	p = append(p, ports...)
	p = append(p, read(record+recPort, 2, sk, l.skPort)...) // skc_num is 0 by now
	p = append(p, onlyVIPs(m)...)
	p = append(p,
		asm.FnKtimeGetNs.Call(),
		asm.StoreMem(fp, now, asm.R0, asm.DWord),
		asm.LoadMapPtr(asm.R1, m.closed.FD()),
		asm.Mov.Reg(asm.R2, fp),
		asm.Add.Imm(asm.R2, record),
		asm.Mov.Reg(asm.R3, fp),
		asm.Add.Imm(asm.R3, now),
		asm.Mov.Imm(asm.R4, 0),
		asm.FnMapUpdateElem.Call(),
	)
	p = append(p, readInto(asm.R1, asm.Word, sk, l.skErr)...)
	p = append(p,
		asm.JEq.Imm(asm.R1, int32(unix.ETIMEDOUT), "late"),
		asm.JEq.Imm(asm.R1, int32(unix.EHOSTUNREACH), "late"), // what routers said while it timed out
		asm.JNE.Imm(asm.R1, int32(unix.ENETUNREACH), done),
		asm.StoreImm(fp, record+recWhat, int64(timedOut), asm.Byte).WithSymbol("late"),
	)
	return append(p, hand(m)...)
}
