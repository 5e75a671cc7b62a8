import { farewell, timeLimit } from "./limits";
import { wait } from "./wait";

let controller: AbortController | undefined;

// Whether the last request that failed did so because its time was up.
export let timedOut: boolean | undefined;

// Whether the measurement is over.
export let over: boolean | undefined;

// Ends the measurement, and the request in flight, if there is one.
export function end() {
  over = true;
  if (controller) controller.abort();
}

export interface Answer extends Response {
  content: string; // the whole body
}

// Requests url, without cookies, referrer or any header that would need a
// preflight, and reads the whole answer, so that its connection can be used
// again. Resolves to undefined on a network failure, or when the time is up.
// One at a time.
export async function request(url: string, init?: RequestInit): Promise<Answer | undefined> {
  const own = (controller = new AbortController());
  setTimeout(() => own.abort(), timeLimit); // ending one that is over does nothing
  try {
    const answer = (await fetch(url, {
      cache: "no-store",
      credentials: "omit",
      referrerPolicy: "no-referrer",
      priority: "low",
      signal: own.signal,
      ...init,
    })) as Answer;
    answer.content = await answer.text();
    return answer;
  } catch {
    // A page that is being left loses its connections, and hears only then
    // that it is being left.
    timedOut = own.signal.aborted;
    await wait(setTimeout, farewell);
  }
}
