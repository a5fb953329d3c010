/**
 * Keeps what V8 compiles of the packs in dist/ while `pb` copies a file, beside them: compile-ahead.mjs PB local|remote. Run by the build, in a
 * process of its own as `pb` ends it; a later run adds to what is there. "remote": to a server, started for it on the loopback.
 */
import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

const [, , pb, end] = process.argv;
const folder = mkdtempSync(join(tmpdir(), "pb-compile-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
for (const signal of ["SIGTERM", "SIGINT"]) process.on(signal, () => process.exit(1));
writeFileSync(join(folder, "from"), "x");
process.env.PB_HOME = join(folder, "home");
const to = end === "remote" ? `${await serve()}:/to` : join(folder, "to");

process.argv = [process.execPath, pb, "transfer", "--quiet", join(folder, "from"), to];
let scripts = new Map();
process.on("exit", () => {
  for (const [file, { script, hash }] of scripts) {
    const beside = `${file}.${process.pid}.tmp`;
    writeFileSync(beside, Buffer.concat([Buffer.from(hash, "latin1"), script.createCachedData()]));
    renameSync(beside, `${file}.v8`);
  }
});
({ scripts } = createRequire(import.meta.url)(pb));

/** The name of the remote. */
async function serve() {
  const root = join(folder, "root");
  mkdirSync(root);
  const words = [
    "serve",
    "--root",
    root,
    "--state",
    join(folder, "state"),
    "--listen",
    "127.0.0.1:0",
    "--json",
  ];
  const server = spawn(process.execPath, [pb, ...words], { stdio: ["ignore", "pipe", "ignore"] });
  process.on("exit", () => server.kill("SIGKILL"));
  for await (const line of createInterface({ input: server.stdout })) {
    server.unref();
    spawnSync(process.execPath, [pb, "remote", "add", "server", JSON.parse(line).invite], {
      stdio: "ignore",
    });
    return "server";
  }
  return process.exit(1);
}
