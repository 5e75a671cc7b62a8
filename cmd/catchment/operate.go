package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"catchment/internal/announce"
	"catchment/internal/edge"
	"catchment/internal/follow"
)

// operateFlags are those of the commands that order something of a PoP: over
// the control node, or at the PoP itself.
type operateFlags struct {
	apiFlags
	local string
	why   string
}

func (f *operateFlags) register(fs *flag.FlagSet) {
	f.apiFlags.register(fs)
	fs.StringVar(&f.local, "local", "", "`socket` of the PoP's agent (DATA/pop.sock), instead of --control: name servers are not told")
	fs.StringVar(&f.why, "why", "", "`text` for the audit trail (default $USER@host)")
}

// reason is what the audit trail is told.
func (f *operateFlags) reason() string {
	if f.why != "" {
		return f.why
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	user := os.Getenv("USER")
	if user == "" {
		user = "unknown"
	}
	return user + "@" + host
}

// popState is what can be learned of a PoP: from the control node (GET
// /api/v1/pops), or, but for the first half, from the PoP itself.
type popState struct {
	PoP    edge.PoPID `json:"pop"`
	Speaks bool       `json:"speaks"`
	Health struct {
		State    edge.HealthState `json:"state"`
		Load     *float64         `json:"load"`
		Capacity float64          `json:"capacity"`
		Why      string           `json:"why"`
		Silent   bool             `json:"silent"`
	} `json:"health"`
	Ordered      *edge.Drain        `json:"ordered"`
	Shed         *edge.Shed         `json:"shed"`
	Announcement *edge.Announcement `json:"announcement"`
	DNS          *announce.DNSSeen  `json:"dns"`
	Skip         *announce.Skip     `json:"skip"`

	Told        time.Time           `json:"told"`
	Age         float64             `json:"age"` // seconds
	Drain       *announce.Progress  `json:"drain"`
	Connections *int                `json:"connections"`
	Traffic     *float64            `json:"traffic"`
	VIPs        []popVIP            `json:"vips"`
	Wanted      []announce.Wanted   `json:"wanted"`
	Neighbors   []announce.Neighbor `json:"neighbors"`
	Events      []announce.Event    `json:"events"`
}

type popVIP struct {
	announce.VIPReport
	Guard string `json:"guard"`
}

func (p *popState) phase() announce.Phase {
	if p.Drain == nil {
		return ""
	}
	return p.Drain.Phase
}

// operator orders things of one PoP, and looks how they come along.
type operator interface {
	look(ctx context.Context) (*popState, error)
	order(ctx context.Context, do announce.Do, o *orderDetails) error
}

// orderDetails are what a drain may be given.
type orderDetails struct {
	why           string
	grace, during time.Duration
	force         bool
	phase         announce.Phase // to skip
}

// operator returns what the flags ask for; with --local the PoP need not be
// named.
func (f *operateFlags) operator(ctx context.Context, fs *flag.FlagSet, ids []string) (operator, error) {
	if f.local == "" {
		if len(ids) != 1 {
			return nil, usagef(fs, "want one PoP")
		}
		client, err := f.client(fs)
		if err != nil {
			return nil, err
		}
		return &atControl{client, ids[0]}, nil
	}
	if f.tokenFile != "" || len(ids) > 1 {
		return nil, usagef(fs, "--local is one PoP's own: want no --token-file, and at most its id")
	}
	at := newAtPoP(f.local)
	if len(ids) == 1 {
		p, err := at.look(ctx)
		if err != nil {
			return nil, err
		}
		if string(p.PoP) != ids[0] {
			return nil, &refusedError{fmt.Errorf("%s is of PoP %s, not of %s", f.local, p.PoP, ids[0])}
		}
	}
	return at, nil
}

// atControl orders over the control node.
type atControl struct {
	client *follow.Client
	pop    string
}

func (a *atControl) path(kind string) string { return "/api/v1/" + kind + "/" + url.PathEscape(a.pop) }

func (a *atControl) look(ctx context.Context) (*popState, error) {
	p := &popState{}
	return p, answered(a.client.Call(ctx, http.MethodGet, a.path("pops"), nil, p))
}

func (a *atControl) order(ctx context.Context, do announce.Do, o *orderDetails) error {
	body := map[string]any{"why": o.why}
	switch do {
	case announce.DoDrain:
		if o.grace > 0 {
			body["grace"] = o.grace.String()
		}
		if o.during > 0 {
			body["for"] = o.during.String()
		}
		if o.force {
			body["force"] = true
		}
		return answered(a.client.Call(ctx, http.MethodPut, a.path("drains"), body, nil))
	case announce.DoSkip:
		body["phase"] = o.phase
		return answered(a.client.Call(ctx, http.MethodPost, a.path("drains")+"/skip", body, nil))
	}
	return answered(a.client.Call(ctx, http.MethodDelete, a.path("drains"), body, nil))
}

// answered makes of what the control node says what a person wants to read. An
// order that does not go with what there is is a refusedError.
func answered(err error) error {
	var status *follow.StatusError
	if !errors.As(err, &status) {
		return err
	}
	return refused(&follow.StatusError{Path: status.Path, Code: status.Code, Text: inWords(status.Text)})
}

// inWords is the error of a JSON answer, in terms of flags.
func inWords(text string) string {
	var answer struct {
		Error string `json:"error"`
	}
	if json.Unmarshal([]byte(text), &answer) != nil || answer.Error == "" {
		return text
	}
	return strings.ReplaceAll(answer.Error, `say "force": true`, "give --force")
}

// atPoP orders at the PoP itself: HTTP over its agent's socket.
type atPoP struct{ http *http.Client }

func newAtPoP(socket string) *atPoP {
	return &atPoP{&http.Client{
		Timeout: 5 * time.Second,
		Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		}},
	}}
}

func (a *atPoP) look(ctx context.Context) (*popState, error) {
	s := &announce.Status{}
	if err := a.call(ctx, http.MethodGet, "/v1/status", nil, s); err != nil {
		return nil, err
	}
	p := &popState{
		PoP: s.Report.PoP, Speaks: true, Told: time.Now(), Drain: s.Drain,
		Wanted: s.Wanted, Neighbors: s.Neighbors, Events: s.Events,
	}
	if s.Connections >= 0 {
		p.Connections = &s.Connections
	}
	if s.Traffic >= 0 {
		p.Traffic = &s.Traffic
	}
	for _, v := range s.Report.VIPs {
		p.VIPs = append(p.VIPs, popVIP{VIPReport: v})
	}
	return p, nil
}

func (a *atPoP) order(ctx context.Context, do announce.Do, o *orderDetails) error {
	body := map[string]string{"why": o.why}
	if o.grace > 0 {
		body["grace"] = o.grace.String()
	}
	return a.call(ctx, http.MethodPost, "/v1/"+string(do), body, nil)
}

// maxStatus bounds what a PoP says, in bytes.
const maxStatus = 1 << 20

func (a *atPoP) call(ctx context.Context, method, path string, body, answer any) error {
	var r io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return err
		}
		r = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://pop"+path, r)
	if err != nil {
		return err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := a.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxStatus))
	switch {
	case err != nil:
		return err
	case resp.StatusCode/100 != 2:
		return refused(&follow.StatusError{Path: path, Code: resp.StatusCode, Text: inWords(strings.TrimSpace(string(text)))})
	case answer == nil:
		return nil
	}
	return json.Unmarshal(text, answer)
}
