package dash

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"
)

// FuzzQuestion: parameters of any page are refused, with the name of one of
// them, or ask the same question when they are asked again.
func FuzzQuestion(f *testing.F) {
	f.Add("compare", "by=country,subdivision&days=30&continent=SA&sort=-diff-global&limit=10&format=csv")
	f.Add("offenders", "scheme=regional&since=2026-11-01&until=2026-11-08&asn=AS64496")
	f.Add("catchments/changes", "from=2026-11-01&to=2026-11-02T00:00:00Z&min_views=1")
	f.Add("resolvers", "by=country,resolver&far=100")
	f.Add("whatif", "vip=global&edit=withdraw+gru&edit=prepend+iad:2")
	f.Add("stability", "days=0")
	d := &Dash{cfg: Config{Now: func() time.Time { return testNow }}}
	f.Fuzz(func(t *testing.T, page, text string) {
		ask := d.pages()[page]
		values, err := url.ParseQuery(text)
		if ask == nil || err != nil {
			return
		}
		key := func() string {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.SetPathValue("pop", "iad")
			q := &query{values: values}
			asked := ask(r, q)
			if wrong := q.done(); wrong != nil {
				if wrong.Field == "" || wrong.status != http.StatusBadRequest {
					t.Errorf("%s?%s is refused by %+v", page, text, wrong)
				}
				return ""
			}
			return asked.key
		}
		if a, b := key(), key(); a != b {
			t.Errorf("%s?%s asks %q and %q", page, text, a, b)
		}
	})
}
