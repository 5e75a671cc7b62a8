import { ago, moment } from "../lib/format";
import { setQuery, usePlace } from "../lib/place";

const lengths = [1, 7, 14, 30];
const otherwise = 7; // days

/** The parameters of a request that say which days: whatever the address has of them. */
export const periodOf = (query: URLSearchParams) => ({ days: query.get("days") ?? otherwise, to: query.get("to") });

/** Which days the figures are of, in the address; UTC days, today among them. */
export function Period() {
  const { query } = usePlace();
  const now = +(query.get("days") ?? otherwise);
  return (
    <div class="field">
      <span id="period-label">Days</span>
      <div class="segments" role="group" aria-labelledby="period-label">
        {lengths.map((n) => (
          <button type="button" aria-pressed={n == now} onClick={() => setQuery({ days: n == otherwise ? null : n })}>
            {n == 1 ? "Today" : n}
          </button>
        ))}
      </div>
    </div>
  );
}

/** Of when the figures are; said aloud when they are old. */
export function Fresh({ of }: { of?: { made?: string; until?: string } }) {
  const at = of?.made ?? of?.until;
  if (!at) return null;
  const old = Date.now() - Date.parse(at) > 120_000;
  return (
    <span class={"fresh" + (old ? " old" : "")} title={moment(at)}>
      {old ? "⚠ " : ""}Figures of {ago(at)}
    </span>
  );
}
