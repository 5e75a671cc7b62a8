package edge

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

func TestFlowHash(t *testing.T) {
	for _, h := range []FlowHash{0, 1, 0x0123456789abcdef, 1<<64 - 1} {
		text, err := json.Marshal(h)
		if err != nil {
			t.Fatal(err)
		}
		var again FlowHash
		if err := json.Unmarshal(text, &again); err != nil || again != h || len(text) != 18 {
			t.Errorf("%x is %s, then %x, %v", uint64(h), text, uint64(again), err)
		}
	}
	for _, s := range []string{`""`, `"123"`, `"0123456789abcdeg"`, `1`, `"0123456789abcdef0"`} {
		var h FlowHash
		if err := json.Unmarshal([]byte(s), &h); err == nil {
			t.Errorf("%s is taken for %x", s, uint64(h))
		}
	}
}

// A key is written to whom it is sent, and nowhere else.
func TestFlowBits(t *testing.T) {
	k := FlowBits{0xab, 15: 0xcd}
	text, err := json.Marshal(FlowKey{Day: 3, Key: k})
	if err != nil || string(text) != `{"day":3,"key":"ab0000000000000000000000000000cd"}` {
		t.Errorf("%s, %v", text, err)
	}
	var again FlowKey
	if err := json.Unmarshal(text, &again); err != nil || again.Key != k {
		t.Errorf("%v, %v", again, err)
	}
	for _, s := range []string{fmt.Sprint(k), fmt.Sprintf("%v %s", again, &again.Key)} {
		if strings.Contains(s, "ab") || strings.Contains(s, "171") {
			t.Errorf("a key is printed: %s", s)
		}
	}
	for _, s := range []string{`"xb0000000000000000000000000000cd"`, `"ab"`} {
		if err := json.Unmarshal([]byte(s), &k); err == nil || strings.Contains(err.Error(), "ab") || strings.Contains(err.Error(), "xb") {
			t.Errorf("%s: %v", s, err)
		}
	}
}
