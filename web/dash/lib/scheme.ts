// The words for what the API names by short keys.

export const schemes = ["unicast", "global", "regional"] as const;
export type Scheme = (typeof schemes)[number];

export const schemeName: Record<string, string> = { unicast: "Geo-DNS", global: "Global anycast", regional: "Regional anycast" };
/** Within a sentence. */
export const schemeInText = (scheme: string) => (schemeName[scheme] ?? scheme).replace(/^[A-Z]/, (x) => x.toLowerCase());
export const schemeHelp: Record<string, string> = {
  unicast: "DNS answers with the address of one PoP",
  global: "one anycast address for the whole world",
  regional: "one anycast address per region",
};

export const verdictName: Record<string, string> = {
  anycast: "anycast",
  dns: "DNS",
  "no change": "no change",
  "too few": "too few",
  "": "–",
};
/** Never by color alone. */
export const verdictSign: Record<string, string> = { anycast: "▲", dns: "▼", "no change": "=", "too few": "?", "": "" };
