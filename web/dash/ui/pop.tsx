import type { PoPState } from "../lib/contract";
import { percent } from "../lib/format";
import { Badge } from "./panel";

/** How a PoP is, in a word. What an operator wants comes before what is. */
export function PoPBadge({ pop: p }: { pop: PoPState }) {
  return (
    <span class="nowrap">
      {p.state == "up" ? <Badge tone="good">up</Badge> : p.state == "down" ? <Badge tone="bad">down</Badge> : <Badge tone="quiet">{p.state || "unknown"}</Badge>}{" "}
      {p.drain && <Badge tone="warn">{p.drain.phase ? `drain: ${p.drain.phase}` : "drained"}</Badge>}{" "}
      {p.shed && <Badge tone="warn">{`sheds ${percent(p.shed.share, 0)}`}</Badge>}
    </span>
  );
}
