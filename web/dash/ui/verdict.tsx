import { points } from "../lib/format";
import { schemeName, verdictName, verdictSign } from "../lib/scheme";

/** A verdict in a word and a sign, with the difference that it is of. */
export function Verdict({ verdict, scheme, difference }: { verdict?: string; scheme: string; difference?: { difference: number; low: number; high: number } | null }) {
  const v = verdict ?? "";
  const told = difference ? `${schemeName[scheme]} against geo-DNS: ${points(difference.difference)} points (95 % interval ${points(difference.low)} to ${points(difference.high)})` : "";
  return (
    <span class={`verdict ${v.split(" ")[0] || "none"}`} title={told}>
      <span aria-hidden="true">{verdictSign[v]}</span> {verdictName[v] ?? v}
    </span>
  );
}
