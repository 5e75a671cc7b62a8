// Modules of the dashboard, for Node: bundled, as browsers get them.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { build } from "esbuild";

export async function load(entry) {
  const dir = await mkdtemp(join(tmpdir(), "dash-"));
  const outfile = join(dir, "module.mjs");
  try {
    await build({
      entryPoints: [new URL(`../../dash/${entry}`, import.meta.url).pathname],
      outfile,
      bundle: true,
      format: "esm",
      platform: "neutral",
      mainFields: ["module", "main"],
      jsx: "automatic",
      jsxImportSource: "preact",
      logLevel: "error",
    });
    return await import(pathToFileURL(outfile));
  } finally {
    await rm(dir, { recursive: true });
  }
}
