/** Holds src/ to its rooms: who may import whom, no cycles, one loader of the addon. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { cycles, importGraph, roomViolations } from "./lib/imports.mjs";
import { filesBelow, ROOT, say } from "./lib/tools.mjs";
import { ROOMS } from "./rooms.mjs";

const files = filesBelow("src", "test", "bench").filter((name) => name.endsWith(".ts"));
const sources = new Map(files.map((file) => [file, readFileSync(join(ROOT, file), "utf8")]));
const { graph, problems } = importGraph(sources);
problems.push(...roomViolations(graph, ROOMS));
problems.push(...cycles(graph).map((cycle) => `cycle: ${cycle.join(" -> ")}`));

const LOADS_ADDON = /\.node["'`]|createRequire|process\.dlopen/;
for (const [file, source] of sources) {
  if (!file.startsWith("src/") || file.endsWith(".test.ts") || file === "src/native/addon.ts") continue;
  if (LOADS_ADDON.test(source)) problems.push(`${file}: src/native/addon.ts alone loads the addon`);
}

const edges = [...graph.values()].reduce((sum, targets) => sum + targets.length, 0);
say(`rooms: ${graph.size} files, ${edges} imports, ${problems.length} problems`);
for (const problem of problems) say(`rooms: ${problem}`);
process.exit(problems.length > 0 ? 1 : 0);
