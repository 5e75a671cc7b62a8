package beacon

import "catchment/internal/edge"

func (d *Decoder) probeList() []edge.Probe {
	first := len(d.probes)
	var a array
	for d.element(&a, MaxProbes) {
		d.probes = append(d.probes, edge.Probe{})
		d.probe(&d.probes[len(d.probes)-1])
		d.unlike(d.probes[first:])
	}
	return d.probes[first:len(d.probes):len(d.probes)]
}

// unlike fails if the last probe repeats another one's target over the same
// address family: one view must not say the same thing many times.
func (d *Decoder) unlike(probes []edge.Probe) {
	last := &probes[len(probes)-1]
	for i := range probes[:len(probes)-1] {
		if probes[i].Target == last.Target && probes[i].AF == last.AF && d.err == nil {
			d.fail(ReasonDuplicate, "an earlier probe has this target and address family")
		}
	}
}

func (d *Decoder) probe(p *edge.Probe) {
	const (
		fTarget = 1 << iota
		fPoP
		fVIP
		fRTT
		fWarm
		fCold
		fSrv
		fMRTT
		fProto
		fAF
		fStatus
		fError
		fServed
		fFlags
	)
	var o object
	for d.field(&o) {
		switch string(o.key) {
		case "target":
			d.once(&o, fTarget)
			p.Target = d.target()
		case "pop":
			d.once(&o, fPoP)
			p.PoP = d.pop()
		case "vip":
			d.once(&o, fVIP)
			p.VIP = d.vip()
		case "rtt":
			d.once(&o, fRTT)
			if p.RTT = d.duration(); p.RTT == 0 {
				d.fail(ReasonRange, "want more than 0 ms; leave out what was not measured")
			}
		case "warm":
			d.once(&o, fWarm)
			p.Warm = d.durations(MaxWarm)
		case "cold":
			d.once(&o, fCold)
			p.Cold = d.durations(MaxCold)
		case "srv":
			d.once(&o, fSrv)
			p.Srv = d.duration()
		case "mrtt":
			d.once(&o, fMRTT)
			p.MRTT = d.duration()
		case "proto":
			d.once(&o, fProto)
			p.Proto = d.proto()
		case "af":
			d.once(&o, fAF)
			if p.AF = int(d.integer(6)); p.AF != 0 && p.AF != 4 && p.AF != 6 {
				d.fail(ReasonValue, "want 4 or 6, or 0 if it is not known")
			}
		case "status":
			d.once(&o, fStatus)
			if p.Status = int(d.integer(599)); p.Status < 100 {
				d.fail(ReasonRange, "want an HTTP status, 100 to 599")
			}
		case "error":
			d.once(&o, fError)
			p.Error = d.word(ProbeErrors)
		case "served":
			d.once(&o, fServed)
			p.Served = d.popList()
		case "flags":
			d.once(&o, fFlags)
			p.Flags = d.flagList(ProbeFlags)
		default:
			d.fail(ReasonUnknown, "no such field")
		}
	}
	d.need(&o, fTarget, "target")
	if p.Error == "" && p.PoP == "" && d.err == nil {
		d.failAt(ReasonMissing, "pop", "is missing: a probe without an error names the PoP that answered")
	}
	if least := least(p.Warm); len(p.Warm) > 0 && p.Srv > least+clockStep && d.err == nil {
		d.failAt(ReasonRange, "srv", "the server took longer than the whole download")
	}
}

// clockStep is how far a browser's clock may round a duration down, ms: Safari
// and Firefox resolve 1 ms, so that a server time of 0.3 ms can go with a
// download of 0.
const clockStep = 1

func (d *Decoder) target() edge.Target {
	t, ok := d.Names.targets[string(d.str())]
	if !ok {
		d.fail(ReasonValue, "want global, regional, unicast, or pop: and a PoP of the fleet")
	}
	return t
}

func (d *Decoder) pop() edge.PoPID {
	id, ok := d.Names.pops[string(d.str())]
	if !ok {
		d.fail(ReasonValue, "not a PoP of the fleet")
	}
	return id
}

func (d *Decoder) vip() edge.VIPID {
	id, ok := d.Names.vips[string(d.str())]
	if !ok {
		d.fail(ReasonValue, "not a VIP of the fleet")
	}
	return id
}

func (d *Decoder) popList() []edge.PoPID {
	first := len(d.pops)
	var a array
	for d.element(&a, MaxServed) {
		d.pops = append(d.pops, d.pop())
	}
	return d.pops[first:len(d.pops):len(d.pops)]
}

// proto reads an ALPN protocol ID (RFC 7301) as nextHopProtocol spells it.
func (d *Decoder) proto() string {
	b := d.str()
	if s, ok := protos.find(b); ok {
		return s
	}
	ok := len(b) > 0 && len(b) <= 16
	for _, c := range b {
		ok = ok && (c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '/' || c == '.' || c == '-' || c == '+')
	}
	if !ok {
		d.fail(ReasonValue, "want an ALPN protocol ID, such as http/1.1")
		return ""
	}
	return d.intern(b)
}

var protos = words{"http/1.1", "h2", "h3", "http/1.0"}
