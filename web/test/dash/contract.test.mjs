// What pages read of the API is in its description, and required there where
// the pages take it for granted.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { describe, it } from "node:test";
import { parse } from "yaml";

const read = (path) => readFile(new URL(path, import.meta.url), "utf8");
const { schemas } = parse(await read("../../../internal/dash/openapi.yaml")).components;
const source = await read("../../dash/lib/contract.ts");

/** All properties of a schema and the names of those required. */
function merged(schema) {
  if (schema.$ref) return merged(schemas[schema.$ref.split("/").at(-1)]);
  const parts = [schema, ...(schema.then ? [schema.then] : [])];
  const all = { properties: {}, required: new Set() };
  for (const p of [...(schema.allOf ?? []).map(merged), ...parts]) {
    Object.assign(all.properties, p.properties);
    for (const r of p.required ?? []) all.required.add(r);
  }
  return all;
}

const named = { Moves: "Changes" };
const own = new Set(["PoPState", "Announcement", "Share", "Difference", "Stretch", "PlaceLost", "CatchmentPlace", "ResetRow", "StabilityRow"]); // parts of others, or the pages' own

describe("what pages read", () => {
  for (const [, name, body] of source.matchAll(/export interface (\w+)[^{]*\{\n([\s\S]*?)\n\}/g)) {
    if (own.has(name)) continue;
    it(name, () => {
      const schema = schemas[named[name] ?? name];
      assert.ok(schema, `the API has no ${name}`);
      const { properties, required } = merged(schema);
      for (const [, field, optional] of body.matchAll(/^ {2}(\w+)(\?)?:/gm)) {
        assert.ok(properties[field], `the API's ${name} has no ${field}`);
        if (!optional) assert.ok(required.has(field), `${name}.${field} may be missing`);
      }
    });
  }
});
