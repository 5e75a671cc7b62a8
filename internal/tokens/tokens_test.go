package tokens

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	first  = "aaaaaaaaaaaaaaaaaaaaaa-1"
	second = "bbbbbbbbbbbbbbbbbbbbbb-2"
)

func TestParseRefuses(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		_, line, err := Parse(strings.NewReader(text))
		if err == nil || fmt.Sprintf("%d: %v", line, err) != want {
			t.Errorf("%d: %v, want %s", line, err, want)
		}
	}
	f("relay iad", "1: 2 words (want a role, an id and a token)")
	f("# x\nrelay iad a b", "2: 4 words (want a role, an id and a token)")
	f("relay iad hunter2", "1: the token of relay iad has 7 characters (want at least 22)")
	f("root iad "+first, `1: role "root" (want one of [relay dns pop synth operator viewer])`)
	f("relay iad "+first+"\npop iad "+first, "2: the token of pop iad is another's too")
}

func TestIdentify(t *testing.T) {
	known, _, err := Parse(strings.NewReader("# ours\npop iad " + first + "\n\noperator alice " + second + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	f := func(header string, role Role, id string, code int) {
		t.Helper()
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Authorization", header)
		gotRole, gotID, ok := known.Identify(r)
		if gotRole != role || gotID != id || ok != (role != "") {
			t.Errorf("%s: %q %q %v", header, gotRole, gotID, ok)
		}
		w := httptest.NewRecorder()
		w.Code = http.StatusOK
		if id, ok := known.Allow(w, r, PoP); w.Code != code || ok != (code == 200) || ok && id != "iad" {
			t.Errorf("%s: %d %q %v", header, w.Code, id, ok)
		}
	}
	f("Bearer "+first, PoP, "iad", 200)
	f("bearer  "+first+" ", PoP, "iad", 200)
	f("Bearer "+second, Operator, "alice", 403)
	f("Bearer "+first+"x", "", "", 401)
	f("Basic "+first, "", "", 401)
	f("", "", "", 401)
	if _, _, ok := (*Tokens)(nil).Identify(httptest.NewRequest("GET", "/", nil)); ok {
		t.Error("no tokens know somebody")
	}
}

func TestRead(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	f := func(text, want string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := Read(file)
		if got != want || (err == nil) != (want != "") || err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	f(first+"\n", first)
	f("hunter2", "")
	f(first+"\n"+second+"\n", "")
}

func TestIDs(t *testing.T) {
	known, _, err := Parse(strings.NewReader("dns ns2 " + strings.Repeat("a", 22) + "\ndns ns1 " + strings.Repeat("b", 22) + "\ndns ns2 " + strings.Repeat("c", 22) + "\npop iad " + strings.Repeat("d", 22) + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(known.IDs(DNS), known.IDs(PoP), known.IDs(Relay), (*Tokens)(nil).IDs(DNS)); got != "[ns1 ns2] [iad] [] []" {
		t.Error(got)
	}
}
