/**
 * Builds the addon: native/pb-node.<platform>-<arch>-<libc>.node, and its types, native/index.d.ts.
 * `--check`: builds nothing into place, fails when the committed types are not what the sources give.
 */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { requireRust } from "./lib/rust.mjs";
import { fail, ROOT, run, say } from "./lib/tools.mjs";

const TYPES = "index.d.ts";
const NATIVE = join(ROOT, "native");
const staging = join(ROOT, `.cache/native-${process.pid}`);

process.on("exit", () => rmSync(staging, { recursive: true, force: true }));
requireRust();
build();
if (process.argv.includes("--check")) check();
else install();

function build() {
  mkdirSync(staging, { recursive: true });
  const status = run(process.execPath, [
    join(ROOT, "node_modules/@napi-rs/cli/dist/cli.js"),
    "build",
    "--release",
    "--platform",
    "--no-js",
    ...["--cwd", ROOT],
    ...["--manifest-path", "native/pb-node/Cargo.toml"],
    ...["--config-path", "native/napi.json"],
    ...["--output-dir", staging],
    ...["--dts", TYPES],
  ]);
  if (status !== 0) fail(`build-native: the engine did not build (status ${status}), see above`);
}

/** By rename: a process that has the old addon mapped keeps it whole. */
function install() {
  for (const name of readdirSync(staging)) {
    renameSync(join(staging, name), join(NATIVE, name));
    if (name.endsWith(".node")) say(`build-native: native/${name}`);
  }
}

function check() {
  const committed = readFileSync(join(NATIVE, TYPES), "utf8");
  if (committed === readFileSync(join(staging, TYPES), "utf8")) return;
  run("diff", ["-u", join(NATIVE, TYPES), join(staging, TYPES)]);
  fail(`build-native: native/${TYPES} is not what the sources give: run "node scripts/build-native.mjs"`);
}
