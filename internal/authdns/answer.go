package authdns

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/miekg/dns"
)

// maxUDP is the largest answer over UDP, and what the server says it can take:
// it needs no fragments over any path that carries IPv6 (DNS flag day 2020).
const maxUDP = 1232

// plainUDP is the largest answer over UDP to who does not say how much it can
// take (RFC 1035, section 4.2.1).
const plainUDP = 512

const maxTCP = 1<<16 - 1

// transport is how a query came.
type transport uint8

const (
	overUDP transport = iota
	overTCP
	overTLS
	transports
)

// noEDE says that there is nothing to explain. 0 is "other".
const noEDE = -1

// Extended errors (RFC 8914, section 4).
const (
	edeProhibited       = 18
	edeNotAuthoritative = 20
	edeNotSupported     = 21
)

// result is what a query comes to, before it is written.
type result struct {
	*packed
	rcode uint16 // with the upper bits, which are in the OPT
	scope uint8  // for ECS
	ede   int
	key   uint32 // what the answer is counted as when responses are limited
}

// answerer answers queries, one at a time. Each worker and each connection has
// its own.
type answerer struct {
	*Server
	query
	via   transport
	peer  netip.Addr
	now   time.Time // of the batch
	snap  *snapshot
	opt   [maxOPT]byte
	stats *stats
	shard uint8 // of counters that all answerers share
	turn  int   // queries since one was logged
}

// maxOPT is room for the largest OPT record: cookie, NSID, ECS, an extended
// error, keepalive.
const maxOPT = 11 + (4 + clientCookieLen + serverCookieLen) + (4 + maxNSID) + (4 + 20) + (4 + 2) + (4 + 2)

// maxNSID bounds the name that a server gives itself, bytes.
const maxNSID = 64

// fast answers what the parsed query asks from replies that are ready, and
// appends the answer to dst. It reports whether it could; if not, the slow
// path must, and nothing has happened. It allocates nothing if dst has room.
func (a *answerer) fast(dst []byte) (out []byte, done bool) {
	if a.class != classIN || a.qtype >= 249 && a.qtype <= 254 {
		return dst, false // TKEY to MAILA: types of questions alone, whatever the name
	}
	m := a.snap.find(a.name[:a.length], a.qtype)
	r, ok := a.ready(m)
	if !ok {
		return dst, false
	}
	if m.kind == probe {
		a.noteNonce(m)
	}
	return a.write(dst, &r), true
}

// ready finds the reply that is ready for a match.
func (a *answerer) ready(m match) (r result, ok bool) {
	r.ede = noEDE
	switch m.kind {
	case foreign:
		r.packed, r.rcode, r.ede = refused, dns.RcodeRefused, edeNotAuthoritative
		return r, true
	case missing:
		r.packed = m.node.missing.pick(a.do)
		if r.packed == nil && m.node.proven != nil {
			r.packed = m.node.proven[covering(m.node.zone.chain, a.name[:a.length])-m.node.first]
		}
	case delegated:
		if a.length == len(m.node.name) {
			r.packed = m.node.referral.pick(a.do)
		} else {
			r.packed = m.node.beneath.pick(a.do)
		}
	default:
		r.packed = a.readyType(m, &r)
	}
	if r.packed == nil {
		return r, false
	}
	r.rcode = uint16(r.packed.rcode)
	r.key = m.key()
	return r, true
}

// key is what answers are counted as: those for one name, or for all names
// that are missing under one.
func (m match) key() uint32 {
	if m.node == nil {
		return 0
	}
	return m.node.id<<3 | uint32(m.kind)
}

func (a *answerer) readyType(m match, r *result) *packed {
	n := m.node
	if m.tailor >= 0 {
		if f := familyOf(a.qtype); f >= 0 {
			answer, scope, ok := a.steer(m.tailor)
			if !ok {
				return nil
			}
			r.scope = scope
			return a.snap.tailored[m.tailor].answers[answer].packed[f].pick(a.do)
		}
		if m.kind == probe {
			if a.qtype == dns.TypeANY {
				return nil
			}
			return a.snap.tailored[m.tailor].other.pick(a.do)
		}
	}
	switch {
	case a.qtype == dns.TypeRRSIG, a.qtype == dns.TypeNSEC:
		return nil
	case n.whoami && m.kind == exact && a.qtype == dns.TypeTXT:
		return nil
	}
	types, other, anyOf := n.types, &n.other, &n.any
	if m.kind == wildcard {
		types, other, anyOf = n.expand.types, &n.expand.other, &n.expand.any
	}
	if a.qtype == dns.TypeANY {
		return anyOf.pick(a.do)
	}
	if v := find(types, a.qtype); v != nil {
		return v.pick(a.do)
	}
	return other.pick(a.do)
}

// steer asks the Steering. The client is the ECS prefix, or, without one or
// with an empty one, the resolver; then the scope is not told, or is 0 (RFC
// 7871, section 7.1.2).
func (a *answerer) steer(tailor int) (answer uint32, scope uint8, ok bool) {
	client := a.peer
	byECS := a.present && a.ecs.source > 0
	if byECS {
		client = a.ecs.addr
	}
	answer, scope = a.snap.steering.Lookup(tailor, a.peer, client)
	answers := a.snap.tailored[tailor].answers
	if int(answer) >= len(answers) {
		return 0, 0, false
	}
	answers[answer].given.add(a.shard)
	if !byECS {
		return answer, 0, true
	}
	// A Steering takes IPv4-mapped addresses as IPv4; the scope is told in bits
	// of the family that was asked in.
	if client.Is4In6() && scope <= 32 {
		scope += 96
	}
	return answer, scope, true
}

