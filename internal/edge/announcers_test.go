package edge

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAnnouncers(t *testing.T) {
	speaker := &BGP{ASN: 64500}
	f := &Fleet{
		PoPs:    []PoP{{ID: "iad", BGP: speaker}, {ID: "fra", BGP: speaker}, {ID: "nrt"}},
		VIPs:    []VIP{{ID: "global"}, {ID: "emea"}},
		Regions: []Region{{ID: "emea", VIP: "emea", PoPs: []PoPID{"fra", "nrt"}}},
	}
	if diff := cmp.Diff(map[VIPID][]PoPID{"global": {"iad", "fra"}, "emea": {"fra"}}, f.Announcers()); diff != "" {
		t.Error(diff)
	}
	for pop, want := range map[PoPID]int{"iad": 1, "fra": 2, "nrt": 2} {
		if got := f.VIPsOf(pop); len(got) != want || got[0].ID != "global" {
			t.Errorf("%s: %+v, want %d", pop, got, want)
		}
	}
}
