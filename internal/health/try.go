package health

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"catchment/internal/edge"
)

// newTry returns what makes one check, within its timeout; nil is success.
func newTry(h *edge.HealthCheck) func(ctx context.Context) error {
	switch {
	case h.TCP != "":
		return func(ctx context.Context) error { return connect(ctx, h.TCP, h.Timeout) }
	case h.DNS != nil:
		return func(ctx context.Context) error { return ask(ctx, h.DNS, h.Timeout) }
	case len(h.Exec) > 0:
		return func(ctx context.Context) error { return execute(ctx, h.Exec, h.Timeout) }
	}
	client := newHTTPClient(h.HTTP)
	return func(ctx context.Context) error { return get(ctx, client, h.HTTP, h.Timeout) }
}

// execute is nil if the command ends with status 0 within the time. When that
// is over, all that it started is killed with it.
func execute(ctx context.Context, argv []string, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 10 * time.Millisecond // for what left the group and keeps the pipe
	var said limited
	cmd.Stderr = &said
	err := cmd.Run()
	if errors.Is(err, exec.ErrWaitDelay) { // it ended well, and left somebody behind
		err = nil
	}
	if cmd.Process != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	}
	switch text, _, _ := strings.Cut(strings.TrimSpace(string(said.text)), "\n"); {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("%s: not done after %v", argv[0], timeout)
	case text != "":
		return fmt.Errorf("%s: %w: %s", argv[0], err, text)
	}
	return fmt.Errorf("%s: %w", argv[0], err)
}

var dnsTypes = map[string]dnsmessage.Type{
	"A": dnsmessage.TypeA, "AAAA": dnsmessage.TypeAAAA, "NS": dnsmessage.TypeNS, "SOA": dnsmessage.TypeSOA, "TXT": dnsmessage.TypeTXT,
}

// ask is nil if the name server answers, over UDP and within the time, with a
// record of the type.
func ask(ctx context.Context, q *edge.DNSCheck, timeout time.Duration) error {
	name, err := dnsmessage.NewName(q.Name + ".")
	if err != nil {
		return fmt.Errorf("%s: %w", q.Name, err)
	}
	question := dnsmessage.Question{Name: name, Type: dnsTypes[q.Type], Class: dnsmessage.ClassINET}
	m := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: uint16(rand.Uint32()), RecursionDesired: true},
		Questions: []dnsmessage.Question{question},
	}
	query, err := m.Pack()
	if err != nil {
		return fmt.Errorf("%s: %w", q.Name, err)
	}
	deadline := time.Now().Add(timeout)
	c, err := (&net.Dialer{Deadline: deadline}).DialContext(ctx, "udp", q.Server)
	if err != nil {
		return err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })()
	if err := errors.Join(c.SetDeadline(deadline), write(c, query)); err != nil {
		return err
	}
	buf := make([]byte, 4096)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return err
		}
		if done, err := answers(buf[:n], m.ID, question); done {
			return err
		}
	}
}

func write(c net.Conn, b []byte) error {
	_, err := c.Write(b)
	return err
}

// answers judges a packet. One that does not answer the question is of no
// account, done is false then.
func answers(packet []byte, id uint16, q dnsmessage.Question) (done bool, err error) {
	var p dnsmessage.Parser
	h, err := p.Start(packet)
	if err != nil || h.ID != id || !h.Response {
		return false, nil
	}
	asked, err := p.AllQuestions()
	if err != nil || len(asked) != 1 || asked[0].Type != q.Type || !strings.EqualFold(asked[0].Name.String(), q.Name.String()) {
		return false, nil
	}
	if h.RCode != dnsmessage.RCodeSuccess {
		return true, fmt.Errorf("%v: answered with %s", q.Name, strings.TrimPrefix(h.RCode.String(), "RCode"))
	}
	if h.Truncated {
		return true, nil // there is more of an answer than fits
	}
	for {
		r, err := p.AnswerHeader()
		if err != nil {
			return true, fmt.Errorf("%v: answered without a record of the type", q.Name)
		}
		if r.Type == q.Type {
			return true, nil
		}
		if err := p.SkipAnswer(); err != nil {
			return true, fmt.Errorf("%v: %w", q.Name, err)
		}
	}
}
