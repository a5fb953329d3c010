/** Runs a TypeScript program of the checkout on Node 20: `node scripts/run-ts.mjs FILE [ARGS…]`. */
import { mkdirSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import { pathToFileURL } from "node:url";
import { build } from "esbuild";
import { fail, ROOT } from "./lib/tools.mjs";

const [entry, ...args] = process.argv.slice(2);
if (entry === undefined) fail("usage: node scripts/run-ts.mjs FILE [ARGS…]");
const folder = join(ROOT, ".cache", `run-${process.pid}`);
mkdirSync(folder, { recursive: true });
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
await build({
  absWorkingDir: ROOT,
  entryPoints: { main: entry },
  outdir: folder,
  outExtension: { ".js": ".mjs" },
  bundle: true,
  platform: "node",
  format: "esm",
  target: "node20.20",
  packages: "external",
  sourcemap: "inline",
});
process.env.PB_BIN ??= join(ROOT, "bin/pb");
process.argv = [process.argv[0] ?? "node", basename(entry), ...args];
await import(pathToFileURL(join(folder, "main.mjs")).href);
