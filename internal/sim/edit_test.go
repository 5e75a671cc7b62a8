package sim

import (
	"strings"
	"testing"
)

// TestParseEdit: what is wrong with an edit, and what is wanted.
func TestParseEdit(t *testing.T) {
	f := func(edit, want string) {
		t.Helper()
		kind, text, _ := strings.Cut(edit, " ")
		e, err := ParseEdit(EditKind(kind), text)
		switch {
		case want == "" && (err != nil || e.String() != "--"+edit):
			t.Errorf("%s: %v, %v", edit, e, err)
		case want != "" && (err == nil || err.Error() != want):
			t.Errorf("%s: %v, want %s", edit, err, want)
		}
	}
	f("withdraw gru", "")
	f("withdraw *:AS64496", "")
	f("prepend gru:as64496:10", "")
	f("prepend *:0", "")
	f("class gru:64496:peer", "")
	f("add-session gru:64496", "")
	f("add-pop fra:50.03,8.57", "")
	f("add-pop fra:-50.03,8.57:AS64496,64497", "")
	f("cut AS64496:64497", "")
	f("scope gru:64496:SA,NA", "")
	f("no-export gru:AS64497", "")

	f("withdraw ", `"": "" is not the id of a PoP (want POP[:AS])`)
	f("withdraw GRU", `"GRU": "GRU" is not the id of a PoP (want POP[:AS])`)
	f("withdraw gru:iad", `"gru:iad": "iad" is not an AS number (want POP[:AS])`)
	f("withdraw gru:64496:1", `"gru:64496:1": want POP[:AS]`)
	f("prepend gru", `"gru": want POP[:AS]:N`)
	f("prepend gru:11", `"gru:11": "11" is not a number from 0 to 10 (want POP[:AS]:N)`)
	f("prepend gru:AS0:1", `"gru:AS0:1": "AS0" is not an AS number (want POP[:AS]:N)`)
	f("drop-transit gru", `"gru": want POP:AS`)
	f("class gru:64496", `"gru:64496": want POP:AS:RELATION`)
	f("class gru:64496:provider", `"gru:64496:provider": "provider" is not transit, peer or customer (want POP:AS:RELATION)`)
	f("add-session gru:*", `"gru:*": one neighbor is added at a time (want POP:AS[:RELATION])`)
	f("add-pop fra", `"fra": it has no place (want ID:LAT,LON[:AS,...])`)
	f("add-pop *:1,2", `"*:1,2": it has no place (want ID:LAT,LON[:AS,...])`)
	f("add-pop fra:91,8", `"fra:91,8": "91" is not a number of degrees from -90 to 90 (want ID:LAT,LON[:AS,...])`)
	f("add-pop fra:50", `"fra:50": "" is not a number of degrees from -180 to 180 (want ID:LAT,LON[:AS,...])`)
	f("add-pop fra:NaN,8", `"fra:NaN,8": "NaN" is not a number of degrees from -90 to 90 (want ID:LAT,LON[:AS,...])`)
	f("cut 64496", `"64496": want AS:AS`)
	f("cut 64496:x", `"64496:x": "x" is not an AS number (want AS:AS)`)
	f("scope gru:LATAM", `"gru:LATAM": "LATAM" is not one of AF AN AS EU NA OC SA (want POP[:AS]:CONTINENT,...)`)
	f("no-export gru:64496:", `"gru:64496:": "" is not an AS number (want POP[:AS]:AS,...)`)
}

// TestImpossible: edits that do not fit the fleet or the topology.
func TestImpossible(t *testing.T) {
	w := newStory(t, nil)
	f := func(want string, edits ...string) {
		t.Helper()
		var list []Edit
		for _, s := range edits {
			kind, text, _ := strings.Cut(s, " ")
			e, err := ParseEdit(EditKind(kind), text)
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, e)
		}
		if _, err := w.WhatIf("americas", list, 0); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
	f("sim: --withdraw fra: there is no PoP fra", "withdraw fra")
	f("sim: --withdraw sin: sin does not announce americas", "withdraw sin")
	f("sim: --withdraw gru:64499: gru does not announce americas to AS64499 (it does to AS64496, AS64502)", "withdraw gru:64499")
	f("sim: --withdraw gru: gru does not announce americas", "withdraw gru", "withdraw gru")
	f("sim: --drop-transit gru:64502: AS64502 is our peer there", "drop-transit gru:64502")
	f("sim: --add-session gru:64496: gru announces americas to AS64496 already", "add-session gru:64496")
	f("sim: --add-session gru:64499: AS64499 is not in the topology", "add-session gru:64499")
	f("sim: --add-session fra:64496: there is no PoP fra", "add-session fra:64496")
	f("sim: --add-pop gru:1,2: gru is taken", "add-pop gru:1,2")
	f("sim: --add-pop fra:1,2:64499: AS64499 is not in the topology", "add-pop fra:1,2:64499")
	f("sim: --cut 64496:64499: AS64499 is not in the topology", "cut 64496:64499")
	f("sim: --cut 64505:64507: AS64505 and AS64507 have no link", "cut 64505:64507")
	f("sim: --cut 64505:64505: an AS has no link with itself", "cut 64505:64505")
	f("sim: --no-export gru:64499: AS64499 is not in the topology", "no-export gru:64499")
}

// FuzzParseEdit: nothing panics, and what is accepted can be planned or is
// refused in words.
func FuzzParseEdit(f *testing.F) {
	for _, k := range EditKinds {
		for _, s := range []string{"gru", "gru:AS64496", "*:64496:2", "fra:50.03,8.57:AS64496,64497", "64500:64498", "gru:*:NA,SA", "gru::", ":"} {
			f.Add(string(k.Kind), s)
		}
	}
	w := newStory(f, nil)
	f.Fuzz(func(t *testing.T, kind, text string) {
		e, err := ParseEdit(EditKind(kind), text)
		if err != nil {
			return
		}
		if p, err := w.plan("global", []Edit{e}); (err == nil) != (p != nil) {
			t.Errorf("%v: %v, %v", e, p, err)
		}
	})
}
