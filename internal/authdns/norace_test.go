//go:build !race

package authdns

const raceEnabled = false
