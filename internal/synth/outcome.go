package synth

import (
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
)

// judge puts into d what err, at that stage of s, says.
func (s *session) judge(d *Download, err error) {
	if err == nil {
		d.Outcome = OK
		return
	}
	// What the socket said first is the cause of what others made of it.
	if s.pulse != nil {
		if _, _, first := s.pulse.seen(); first != nil && !errors.As(err, new(wrongError)) && !errors.As(err, new(busyError)) {
			err = first
		}
	}
	d.Outcome, d.Stage = outcomeOf(s.stage, err), s.stage
	if d.Outcome == Stopped {
		return
	}
	var errno syscall.Errno
	if errors.As(err, &errno) {
		d.Errno = errnoName(errno)
	} else {
		d.Error = cut(textOf(err))
	}
	var busy busyError
	if errors.As(err, &busy) {
		d.Status = busy.status
	}
}

// outcomeOf classifies an error.
func outcomeOf(stage Stage, err error) Outcome {
	waiting := stage == Connecting || stage == Handshake || stage == Asking
	is := func(list ...error) bool {
		for _, e := range list {
			if errors.Is(err, e) {
				return true
			}
		}
		return false
	}
	switch {
	case is(errStopped):
		return Stopped
	case errors.As(err, new(busyError)):
		return Busy
	case errors.As(err, new(wrongError)):
		return WrongObject
	case is(syscall.ECONNREFUSED):
		return Refused
	case is(syscall.ECONNRESET, syscall.EPIPE, syscall.ECONNABORTED):
		return Reset
	case is(errOverrun):
		return Timeout
	case is(errSilent, syscall.ETIMEDOUT) && waiting:
		return Timeout
	case is(errSilent, syscall.ETIMEDOUT):
		return Stall
	case is(syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.EHOSTDOWN, syscall.ENETDOWN):
		return Unreachable
	case is(io.EOF, io.ErrUnexpectedEOF):
		return Closed
	case stage == Handshake:
		return TLS
	}
	return WrongObject // not HTTP, or not as agreed
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout() && !errors.Is(err, syscall.ETIMEDOUT)
}

// textOf returns an error's text without the addresses of this machine.
func textOf(err error) string {
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	return strings.TrimPrefix(err.Error(), "synth: ")
}

// cut bounds a text; it may hold what a stranger sent.
func cut(s string) string {
	return strings.ToValidUTF8(s[:min(len(s), 200)], "")
}
