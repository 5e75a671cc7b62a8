package beacon

import "bytes"

// isRobot reports whether a User-Agent names a robot. The list is short and
// errs towards people: what robots do not say, navigator.webdriver, medians
// and intervals by prefix have to catch. HTTP clients that are no browsers are
// not in it: they send beacons on purpose, as a relay or a test.
func isRobot(agent string) bool {
	var buf [512]byte
	lower := buf[:copy(buf[:], agent)]
	for i, c := range lower {
		if c >= 'A' && c <= 'Z' {
			lower[i] = c | 0x20
		}
	}
	for _, w := range robots {
		if bytes.Contains(lower, w) {
			return true
		}
	}
	// "bot" is in nearly all the others; "cubot" makes phones.
	return bytes.Count(lower, bot) > bytes.Count(lower, cubot)
}

var (
	bot, cubot = []byte("bot"), []byte("cubot")

	robots = [][]byte{
		[]byte("headless"), []byte("crawl"), []byte("spider"), []byte("slurp"), []byte("lighthouse"),
		[]byte("pagespeed"), []byte("ptst/"), []byte("gtmetrix"), []byte("pingdom"), []byte("phantomjs"),
	}
)