// write writes an answer to the query behind dst: its header, the question as
// it was sent (0x20), the sections, and the OPT.
func (a *answerer) write(dst []byte, r *result) []byte {
	limit, dropped := a.limit(r)
	if dropped {
		return dst
	}
	truncated := limit == 0
	question := a.raw[headerLen:a.end]
	opt := a.appendOPT(a.opt[:0], r)
	if a.pad && a.via == overTLS {
		opt = pad(opt, headerLen+len(question)+len(r.body))
	}
	if !truncated && headerLen+len(question)+len(r.body)+len(opt) > limit {
		truncated = true
	}
	start := len(dst)
	flags := byte(flagQR) | a.raw[2]&(0x78|flagRD)
	if r.aa {
		flags |= flagAA
	}
	if a.raw[2]&0x78 != 0 {
		flags = flagQR | a.raw[2]&0x78 // NOTIMP: nothing is known of its flags
	}
	an, ns, ar := r.an, r.ns, r.ar
	if truncated {
		flags |= flagTC
		an, ns, ar = 0, 0, 0
	}
	if len(opt) > 0 {
		ar++
	}
	second := byte(r.rcode & 0x0F)
	if a.raw[2]&0x78 == 0 {
		second |= a.raw[3] & flagCD
	}
	questions := byte(0)
	if len(question) > 0 {
		questions = 1
	}
	dst = append(dst, a.raw[0], a.raw[1], flags, second, 0, questions,
		byte(an>>8), byte(an), byte(ns>>8), byte(ns), byte(ar>>8), byte(ar))
	dst = append(dst, question...)
	if !truncated {
		body := len(dst)
		dst = append(dst, r.body...)
		if delta := a.length - r.nameLen; delta != 0 {
			for _, at := range r.relocs {
				p := dst[body+int(at):]
				binary.BigEndian.PutUint16(p, binary.BigEndian.Uint16(p)+uint16(delta))
			}
		}
	}
	dst = append(dst, opt...)
	a.count(r, truncated, len(dst)-start)
	return dst
}

// limit returns how long the answer may be; 0: its question at most. Dropped
// says that there is to be none.
func (a *answerer) limit(r *result) (limit int, dropped bool) {
	if a.via != overUDP {
		return maxTCP, false
	}
	limit = plainUDP
	if a.edns {
		limit = min(max(int(a.size), plainUDP), maxUDP)
	}
	if a.limiter == nil {
		return limit, false
	}
	if a.cookie != nil {
		if valid, _ := a.secrets.check(a.cookie, a.peer, uint32(a.now.Unix())); valid {
			return limit, false
		}
	}
	switch a.limiter.take(a.peer, r.key, a.now) {
	case slipped:
		a.stats.slipped.Add(1)
		return 0, false
	case limited:
		a.stats.limited.Add(1)
		return 0, true
	}
	return limit, false
}

// appendOPT adds the OPT record of the answer, if the query had one.
func (a *answerer) appendOPT(dst []byte, r *result) []byte {
	if !a.edns {
		return dst
	}
	do := byte(0)
	if a.do {
		do = 0x80
	}
	dst = append(dst, 0, 0, typeOPT, maxUDP>>8, maxUDP&0xFF, byte(r.rcode>>4), 0, do, 0, 0, 0)
	if r.rcode == dns.RcodeBadVers {
		return dst // only the header of a future version is known
	}
	if a.nsid && len(a.cfg.ID) > 0 {
		dst = append(dst, 0, optNSID, 0, byte(len(a.cfg.ID)))
		dst = append(dst, a.cfg.ID...)
	}
	if a.present && a.ecs.data != nil {
		dst = append(dst, 0, optECS, 0, byte(len(a.ecs.data)))
		at := len(dst)
		dst = append(dst, a.ecs.data...)
		dst[at+3] = r.scope
	}
	if a.cookie != nil && r.rcode != dns.RcodeFormatError {
		dst = append(dst, 0, optCookie, 0, clientCookieLen+serverCookieLen)
		now := uint32(a.now.Unix())
		if _, fresh := a.secrets.check(a.cookie, a.peer, now); fresh {
			dst = append(dst, a.cookie...)
		} else {
			dst = a.secrets.append(dst, a.cookie, a.peer, now)
		}
	}
	if r.ede != noEDE {
		dst = append(dst, 0, optEDE, 0, 2, byte(r.ede>>8), byte(r.ede))
	}
	if a.keep && a.via != overUDP {
		tenths := a.cfg.Limits.IdleTimeout / (100 * time.Millisecond)
		dst = append(dst, 0, optKeepalive, 0, 2, byte(tenths>>8), byte(tenths))
	}
	dst[9], dst[10] = byte((len(dst)-11)>>8), byte(len(dst)-11)
	return dst
}

// padBlock is what the length of answers is rounded up to (RFC 8467, section
// 4.1), bytes.
const padBlock = 468

// pad adds a padding option (RFC 7830) to an OPT record that follows length
// bytes.
func pad(opt []byte, length int) []byte {
	n := padBlock - 1 - (length+len(opt)+4+padBlock-1)%padBlock
	opt = append(opt, 0, optPadding, byte(n>>8), byte(n))
	opt = append(opt, make([]byte, n)...)
	opt[9], opt[10] = byte((len(opt)-11)>>8), byte(len(opt)-11)
	return opt
}

// refused is the reply to what is not ours.
var refused = &packed{rcode: dns.RcodeRefused}
