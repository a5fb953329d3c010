/** src/gen from proto/. `--check`: lints proto/ and fails when src/gen is not what buf would write. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { filesBelow, ROOT, run, say } from "./lib/tools.mjs";

const check = process.argv.includes("--check");
process.exit(check ? checked() : run("npx", ["buf", "generate", "--clean"]));

function checked() {
  if (run("npx", ["buf", "lint"]) !== 0) return 1;
  // Below the checkout, so that the paths in buf.gen.yaml mean the same there.
  const scratch = mkdtempSync(join(ROOT, ".gen-check-"));
  try {
    if (run("npx", ["buf", "generate", "--output", scratch]) !== 0) return 1;
    return compare(scratch);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

function compare(scratch) {
  const fresh = filesBelow(`${scratch.slice(ROOT.length + 1)}/src/gen`).map((file) =>
    file.slice(file.indexOf("/") + 1),
  );
  const names = new Set([...fresh, ...filesBelow("src/gen")]);
  const different = [...names].filter((file) => text(join(scratch, file)) !== text(join(ROOT, file)));
  for (const file of different) say(`${file}: not what proto/ says: run "npm run gen" and commit it`);
  return different.length > 0 ? 1 : 0;
}

function text(path) {
  return existsSync(path) ? readFileSync(path, "utf8") : undefined;
}
