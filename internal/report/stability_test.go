package report

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"catchment/internal/analysis"
	"catchment/internal/edge"
)

// watched has a day of downloads over two VIPs from four networks: of AS 64496,
// which is well; 64497, whose packets are balanced; 64498, which swallows large
// packets; and 64499, which was watched for a moment.
func watched(t *testing.T) (*analysis.Stability, []analysis.Key, AboutStability) {
	t.Helper()
	by, err := analysis.ParseStabilityKeys("country,subdivision,asn")
	if err != nil {
		t.Fatal(err)
	}
	c := analysis.DefaultStability()
	s := analysis.NewStability(by, c)
	begin := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	r := edge.DownloadRecord{Download: &edge.Download{}}
	add := func(i int, target edge.DownloadTarget, edit func(*edge.Download)) {
		*r.Download = edge.Download{
			Agent: "a", Kind: edge.SlowDownload, Start: begin.Add(time.Duration(i) * 80 * time.Second), Target: target, Family: 4,
			Outcome: edge.DownloadOK, PoP: "iad", PoPEnd: "iad", Connect: 20, Duration: 75000,
		}
		edit(r.Download)
		s.Add(&r)
	}
	for asn, place := range map[uint32]edge.Place{
		64496: {Country: "US", Subdivision: "IL", ASN: 64496, ASName: "Example Access"},
		64497: {Country: "DE", ASN: 64497, ASName: "Beispiel | Netz\x1b[31m"},
		64498: {Country: "BR", ASN: 64498, ASName: "Exemplo Telecom"},
		64499: {Country: "FR", ASN: 64499, ASName: "Exemple"},
	} {
		r.Place = place
		for i := range 1000 {
			if asn == 64499 && i == 20 {
				break
			}
			add(i, "vip:global", func(d *edge.Download) {
				if asn == 64497 && i%20 == 0 {
					d.Outcome, d.Stage, d.Errno, d.Duration = edge.DownloadReset, edge.DownloadBody, "ECONNRESET", 30000
				}
			})
			add(i, "pop:iad", func(d *edge.Download) {
				if asn == 64496 && i == 500 {
					d.Outcome, d.Stage, d.Duration = edge.DownloadStall, edge.DownloadBody, 45000
				}
			})
			if i%4 == 0 {
				add(i, "vip:global", func(d *edge.Download) {
					d.Kind, d.Duration = edge.BigDownload, 300
					if asn == 64498 {
						d.Outcome, d.Stage = edge.DownloadStall, edge.DownloadBody
					}
				})
				add(i, "vip:global", func(d *edge.Download) {
					d.Kind, d.Duration, d.Served = edge.LookDownload, 100, []edge.PoPID{"iad", "iad", "iad"}
					if asn == 64497 && i%8 == 0 {
						d.Served, d.Flips = []edge.PoPID{"iad", "lax", "lax"}, 1
					}
				})
			}
		}
		if asn == 64496 {
			add(1, "vip:americas", func(d *edge.Download) {
				d.Outcome, d.Stage, d.Connect, d.Duration, d.PoP, d.PoPEnd = edge.DownloadTimeout, edge.DownloadConnecting, 0, 0, "", ""
			})
		}
	}
	return s, by, AboutStability{
		Totals: s.Totals(), Criteria: c, Networks: s.Networks(), Limit: 50,
		Resets: func(group []analysis.Label) (uint64, uint64) {
			if group[0].Text == "global" && group[len(group)-1].Number == 64497 {
				return 1234, 1200
			}
			return 0, 0
		},
	}
}

func TestStability(t *testing.T) {
	s, by, about := watched(t)
	r := s.Rows()
	render := func(f Format) string {
		var out bytes.Buffer
		if err := Stability(&out, f, by, r, about); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	for f, ext := range map[Format]string{Table: "txt", CSV: "csv", JSON: "json", Markdown: "md"} {
		golden(t, "stability."+ext, render(f))
	}
	var out bytes.Buffer
	if err := StabilityAnswers(&out, by, r, about); err != nil {
		t.Fatal(err)
	}
	golden(t, "stability-answers.csv", out.String())

	// People, programs and CSV get the same line.
	var all struct {
		Answers []struct{ VIP, Answer string }
		Groups  []struct{ Verdict string }
	}
	if err := json.Unmarshal([]byte(render(JSON)), &all); err != nil {
		t.Fatal(err)
	}
	if len(all.Answers) != 2 || len(all.Groups) != 5 {
		t.Fatalf("%+v", all)
	}
	for _, a := range all.Answers {
		if a.Answer == "" || !strings.Contains(render(Table), a.Answer+"\n") || !strings.Contains(out.String(), a.Answer) {
			t.Errorf("%s: %q is not in all forms", a.VIP, a.Answer)
		}
	}
	about.Limit = 1
	if err := json.Unmarshal([]byte(render(JSON)), &all); err != nil || len(all.Answers) != 2 || len(all.Groups) != 1 {
		t.Errorf("with a limit of one: %v, %+v", err, all)
	}
	out.Reset()
	if err := StabilityGroups(&out, by, r, about); err != nil || !json.Valid(out.Bytes()) || out.Bytes()[0] != '[' {
		t.Errorf("%v\n%s", err, out.String())
	}
}

func TestFlips(t *testing.T) {
	s, by, about := watched(t)
	for f, ext := range map[Format]string{Table: "txt", CSV: "csv", JSON: "json", Markdown: "md"} {
		var out bytes.Buffer
		if err := Flips(&out, f, by, s.Flips(), about); err != nil {
			t.Fatal(err)
		}
		golden(t, "flips."+ext, out.String())
	}
}
