/** No file over 600 lines, 95 % under 400, median under 120; generated files are not counted. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { filesBelow, ROOT, say } from "./lib/tools.mjs";

const MAX = 600;
const P95 = 400;
const MEDIAN = 120;

const sizes = filesBelow("src", "test", "bench", "scripts", "native", "bpf", "vitest.config.ts")
  .filter(
    (file) => /\.(ts|mjs|cjs|rs|c)$/.test(file) && !file.endsWith(".d.ts") && !file.startsWith("src/gen/"),
  )
  .map((file) => ({ file, lines: readFileSync(join(ROOT, file), "utf8").trimEnd().split("\n").length }))
  .sort((a, b) => a.lines - b.lines);

const at = (share) => sizes[Math.min(sizes.length - 1, Math.floor(sizes.length * share))]?.lines ?? 0;
const problems = [];
for (const { file, lines } of sizes) {
  if (lines > MAX) problems.push(`${file}: ${lines} lines, over ${MAX}: split it by meaning`);
}
if (at(0.95) >= P95) {
  const long = sizes.filter(({ lines }) => lines >= P95).map(({ file, lines }) => `${file} (${lines})`);
  problems.push(`more than 5 % of the files have ${P95} lines or more: ${long.join(", ")}`);
}
if (at(0.5) >= MEDIAN) problems.push(`the median file has ${at(0.5)} lines, not under ${MEDIAN}`);

say(
  `sizes: ${sizes.length} files, median ${at(0.5)}, 95 % ${at(0.95)}, largest ${sizes.at(-1)?.lines ?? 0} lines`,
);
for (const problem of problems) say(`sizes: ${problem}`);
process.exit(problems.length > 0 ? 1 : 0);
