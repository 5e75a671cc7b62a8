package beacon

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"catchment/internal/edge"
)

func testKeys(t testing.TB, seeds ...byte) *Keys {
	t.Helper()
	var secrets [][]byte
	for _, s := range seeds {
		secrets = append(secrets, bytes.Repeat([]byte{s}, keyBytes))
	}
	k, err := NewKeys(secrets...)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// lineFleet has n PoPs on the equator, p0 at 0° and each a degree (111.2 km)
// further east than the one before.
func lineFleet(n int) *edge.Fleet {
	f := &edge.Fleet{Probe: "probe.example.net"}
	for i := range n {
		f.PoPs = append(f.PoPs, edge.PoP{
			ID:      edge.PoPID(fmt.Sprintf("p%d", i)),
			Place:   edge.Place{Lat: 1e-9, Lon: float64(i)},
			Unicast: []netip.Addr{netip.AddrFrom4([4]byte{192, 0, 2, byte(i)})},
		})
	}
	return f
}

func TestMakePlan(t *testing.T) {
	keys, now := testKeys(t, 1), time.Unix(1_790_000_000, 0)
	rng := rand.New(rand.NewPCG(1, 2))
	p := MakePlan(testFleet(), edge.Place{Lat: 40, Lon: -75}, rng, now, 5*time.Minute, keys, ProbeURL("probe.edge.example.net"))
	if !keys.VerifyPlan(p.ID, now) {
		t.Error("the plan's id does not verify")
	}
	for i, probe := range p.Probes {
		label, rest, _ := strings.Cut(strings.TrimPrefix(probe.URL, "https://"), ".")
		if rest != "probe.edge.example.net/o" || len(label) > 63 {
			t.Errorf("URL %s", probe.URL)
		}
		n, ok := keys.VerifyNonce(label, now)
		if want := (Nonce{p.ID, Label(probe.Target), i, now}); !ok || n != want {
			t.Errorf("nonce of %s is %+v, want %+v", probe.URL, n, want)
		}
		p.Probes[i].URL = "" // has been looked at
	}
	text, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"id":"` + p.ID + `","ttl":300,"probes":[{"target":"regional","url":""},` +
		`{"target":"global","url":""},{"target":"pop:lax","url":""},{"target":"unicast","url":""},{"target":"pop:iad","url":""},{"target":"pop:gru","url":""}]}`
	var a, b any
	if json.Unmarshal(text, &a) != nil || json.Unmarshal([]byte(want), &b) != nil {
		t.Fatal("not JSON")
	}
	if diff := cmp.Diff(b, a); diff != "" {
		t.Error(diff)
	}
}

func TestVerify(t *testing.T) {
	var (
		now   = time.Unix(1_790_000_000, 0)
		old   = testKeys(t, 1)
		fresh = testKeys(t, 2, 1) // rotated
		other = testKeys(t, 3)
		plan  = MakePlan(lineFleet(3), edge.Place{}, rand.New(rand.NewPCG(1, 1)), now, time.Minute, old, func(target edge.Target, nonce string) string {
			return Label(target) + "-" + nonce
		})
		label = plan.Probes[0].URL
	)
	f := func(keys *Keys, id, label string, at time.Time, want bool) {
		t.Helper()
		if got := keys.VerifyPlan(id, at); got != want {
			t.Errorf("plan %s: %v", id, got)
		}
		n, got := keys.VerifyNonce(label, at)
		if got != want || got && n.Plan != plan.ID {
			t.Errorf("nonce %s: %v %+v", label, got, n)
		}
	}
	f(old, plan.ID, label, now, true)
	f(fresh, plan.ID, label, now, true)
	f(other, plan.ID, label, now, false)
	f(old, plan.ID, label, now.Add(time.Hour), true)
	f(old, plan.ID, label, now.Add(time.Hour+time.Second), false)
	f(old, plan.ID, label, now.Add(-time.Minute), true)
	f(old, plan.ID, label, now.Add(-time.Minute-time.Second), false)

	// No character can be changed, none added, none left out.
	for i := range plan.ID {
		changed := []byte(plan.ID)
		changed[i] = map[bool]byte{true: '1', false: '0'}[changed[i] == '0']
		if old.VerifyPlan(string(changed), now) {
			t.Errorf("%s passes for %s", changed, plan.ID)
		}
	}
	nonce := label[strings.LastIndexByte(label, '-')+1:]
	if len(plan.ID) != 32 || len(nonce) != 34 {
		t.Errorf("id of %d, nonce of %d characters", len(plan.ID), len(nonce))
	}
	for i := range nonce {
		changed := []byte(label)
		j := len(label) - len(nonce) + i
		changed[j] = map[bool]byte{true: '1', false: '0'}[changed[j] == '0']
		if _, ok := old.VerifyNonce(string(changed), now); ok {
			t.Errorf("%s passes for %s", changed, label)
		}
	}
	for _, bad := range []string{"", "-", "x", plan.ID + "0", plan.ID[:31], strings.ToUpper(plan.ID), strings.Repeat("z", 32)} {
		if old.VerifyPlan(bad, now) {
			t.Errorf("plan %q passes", bad)
		}
	}
	for _, bad := range []string{"", "-", nonce, "-" + nonce, "global-" + nonce, label + "0", label[:len(label)-1], strings.Repeat("a", 64)} {
		if _, ok := old.VerifyNonce(bad, now); ok {
			t.Errorf("label %q passes", bad)
		}
	}
	// Resolvers vary the letter case (draft-vixie-dnsext-dns0x20).
	if n, ok := old.VerifyNonce(strings.ToUpper(label), now); !ok || n.Plan != plan.ID {
		t.Errorf("in capitals: %v %+v", ok, n)
	}
	// A plan's id is not a nonce, and the other way round.
	if _, ok := old.VerifyNonce("x-"+plan.ID, now); ok || old.VerifyPlan(nonce, now) {
		t.Error("id and nonce pass for each other")
	}
}

func TestLoadKeys(t *testing.T) {
	file := filepath.Join(t.TempDir(), "plan.key")
	now := time.Now()
	made, err := LoadKeys(file)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, %v", info.Mode(), err)
	}
	again, err := LoadKeys(file)
	if err != nil {
		t.Fatal(err)
	}
	id := made.planID(0, newSeed(now, 1))
	if !again.VerifyPlan(id, now) {
		t.Error("the keys of a file differ from those it was made with")
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(file), ".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}

	f := func(text, want string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := LoadKeys(file)
		if err == nil || strings.ReplaceAll(err.Error(), file, "FILE") != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
	secret := strings.Repeat("5e", 32)
	f("# none\n", "beacon: 0 plan keys (want 1 to 8) in FILE")
	f(secret+"\n\n"+secret[:62], "beacon: FILE:3: want 64 hexadecimal digits")
	f(strings.Repeat(secret+"\n", 9), "beacon: 9 plan keys (want 1 to 8) in FILE")
}

func BenchmarkMakePlan(b *testing.B) {
	keys, now := testKeys(b, 1), time.Unix(1_790_000_000, 0)
	fleet, url := lineFleet(40), ProbeURL("probe.example.net")
	fleet.VIPs = []edge.VIP{{ID: "global"}}
	rng := rand.New(rand.NewPCG(1, 2))
	b.ReportAllocs()
	for b.Loop() {
		MakePlan(fleet, edge.Place{Lat: 1, Lon: 20}, rng, now, time.Minute, keys, url)
	}
}

// FuzzVerifyNonce: labels come from DNS queries.
func FuzzVerifyNonce(f *testing.F) {
	keys, now := testKeys(f, 1), time.Unix(1_790_000_000, 0)
	good := "global-" + keys.nonce(newSeed(now, 7), 3, "global")
	f.Add(good)
	f.Add(strings.ToUpper(good))
	f.Add("global-")
	f.Fuzz(func(t *testing.T, label string) {
		if n, ok := keys.VerifyNonce(label, now); ok && !strings.EqualFold(label, good) {
			t.Errorf("forged: %q is %+v", label, n)
		}
		keys.VerifyPlan(label, now)
	})
}
