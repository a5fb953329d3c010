/**
 * Keeps what V8 compiles of the packs in dist/ while `pb` copies a file, beside them: compile-ahead.mjs PB. Run by the build, in a process of
 * its own as `pb` ends it.
 */
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";

const [, , pb] = process.argv;
const folder = mkdtempSync(join(tmpdir(), "pb-compile-"));
writeFileSync(join(folder, "from"), "x");
process.env.PB_HOME = join(folder, "home");
process.argv = [process.execPath, pb, "transfer", "--quiet", join(folder, "from"), join(folder, "to")];
let scripts = new Map();
process.on("exit", () => {
  for (const [file, { script, hash }] of scripts) {
    const beside = `${file}.${process.pid}.tmp`;
    writeFileSync(beside, Buffer.concat([Buffer.from(hash, "latin1"), script.createCachedData()]));
    renameSync(beside, `${file}.v8`);
  }
  rmSync(folder, { recursive: true, force: true });
});
({ scripts } = createRequire(import.meta.url)(pb));
