package authdns

import (
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// maxRecords bounds a zone file; its names are compiled into answers.
const maxRecords = 200_000

// Zone is the static part of what a Server answers: a zone file. It is
// immutable.
type Zone struct {
	origin  name
	records []dns.RR // owners in lower case; the SOA first
}

// ParseZone reads a zone file (RFC 1035, section 5) for origin. File is its
// name, for errors. $INCLUDE is not followed. The error names everything that
// is wrong, other than that a file is read no further than its first mistake
// of syntax.
func ParseZone(r io.Reader, origin, file string) (*Zone, error) {
	at, err := newName(origin)
	if err != nil {
		return nil, fmt.Errorf("authdns: zone: %w", err)
	}
	z := &Zone{origin: at}
	parser := dns.NewZoneParser(r, at.text(), file)
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		if len(z.records) == maxRecords {
			return nil, fmt.Errorf("authdns: %s: more than %d records", file, maxRecords)
		}
		owner, err := newName(rr.Header().Name)
		if err != nil {
			return nil, fmt.Errorf("authdns: %s: %w", file, err)
		}
		rr.Header().Name = owner.text()
		z.records = append(z.records, rr)
	}
	if err := parser.Err(); err != nil {
		return nil, fmt.Errorf("authdns: %w", err)
	}
	if err := z.check(); err != nil {
		return nil, fmt.Errorf("authdns: %s: %w", file, err)
	}
	return z, nil
}

// Origin returns the zone's name, without the trailing dot.
func (z *Zone) Origin() string { return strings.TrimSuffix(z.origin.text(), ".") }

// Check says what keeps a Server from answering for the zone, with probe names
// under probe (none if it is empty) and by a state.
func (z *Zone) Check(probe string, state State) error {
	c := content{zone: z, State: state}
	if probe != "" {
		var err error
		if c.probe, err = newName(probe); err != nil {
			return fmt.Errorf("authdns: probe zone: %w", err)
		}
	}
	if _, err := build(c, nil, time.Time{}); err != nil {
		return fmt.Errorf("authdns: %w", err)
	}
	return nil
}

// generated are the types that the server makes itself.
var generated = []uint16{dns.TypeRRSIG, dns.TypeNSEC, dns.TypeNSEC3, dns.TypeNSEC3PARAM, dns.TypeDNSKEY, dns.TypeCDS, dns.TypeCDNSKEY}

// check looks at each record, and puts the SOA first.
func (z *Zone) check() error {
	var errs []error
	fail := func(rr dns.RR, format string, args ...any) {
		h := rr.Header()
		errs = append(errs, fmt.Errorf("%s %s: %s", h.Name, dns.TypeToString[h.Rrtype], fmt.Sprintf(format, args...)))
	}
	var soa []dns.RR
	apexNS := false
	var rest []dns.RR
	seen := map[string]bool{}
	for _, rr := range z.records {
		h := rr.Header()
		owner, _ := newName(h.Name) // has been read once
		if err := whole(rr); err != nil {
			fail(rr, "%v", err)
			continue
		}
		switch {
		case h.Class != dns.ClassINET:
			fail(rr, "class %s (want IN)", dns.ClassToString[h.Class])
		case !owner.under(z.origin):
			fail(rr, "not in the zone %s", z.origin.text())
		case slices.Contains(generated, h.Rrtype):
			fail(rr, "is made by the server: leave it out")
		case h.Rrtype == 0, h.Rrtype == dns.TypeOPT, h.Rrtype >= 128 && h.Rrtype <= 255, h.Rrtype == unused:
			fail(rr, "type %d is not one of data (RFC 6895, section 3.1)", h.Rrtype)
		case h.Rrtype == dns.TypeDNAME:
			fail(rr, "is not supported")
		case strings.Contains(rr.String(), `\000.`):
			fail(rr, `a label is \000 (reserved for templates of answers)`)
		case h.Ttl > 1<<31-1:
			fail(rr, "TTL %d (want at most 2147483647, RFC 2181, section 8)", h.Ttl)
		case h.Rrtype == dns.TypeSOA:
			if soa = append(soa, rr); owner != z.origin {
				fail(rr, "not at the top of the zone")
			}
			continue
		case h.Rrtype == dns.TypeNS && owner == z.origin:
			apexNS = true
		case h.Rrtype == dns.TypeNS && owner.first() == "*":
			fail(rr, "a wildcard cannot be delegated")
		}
		if key := recordKey(rr); !seen[key] {
			seen[key] = true
			rest = append(rest, rr)
		}
	}
	if len(soa) != 1 {
		errs = append(errs, fmt.Errorf("%d SOA records (want 1)", len(soa)))
	}
	if !apexNS {
		errs = append(errs, errors.New("no NS records at the top of the zone"))
	}
	z.records = append(soa, rest...)
	return errors.Join(errs...)
}

// whole returns an error if a record lacks some of its data: the library also
// reads those of dynamic updates, which have none, and parts of them in the
// form of RFC 3597.
func whole(rr dns.RR) error {
	if _, err := dns.PackRR(rr, make([]byte, dns.Len(rr)+maxName), 0, nil, false); err != nil {
		return err
	}
	h := rr.Header()
	_, known := dns.TypeToRR[h.Rrtype]
	if known && h.Rdlength == 0 && h.Rrtype != dns.TypeAPL && h.Rrtype != dns.TypeNULL || lacksName(reflect.ValueOf(rr).Elem()) {
		return errors.New("has data missing")
	}
	return nil
}

// lacksName reports whether a domain name in a record's data is not there: even
// the root has a dot.
func lacksName(data reflect.Value) bool {
	for i := range data.NumField() {
		f, tag := data.Field(i), data.Type().Field(i).Tag.Get("dns")
		if f.Kind() == reflect.Struct && f.Type() != reflect.TypeFor[dns.RR_Header]() && lacksName(f) ||
			f.Kind() == reflect.String && strings.HasSuffix(tag, "domain-name") && f.String() == "" {
			return true
		}
	}
	return false
}

// recordKey tells records apart by all but their TTL.
func recordKey(rr dns.RR) string {
	h := rr.Header()
	return h.Name + "\t" + strings.TrimPrefix(rr.String(), h.String()) + "\t" + fmt.Sprint(h.Rrtype)
}
