// How long anything may take, ms: beyond it no PoP is a candidate.
export const timeLimit = 4000;

// How long a failure waits for the news that the page is being left, ms.
export const farewell = 1000;

// How long after the start of a download its timings may come, ms. They come
// after its end.
export const patience = 5000;

// Downloads of one target: one on a fresh connection, then three on the same.
// More gain little: against the true RTT the least of three has a median error
// of 0.9 ms, the least of five 0.8 ms.
export const downloads = 4;

// Longest duration that is reported, ms: the collector refuses more, and a
// page that slept with its laptop measures nothing.
export const longest = 60_000;
