package bgp

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/osrg/gobgp/v4/pkg/packet/bgp"
)

// router is the other end of a session: raw messages over loopback, made and
// read by the library's codec alone.
type router struct {
	t      *testing.T
	listen net.Listener
	asn    uint32
	conn   net.Conn
	open   *bgp.BGPOpen // what the speaker said
}

func newRouter(t *testing.T, asn uint32) *router {
	t.Helper()
	return newRouterAt(t, near, asn)
}

func newRouterAt(t *testing.T, a netip.Addr, asn uint32) *router {
	t.Helper()
	l, err := net.Listen("tcp", netip.AddrPortFrom(a, 0).String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return &router{t: t, listen: l, asn: asn}
}

func (r *router) neighbor() Neighbor {
	at := r.listen.Addr().(*net.TCPAddr).AddrPort()
	return Neighbor{Address: at.Addr(), ASN: r.asn, Port: at.Port()}
}

// accept takes the next connection and the OPEN in it.
func (r *router) accept() {
	r.t.Helper()
	conn, err := r.listen.Accept()
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { conn.Close() })
	r.conn = conn
	m := r.read()
	open, ok := m.Body.(*bgp.BGPOpen)
	if !ok {
		r.t.Fatalf("the first message is of type %d, not an OPEN", m.Header.Type)
	}
	r.open = open
}

// establish brings the session up.
func (r *router) establish() {
	r.t.Helper()
	r.accept()
	families := []bgp.ParameterCapabilityInterface{
		bgp.NewCapMultiProtocol(bgp.RF_IPv4_UC), bgp.NewCapMultiProtocol(bgp.RF_IPv6_UC), bgp.NewCapFourOctetASNumber(r.asn),
	}
	open, err := bgp.NewBGPOpenMessage(uint16(r.asn), 30, netip.MustParseAddr("192.0.2.99"), []bgp.OptionParameterInterface{bgp.NewOptionParameterCapability(families)})
	if err != nil {
		r.t.Fatal(err)
	}
	r.write(open)
	r.write(bgp.NewBGPKeepAliveMessage())
	if m := r.read(); m.Header.Type != bgp.BGP_MSG_KEEPALIVE {
		r.t.Fatalf("got a message of type %d, want a KEEPALIVE", m.Header.Type)
	}
}

func (r *router) write(m *bgp.BGPMessage) {
	r.t.Helper()
	b, err := m.Serialize()
	if err != nil {
		r.t.Fatal(err)
	}
	if _, err := r.conn.Write(b); err != nil {
		r.t.Fatal(err)
	}
}

func (r *router) read() *bgp.BGPMessage {
	r.t.Helper()
	m, err := readMessage(r.conn)
	if err != nil {
		r.t.Fatal(err)
	}
	return m
}

func readMessage(c net.Conn) (*bgp.BGPMessage, error) {
	c.SetReadDeadline(time.Now().Add(10 * time.Second))
	head := make([]byte, bgp.BGP_HEADER_LENGTH)
	if _, err := io.ReadFull(c, head); err != nil {
		return nil, err
	}
	h := &bgp.BGPHeader{}
	if err := h.DecodeFromBytes(head); err != nil {
		return nil, err
	}
	body := make([]byte, int(h.Len)-len(head))
	if _, err := io.ReadFull(c, body); err != nil {
		return nil, err
	}
	return bgp.ParseBGPBody(h, body)
}

// heard is the next message that is no KEEPALIVE, in words: the announcements
// and withdrawals of an UPDATE, or a NOTIFICATION.
func (r *router) heard() []string {
	r.t.Helper()
	for {
		m := r.read()
		switch body := m.Body.(type) {
		case *bgp.BGPUpdate:
			return said(readUpdate(body.NLRI, body.WithdrawnRoutes, body.PathAttributes, true))
		case *bgp.BGPNotification:
			text := ""
			if len(body.Data) > 0 {
				text = string(body.Data[1:])
			}
			return []string{fmt.Sprintf("notification %d/%d %q", body.ErrorCode, body.ErrorSubcode, text)}
		case *bgp.BGPKeepAlive:
		default:
			r.t.Fatalf("got a message of type %d", m.Header.Type)
		}
	}
}

func said(announced []Announcement, withdrawn []netip.Prefix) (all []string) {
	for _, a := range announced {
		all = append(all, a.words())
	}
	for _, p := range withdrawn {
		all = append(all, "withdraw "+p.String())
	}
	return all
}

func (a Announcement) words() string {
	s := fmt.Sprintf("%v via %v", a.Prefix, a.NextHop)
	if a.Prepend != 0 {
		s += fmt.Sprintf(" prepend %d", a.Prepend)
	}
	if a.MED != nil {
		s += fmt.Sprintf(" med %d", *a.MED)
	}
	if len(a.Communities) > 0 {
		s += fmt.Sprintf(" %v", a.Communities)
	}
	return s
}
