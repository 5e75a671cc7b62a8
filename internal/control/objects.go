package control

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"catchment/internal/edge"
)

// duration is a time.Duration as text: "90s", "2h".
type duration time.Duration

// UnmarshalText reads it.
func (d *duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	*d = duration(v)
	return err
}

// ending is when something ends by itself: at a time, or after a while.
type ending struct {
	Until time.Time `json:"until"`
	For   duration  `json:"for"`
}

func (e *ending) at(now time.Time) (time.Time, *apiError) {
	switch {
	case e.For != 0 && !e.Until.IsZero():
		return time.Time{}, refuse(http.StatusBadRequest, "for", "want until or for, not both")
	case e.For < 0:
		return time.Time{}, refuse(http.StatusBadRequest, "for", "is negative")
	case e.For > 0:
		return now.Add(time.Duration(e.For)), nil
	case !e.Until.IsZero() && !e.Until.After(now):
		return time.Time{}, refuse(http.StatusBadRequest, "until", "%v has passed", e.Until)
	}
	return e.Until.UTC(), nil
}

func makeShed(q *request, _ json.RawMessage) (any, *apiError) {
	var b struct {
		*common
		Share   *float64     `json:"share"`
		Granule edge.Granule `json:"granule"`
	}
	b.common = &q.common
	if err := q.body(&b); err != nil {
		return nil, err
	}
	if b.Share == nil {
		return nil, refuse(http.StatusBadRequest, "share", "is missing")
	}
	return edge.Shed{PoP: edge.PoPID(q.id), Share: *b.Share, Granule: b.Granule, By: q.who, Why: q.Why}, nil
}

func makeRamp(q *request, former json.RawMessage) (any, *apiError) {
	var b struct {
		*common
		Service string       `json:"service"`
		Scheme  edge.Scheme  `json:"scheme"`
		Share   *float64     `json:"share"`
		Salt    string       `json:"salt"`
		Where   edge.Where   `json:"where"`
		Granule edge.Granule `json:"granule"`
	}
	b.common = &q.common
	if err := q.body(&b); err != nil {
		return nil, err
	}
	if b.Share == nil {
		return nil, refuse(http.StatusBadRequest, "share", "is missing")
	}
	r := edge.Ramp{
		ID: q.id, Service: b.Service, Scheme: b.Scheme, Share: *b.Share, Salt: b.Salt,
		Where: b.Where, Granule: b.Granule, By: q.who, Why: q.Why,
	}
	if former == nil {
		if r.Salt == "" {
			r.Salt = rand.Text()
		}
		return r, nil
	}
	var was edge.Ramp
	_ = json.Unmarshal(former, &was) // load has decoded it
	if r.Salt == "" {
		r.Salt = was.Salt
	}
	const stays = "stays for as long as the ramp is there: it decides who is in it"
	switch {
	case r.Salt != was.Salt:
		return nil, refuse(http.StatusConflict, "salt", stays)
	case r.Granule != was.Granule:
		return nil, refuse(http.StatusConflict, "granule", stays)
	case r.Service != was.Service:
		return nil, refuse(http.StatusConflict, "service", stays)
	case r.Scheme != was.Scheme:
		return nil, refuse(http.StatusConflict, "scheme", stays)
	}
	return r, nil
}

func makePin(q *request, _ json.RawMessage) (any, *apiError) {
	var b struct {
		*common
		ending
		Client   netip.Prefix `json:"client"`
		ASN      uint32       `json:"asn"`
		Resolver netip.Prefix `json:"resolver"`
		Service  string       `json:"service"`
		Scheme   edge.Scheme  `json:"scheme"`
		PoP      edge.PoPID   `json:"pop"`
	}
	b.common = &q.common
	if err := q.body(&b); err != nil {
		return nil, err
	}
	until, err := b.at(q.now)
	return edge.Pin{
		Client: b.Client, ASN: b.ASN, Resolver: b.Resolver, Service: b.Service, Scheme: b.Scheme, PoP: b.PoP,
		By: q.who, Why: q.Why, Until: until,
	}, err
}

func makeWeight(q *request, _ json.RawMessage) (any, *apiError) {
	var b struct {
		*common
		Weight *float64 `json:"weight"`
	}
	b.common = &q.common
	if err := q.body(&b); err != nil {
		return nil, err
	}
	if b.Weight == nil {
		return nil, refuse(http.StatusBadRequest, "weight", "is missing")
	}
	service, pop, _ := strings.Cut(q.id, "/")
	return edge.Weight{Service: service, PoP: edge.PoPID(pop), Weight: *b.Weight}, nil
}

func makePolicy(q *request, _ json.RawMessage) (any, *apiError) {
	var b struct {
		*common
		HealthyFloor float64  `json:"healthy_floor"`
		MinSamples   int      `json:"min_samples"`
		MinTTL       duration `json:"min_ttl"`
		Settle       duration `json:"settle"`
	}
	b.common = &q.common
	if err := q.body(&b); err != nil {
		return nil, err
	}
	return edge.Policy{
		HealthyFloor: b.HealthyFloor, MinSamples: b.MinSamples,
		MinTTL: time.Duration(b.MinTTL), Settle: time.Duration(b.Settle),
	}, nil
}

// Limits of a challenge.
const (
	challengeFor  = time.Hour // unless told
	challengeMost = 24 * time.Hour
	maxValues     = 16
	maxValue      = 255 // bytes, of one character string (RFC 1035, section 3.3)
)

func makeChallenge(q *request, former json.RawMessage) (any, *apiError) {
	var b struct {
		*common
		ending
		Value  string   `json:"value"`  // one more
		Values []string `json:"values"` // these instead of those there were
	}
	b.common = &q.common
	if err := q.body(&b); err != nil {
		return nil, err
	}
	x := edge.Challenge{Name: q.id, Values: b.Values}
	switch {
	case !strings.HasPrefix(q.id, "_acme-challenge."):
		return nil, refuse(http.StatusUnprocessableEntity, "name", "%q does not begin with _acme-challenge.", q.id)
	case (b.Value == "") == (len(b.Values) == 0):
		return nil, refuse(http.StatusBadRequest, "value", "want value, which is added, or values, which replace")
	case b.Value != "":
		_ = json.Unmarshal(former, &x) // load has decoded it; there may be none
		if !slices.Contains(x.Values, b.Value) {
			x.Values = append(x.Values, b.Value)
		}
	}
	if len(x.Values) > maxValues {
		return nil, refuse(http.StatusUnprocessableEntity, "values", "%d are more than %d", len(x.Values), maxValues)
	}
	for _, v := range x.Values {
		if v == "" || len(v) > maxValue || strings.ContainsFunc(v, func(r rune) bool { return r < '!' || r > '~' }) {
			return nil, refuse(http.StatusUnprocessableEntity, "values", "%q: want 1 to %d printable ASCII characters", v, maxValue)
		}
	}
	if b.For == 0 && b.Until.IsZero() {
		b.For = duration(challengeFor)
	}
	var err *apiError
	if x.Until, err = b.at(q.now); err == nil && x.Until.Sub(q.now) > challengeMost {
		err = refuse(http.StatusUnprocessableEntity, "until", "a challenge may stay for %v", challengeMost)
	}
	return x, err
}

func lessChallenge(former json.RawMessage, value string) any {
	var x edge.Challenge
	_ = json.Unmarshal(former, &x) // load has decoded it
	x.Values = slices.DeleteFunc(x.Values, func(v string) bool { return v == value })
	if len(x.Values) == 0 {
		return nil
	}
	return x
}
