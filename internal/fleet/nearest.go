package fleet

// nearest returns the key that s was most likely meant to be, or "": at most a
// third of the longer word, and no more than 3 letters, may be wrong.
func nearest(s string, keys []key) string {
	best, least := "", 4
	for _, k := range keys {
		if max(len(s), len(k.name)) > 32 {
			continue
		}
		if n := distance(s, k.name); n < least && 3*n <= max(len(s), len(k.name)) {
			best, least = k.name, n
		}
	}
	return best
}

// distance is the number of letters to insert, delete, replace or swap with
// their neighbor to make b of a (optimal string alignment).
func distance(a, b string) int {
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
