/**
 * Everything between a bare clone and a working `bin/pb`: npm packages, the addon, the bundle. Does only what changed.
 */
import { existsSync, lstatSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { requireRust } from "./lib/rust.mjs";
import { fail, filesBelow, hashFiles, isFresh, ROOT, run, say, setFresh } from "./lib/tools.mjs";

checkNode();
const native = nativeHash();
const needsAddon = !isFresh("native", native) || !hasAddon();
if (needsAddon) requireRust();
if (!packagesInstalled()) installPackages();
if (needsAddon) {
  step("engine (Rust, release build; some minutes the first time)", process.execPath, [
    "scripts/build-native.mjs",
  ]);
  step("licences of the crates", process.execPath, ["scripts/crate-licences.mjs"]);
  setFresh("native", native);
}
step("bundle", process.execPath, ["scripts/build.mjs", "--if-changed"], { quiet: true });

function checkNode() {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  if (major > 20 || (major === 20 && minor >= 20)) return;
  fail(
    `Packetboat needs Node 20.20 or newer, this is ${process.versions.node}: install it from https://nodejs.org`,
  );
}

function step(what, command, args, options = { quiet: false }) {
  if (!options.quiet) say(`setup: ${what}`);
  const status = run(command, args);
  if (status !== 0)
    fail(`setup: ${what}: "${command} ${args.join(" ")}" failed with status ${status}, see above`);
}

/**
 * `npm ci` refuses a lock file written with a registry that lacks some packages of other platforms; `npm install` takes the
 * same versions from it and leaves those out.
 */
function installPackages() {
  const quietly = ["--no-audit", "--no-fund", "--loglevel=error"];
  say("setup: npm packages");
  if (run("npm", ["ci", ...quietly]) === 0) return;
  step("npm packages, without those that are not there", "npm", ["install", "--no-save", ...quietly]);
}

/** Sources of the addon; generated code beside them has its own check. */
function nativeHash() {
  const sources = filesBelow("native", "bpf", "scripts/build-native.mjs").filter(
    (file) => !/\.(node|d\.ts)$/.test(file) && !/^native\/(fuzz|pb-loom|pb-netlab|pb-killpoint)\//.test(file),
  );
  return hashFiles(sources, `${process.platform}-${process.arch}`);
}

function hasAddon() {
  return readdirSync(join(ROOT, "native")).some((name) => name.endsWith(".node"));
}

/** Does node_modules hold what package-lock.json names? npm writes what it installed beside it. */
function packagesInstalled() {
  const modules = join(ROOT, "node_modules");
  const record = join(modules, ".package-lock.json");
  if (!existsSync(record)) return false;
  // Somebody else's folder, shared into this checkout: never emptied from here.
  if (lstatSync(modules).isSymbolicLink()) return true;
  const installed = JSON.parse(readFileSync(record, "utf8")).packages;
  const wanted = JSON.parse(readFileSync(join(ROOT, "package-lock.json"), "utf8")).packages;
  return Object.entries(wanted).every(
    ([path, entry]) => path === "" || entry.optional === true || installed[path]?.version === entry.version,
  );
}
