package lab_test

import (
	"fmt"
	"testing"
	"time"

	"catchment/lab/delay"
)

// TestLoad: the script does not delay the page's load event, not even from a
// collector that is far away or dead. A page that did wait for the far one
// would take a round trip of 200 ms more at least.
func TestLoad(t *testing.T) {
	w := newWorld(t, iad, lax, gru)
	b := newBrowser(t, w, 4)
	const loaded = `performance.getEntriesByType("navigation")[0].loadEventEnd`
	for _, c := range []struct {
		name      string
		collector delay.Link
	}{
		{"near", delay.Link{RTT: 2 * time.Millisecond}},
		{"far", delay.Link{RTT: 200 * time.Millisecond}},
		{"dead", delay.Link{Down: true}},
	} {
		w.control.SetLink(c.collector)
		// All in one tab, since a new one is still busy with its own start.
		// The query makes the script a new one to the browser's cache.
		steps := []step{open("/none?0"), open("/late?0")}
		const pairs = 20
		for i := range pairs {
			pages := []string{"/none", "/late"}
			for _, page := range []string{pages[i%2], pages[1-i%2]} { // each goes first in every second pair
				steps = append(steps, open(fmt.Sprintf("%s?%s%d", page, c.name, i)), until(loaded+" > 0"),
					eval(`[location.pathname, `+loaded+`]`))
			}
		}
		o := b.view(steps...)
		took := map[string][]float64{}
		for i := 4; i < len(steps); i += 3 {
			r := value[[2]any](t, o, i)
			page, ms := r[0].(string), r[1].(float64)
			took[page] = append(took[page], ms)
		}
		with, without := took["/late"], took["/none"]
		more := make([]float64, pairs)
		for i := range more {
			more[i] = with[i] - without[i]
		}
		median := quantile(more, 0.5)
		t.Logf("figures: load, collector %s: load event after %.1f ms without the script, %.1f ms with it, %+.1f ms in the median of %d pairs",
			c.name, quantile(without, 0.5), quantile(with, 0.5), median, pairs)
		if median > 20 {
			t.Errorf("collector %s: the script delays the load event by %.1f ms", c.name, median)
		}
	}
}
