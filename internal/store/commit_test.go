package store

import (
	"testing"
	"time"
)

// A beacon amid others waits for company; one after a silence does not, and a
// lone producer less and less often.
func TestPace(t *testing.T) {
	const delay = time.Hour
	var p pace
	if p.tryWaiting(delay) {
		t.Error("the first one waits")
	}
	p.committed(1)
	var waited []int
	for i := range 40 {
		if p.tryWaiting(delay) {
			waited = append(waited, i)
		}
		p.committed(1)
	}
	if len(waited) != 5 || waited[0] != 0 || waited[1] != 2 || waited[2] != 6 || waited[3] != 14 || waited[4] != 30 {
		t.Errorf("a lone producer waits at %v", waited)
	}
	p.committed(2)
	for range 3 {
		if !p.tryWaiting(delay) {
			t.Error("one after a group in company does not wait")
		}
		p.committed(2)
	}
	for range 1000 {
		p.tryWaiting(delay)
		p.committed(1)
		if p.skip > maxBackOff {
			t.Fatal(p.skip)
		}
	}
}
