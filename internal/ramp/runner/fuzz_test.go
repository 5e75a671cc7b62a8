package runner

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// FuzzOrder: the body of a command is refused, or says what it may.
func FuzzOrder(f *testing.F) {
	f.Add([]byte(`{"geography":"us","share":0.2,"why":"to see"}`))
	f.Add([]byte(`{"why":"it burns"}`))
	f.Add([]byte(`{"why":"","share":1e400} {}`))
	f.Add([]byte("{\"why\":\"\\u0000\",\"more\":1}"))
	f.Fuzz(func(t *testing.T, body []byte) {
		o, err := readOrder(httptest.NewRequest(http.MethodPost, "/api/v1/ramps/r/set", bytes.NewReader(body)))
		if err != nil {
			return
		}
		if !(o.Share >= 0 && o.Share <= 1) || o.Why == "" || strings.ContainsAny(o.Why, "\x00\n\r") {
			t.Errorf("%q is taken for %+v", body, o)
		}
	})
}
