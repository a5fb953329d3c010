/** The rooms' imports (dependency-cruiser), and what its parser does not see. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { filesBelow, ROOT, run, say } from "./lib/tools.mjs";

const RULES = [
  {
    pattern: /\bimport\("\.[^"]*"\)\s*\.\s*[A-Z]/,
    message: "an inline import type hides from the rooms' lint: write `import type … from`",
  },
  {
    pattern: /\.node["'`]|createRequire|process\.dlopen/,
    except: "src/native/addon.ts",
    message: "src/native/addon.ts alone loads the addon",
  },
];

let failed = run("npx", ["depcruise", "--config", ".dependency-cruiser.cjs", "src"]) !== 0;
for (const file of filesBelow("src").filter((name) => name.endsWith(".ts"))) {
  const lines = readFileSync(join(ROOT, file), "utf8").split("\n");
  for (const { pattern, except, message } of RULES) {
    if (file === except) continue;
    const at = lines.findIndex((line) => pattern.test(line));
    if (at < 0) continue;
    say(`${file}:${at + 1}: ${message}`);
    failed = true;
  }
}
process.exit(failed ? 1 : 0);
