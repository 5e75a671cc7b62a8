//go:build race

package authdns

const raceEnabled = true
