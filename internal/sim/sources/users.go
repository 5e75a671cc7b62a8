package sources

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// economy is how many users an AS has in a country.
type economy struct {
	asn     uint32
	country country
	users   float64
}

// maxUsers is what topology.Build takes for one AS and place.
const maxUsers = 1e10

// Users reads APNIC's estimate of users by AS and economy, as
// https://stats.labs.apnic.net/cgi-bin/aspop gives it with f=c (CSV with titles)
// or f=j (JSON), or aspopjson. From then on users are where these say, and not
// where addresses are. The error is Problems.
func (s *Set) Users(name string, r io.Reader) error {
	f, text, err := s.open("users", name, r)
	if err != nil {
		return err
	}
	before := len(s.users)
	in := bufio.NewReaderSize(text, 1<<12)
	switch first, err := firstByte(in); {
	case err != nil:
		return f.broken(0, err)
	case first == '{' || first == '[':
		err = s.usersJSON(f, in)
		if err != nil {
			return err
		}
	default:
		if err := s.usersCSV(f, in); err != nil {
			return err
		}
	}
	if len(s.users) == before && len(f.problems) == 0 {
		f.problem(0, "no users (want rows with an AS, an economy and users)")
	}
	s.counted = true
	return s.done(f)
}

// firstByte returns the first byte that is not space, without reading it; 0 at
// the end.
func firstByte(r *bufio.Reader) (byte, error) {
	for {
		b, err := r.ReadByte()
		if errors.Is(err, io.EOF) {
			return 0, nil
		}
		if err != nil {
			return 0, err
		}
		if b != ' ' && b != '\t' && b != '\r' && b != '\n' {
			return b, r.UnreadByte()
		}
	}
}

// user keeps a row. What it returns is not empty if it cannot be.
func (s *Set) user(asn, cc, users []byte, text string) string {
	n, err := parseASN(asn)
	if err != nil {
		return err.Error()
	}
	count, err := parseUsers(users)
	if err != nil {
		return err.Error()
	}
	if len(s.users) >= maxRecords {
		return fmt.Sprintf("too many rows (want at most %d)", maxRecords)
	}
	c, _ := parseCountry(cc) // APNIC has users in nowhere
	s.users = append(s.users, economy{n, c, count})
	s.name(n, text, fromUsers)
	return ""
}

// parseUsers reads a number that may have commas between thousands.
func parseUsers(b []byte) (float64, error) {
	if len(b) <= 32 && !bytes.ContainsAny(b, "xXpP_") {
		v, err := strconv.ParseFloat(strings.ReplaceAll(string(b), ",", ""), 64)
		if err == nil && v >= 0 && v <= maxUsers {
			return v, nil
		}
	}
	return 0, fmt.Errorf("%s is not a number of users (want 0 to %.0f)", quote(b), maxUsers)
}

func (s *Set) usersJSON(f *file, text io.Reader) error {
	return f.records(text, func(_, at string, v jsontext.Value) bool {
		var row struct {
			AS          jsontext.Value `json:"AS"`
			ASN         jsontext.Value `json:"asn"`
			CC          string         `json:"CC"`
			Users       jsontext.Value `json:"Users"`
			Description string         `json:"Description"`
			Descr       string         `json:"descr"`
		}
		if err := json.Unmarshal(v, &row, lenient); err != nil {
			return f.problemAt(at, "%s", reason(err))
		}
		asn := row.AS
		if asn == nil {
			asn = row.ASN
		}
		if msg := s.user(bytes.Trim(asn, `"`), []byte(row.CC), bytes.Trim(row.Users, `"`), row.Description+row.Descr); msg != "" {
			return f.problemAt(at, "%s", msg)
		}
		return false
	})
}

// lenient is how records are read: these files are ISO 8859-1 or UTF-8, with
// names in small letters or capitals.
var lenient = json.JoinOptions(jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true), json.MatchCaseInsensitiveNames(true))

// reason shortens an error about a record.
func reason(err error) string {
	var e *json.SemanticError
	if errors.As(err, &e) {
		return fmt.Sprintf("%s: a %v is not what is wanted here", strings.TrimPrefix(string(e.JSONPointer), "/"), e.JSONKind)
	}
	return err.Error()
}

// maxPreamble is how many lines may come before the titles.
const maxPreamble = 20

func (s *Set) usersCSV(f *file, text io.Reader) error {
	var row [][]byte
	column := map[string]int{}
	return f.lines(text, 0, func(line int, b []byte) (stop bool) {
		var err error
		if row, err = fields(row, b); err != nil {
			return f.problem(line, "%v", err)
		}
		if len(column) == 0 {
			if column = userColumns(row); len(column) == 0 && line >= maxPreamble {
				f.problem(line, "no titles (want columns AS, CC and Users)")
				return true
			}
			return false
		}
		if b[0] == '#' {
			return false
		}
		get := func(title string) []byte {
			if i, ok := column[title]; ok && i < len(row) {
				return row[i]
			}
			return nil
		}
		if len(row) <= column["users"] {
			return f.problem(line, "%d fields (want at least %d)", len(row), column["users"]+1)
		}
		if msg := s.user(get("as"), get("cc"), get("users"), string(get("name"))); msg != "" {
			return f.problem(line, "%s", msg)
		}
		return false
	})
}

// userColumns returns where the columns as, cc, users and perhaps name are;
// nothing if the row has no such titles.
func userColumns(row [][]byte) map[string]int {
	found := map[string]int{}
	for i, title := range row {
		switch t := strings.ToLower(strings.TrimLeft(string(title), "# ")); {
		case t == "as" || t == "asn":
			found["as"] = i
		case t == "cc" || t == "economy":
			found["cc"] = i
		case t == "users" || strings.HasPrefix(t, "users ("):
			found["users"] = i
		case t == "as name" || t == "description" || t == "descr":
			found["name"] = i
		}
	}
	for _, title := range []string{"as", "cc", "users"} {
		if _, ok := found[title]; !ok {
			return nil
		}
	}
	return found
}
