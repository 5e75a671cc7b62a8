// Resolves when schedule, a function like setTimeout, calls back.
export const wait = <T>(schedule: (f: () => void, how: T) => void, how: T) =>
  new Promise<void>((resolve) => schedule(resolve, how));

// Resolves when the main thread has nothing better to do, or after 5 s. Where
// there are no idle callbacks, setTimeout takes the options for a delay of 0.
export const idle = () => wait<any>(window.requestIdleCallback || setTimeout, { timeout: 5000 });
