// Names of groups of figures: {country, subdivision, asn, …} as the API has them.

import { continent, country, network, unknown } from "./format";

export interface Group {
  continent?: string;
  country?: string;
  subdivision?: string;
  asn?: number;
  as_name?: string;
}

/** "Illinois"-less: the code is what people of the trade know ("IL, United States"). */
export function placeName(g: Group, short = false): string {
  const land = g.country ? country(g.country) : "";
  if (g.subdivision) return short ? g.subdivision : `${g.subdivision}, ${land}`;
  return land || (g.continent ? continent(g.continent) : unknown);
}

export function groupName(g: Group): string {
  const net = g.asn ? network(g.asn, g.as_name) : "";
  const where = g.country || g.continent ? placeName(g) : "";
  return [net, where].filter(Boolean).join(" · ") || "unknown";
}
